import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from bursar.adapters.admin.schema import ADMIN, HEAD, metadata
from bursar.adapters.admin.sqlite import FILE_NAME, SqliteAdmin
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.adapters.sqlite.connection import reader_connection
from bursar.adapters.sqlite.migration import scripts
from bursar.domain.admin import AdminItem, ItemKind
from bursar.errors import CorruptStore, StoreFailed

ITEM = AdminItem(ItemKind.STOP, "tenant:acme", "{}", 1.0, "ann")


def structure(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        found = {(kind, name) for kind, name in names if "alembic" not in name}
        for table in metadata.tables:
            found |= {(table, str(row)) for row in connection.execute(f"PRAGMA table_info({table})")}
        return found


def test_migrations_and_metadata_make_the_same_tables(tmp_path: Path) -> None:
    SqliteAdmin.open(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}", poolclass=NullPool)
    metadata.create_all(engine)
    assert structure(tmp_path / FILE_NAME) == structure(tmp_path / "made.db")
    migrated = create_engine(f"sqlite:///{tmp_path / FILE_NAME}", poolclass=NullPool)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert scripts(ADMIN).get_heads() == [HEAD]


def test_what_was_set_outlives_the_process(tmp_path: Path) -> None:
    SqliteAdmin.open(tmp_path).put(ITEM)
    again = SqliteAdmin.open(tmp_path)
    assert again.read().items[ItemKind.STOP] == {"tenant:acme": ITEM}
    assert again.version() == 1


def test_reading_makes_no_store(tmp_path: Path) -> None:
    assert SqliteAdmin.open_existing(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    SqliteAdmin.open(tmp_path).put(ITEM)
    found = SqliteAdmin.open_existing(tmp_path)
    assert found is not None
    assert found.version() == 1


def test_a_file_that_is_no_database_is_called_corrupt_and_left_alone(tmp_path: Path) -> None:
    file, content = tmp_path / FILE_NAME, b"no database at all, but long enough for a header" * 40
    file.write_bytes(content)
    with pytest.raises(CorruptStore, match=r"admin store .*left untouched.*begin a new admin store"):
        SqliteAdmin.open(tmp_path)
    assert file.read_bytes() == content


def test_a_ledger_is_no_admin_store(tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path / "other").close()
    (tmp_path / "other" / "ledger.db").rename(tmp_path / FILE_NAME)
    with pytest.raises(CorruptStore, match="no admin store of Bursar's"):
        SqliteAdmin.open(tmp_path)


def test_a_store_that_vanished_is_noticed(tmp_path: Path) -> None:
    store = SqliteAdmin.open(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    for ask in (store.version, store.read, lambda: store.put(ITEM), store.changes):
        with pytest.raises(StoreFailed, match="cannot be opened"):
            ask()
    assert not (tmp_path / FILE_NAME).exists()


def test_a_kind_that_nobody_knows_is_not_passed_over(tmp_path: Path) -> None:
    store = SqliteAdmin.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("INSERT INTO items VALUES ('quota', 'x', '{}', 1, 'ann')")
        connection.commit()
    with pytest.raises(StoreFailed, match="'quota', which this Bursar does not know"):
        store.read()


def test_a_full_disk_is_named_and_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteAdmin.open(tmp_path)
    store.put(ITEM)

    def small(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr("bursar.adapters.admin.sqlite.writer_connection", small)
    large = AdminItem(ItemKind.STOP, "tenant:b", "x" * 60_000, 1.0, "ann")
    with pytest.raises(StoreFailed, match="the disk is full"):
        store.put(large)
    assert store.version() == 1
    assert list(store.read().items[ItemKind.STOP]) == ["tenant:acme"]


def test_a_read_only_store_is_named_and_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteAdmin.open(tmp_path)
    store.put(ITEM)
    monkeypatch.setattr("bursar.adapters.admin.sqlite.writer_connection", reader_connection)
    with pytest.raises(StoreFailed, match="read-only"):
        store.remove(ItemKind.STOP, "tenant:acme", "ann", 2.0)
    assert store.version() == 1
