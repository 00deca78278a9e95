"""Brings a ledger file to the newest schema, and refuses what is no ledger of ours."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from bursar.adapters.ledger.connection import corrupt, writer_connection
from bursar.adapters.ledger.schema import APPLICATION_ID, HEAD
from bursar.errors import StoreFailed

_VERSION = "SELECT version_num FROM alembic_version"


def migrate(path: Path) -> None:
    """Bring a file to the newest schema, in one transaction; where there is no file, make it.

    Raises:
        CorruptStore: The file is a database of something else.
        StoreFailed: A newer Bursar wrote it.
        sqlite3.Error: It could not be read or written.
    """
    with closing(writer_connection(path, create=True)) as connection:
        if _revision(connection, path) == HEAD:
            return
        with _engine(connection).begin() as transaction:
            # Another process may have migrated it while this one waited for the lock.
            revision = _revision(connection, path)
            if revision != HEAD:
                _refuse_newer(revision, path)
                _upgrade(transaction)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file can be read as it is.

    Raises:
        CorruptStore: The file is a database of something else.
        StoreFailed: A newer Bursar wrote it, or an older one and it was not opened by a writer since.
        sqlite3.Error: It could not be read.
    """
    revision = _revision(connection, path)
    if revision == HEAD:
        return
    _refuse_newer(revision, path)
    raise StoreFailed(
        f"ledger {path}: its schema ({revision or 'none'}) is older than this Bursar's ({HEAD}); "
        f"start bursar serve on it once, which brings it up to date"
    )


def scripts() -> ScriptDirectory:
    """Return the migrations that the package ships."""
    return ScriptDirectory.from_config(_config())


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """Return the revision that a file is at, or None for an empty file."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id == APPLICATION_ID:
        row = connection.execute(_VERSION).fetchone()
        if row is None:
            raise corrupt(path, "it does not say which schema it has")
        return str(row[0])
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or application_id:
        raise corrupt(path, "it is a database, but not a ledger of Bursar's")
    return None


def _refuse_newer(revision: str | None, path: Path) -> None:
    if revision is not None and revision not in {script.revision for script in scripts().walk_revisions()}:
        raise StoreFailed(
            f"ledger {path}: a newer Bursar wrote it (schema {revision}, this one knows {HEAD}); "
            f"upgrade Bursar"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "bursar.adapters.ledger:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(transaction: Connection) -> None:
    config = _config()
    config.attributes["connection"] = transaction
    command.upgrade(config, "head")


def _engine(connection: sqlite3.Connection) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin_immediate(transaction: Connection) -> None:  # pyright: ignore[reportUnusedFunction] -- SQLAlchemy calls it.
        transaction.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
