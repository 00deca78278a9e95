"""Brings a store's file to the newest schema, and refuses what is none of its kind."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from bursar.adapters.sqlite.connection import corrupt, writer_connection
from bursar.adapters.sqlite.kind import StoreKind
from bursar.errors import StoreFailed

_VERSION = "SELECT version_num FROM alembic_version"


def migrate(kind: StoreKind, path: Path) -> None:
    """Bring a file to the newest schema, in one transaction; where there is no file, make it.

    Raises:
        CorruptStore: The file is a database of something else.
        StoreFailed: A newer Bursar wrote it.
        sqlite3.Error: It could not be read or written.
    """
    with closing(writer_connection(path, create=True)) as connection:
        if _revision(kind, connection, path) == kind.head:
            return
        with _engine(connection).begin() as transaction:
            # Another process may have migrated it while this one waited for the lock.
            revision = _revision(kind, connection, path)
            if revision != kind.head:
                _refuse_newer(kind, revision, path)
                _upgrade(kind, transaction)
                connection.execute(f"PRAGMA application_id = {kind.application_id}")


def check(kind: StoreKind, connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file can be read as it is.

    Raises:
        CorruptStore: The file is a database of something else.
        StoreFailed: A newer Bursar wrote it, or an older one and it was not opened by a writer since.
        sqlite3.Error: It could not be read.
    """
    revision = _revision(kind, connection, path)
    if revision == kind.head:
        return
    _refuse_newer(kind, revision, path)
    raise StoreFailed(
        f"{kind.name} {path}: its schema ({revision or 'none'}) is older than this Bursar's ({kind.head}); "
        f"start bursar serve on it once, which brings it up to date"
    )


def scripts(kind: StoreKind) -> ScriptDirectory:
    """Return the migrations of a store, which the package ships."""
    return ScriptDirectory.from_config(_config(kind))


def _revision(kind: StoreKind, connection: sqlite3.Connection, path: Path) -> str | None:
    """Return the revision that a file is at, or None for an empty file."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id == kind.application_id:
        row = connection.execute(_VERSION).fetchone()
        if row is None:
            raise corrupt(kind, path, "it does not say which schema it has")
        return str(row[0])
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or application_id:
        raise corrupt(kind, path, f"it is a database, but no {kind.name} of Bursar's")
    return None


def _refuse_newer(kind: StoreKind, revision: str | None, path: Path) -> None:
    if revision is not None and revision not in {
        script.revision for script in scripts(kind).walk_revisions()
    }:
        raise StoreFailed(
            f"{kind.name} {path}: a newer Bursar wrote it (schema {revision}, this one knows {kind.head}); "
            f"upgrade Bursar"
        )


def _config(kind: StoreKind) -> Config:
    config = Config()
    config.set_main_option("script_location", kind.migrations)
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(kind: StoreKind, transaction: Connection) -> None:
    config = _config(kind)
    config.attributes["connection"] = transaction
    config.attributes["metadata"] = kind.metadata
    command.upgrade(config, "head")


def _engine(connection: sqlite3.Connection) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin_immediate(transaction: Connection) -> None:  # pyright: ignore[reportUnusedFunction] -- SQLAlchemy calls it.
        transaction.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
