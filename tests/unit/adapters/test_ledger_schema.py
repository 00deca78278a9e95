import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from bursar.adapters.ledger.holdout import read_comparison
from bursar.adapters.ledger.queries import Span
from bursar.adapters.ledger.schema import APPLICATION_ID, HEAD, LEDGER, SUM_COLUMNS, metadata, rollups
from bursar.adapters.sqlite.connection import writer_connection
from bursar.adapters.sqlite.migration import migrate, scripts


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    migrate(LEDGER, path)
    return path


def columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Name, type, nullability and place in the primary key of each column, in order."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: [
                (name, kind, required, primary)
                for _, name, kind, required, _, primary in connection.execute(f"PRAGMA table_info({table})")
            ]
            for table in metadata.tables
        }


def indexes_and_options(path: Path) -> set[tuple[str, str, bool]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            (kind, name, "WITHOUT ROWID" in (sql or ""))
            for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
            if name != "alembic_version" and "alembic_version" not in name
        }


def test_migrations_and_metadata_make_the_same_tables(migrated: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}", poolclass=NullPool)
    metadata.create_all(engine)
    assert columns(migrated) == columns(tmp_path / "made.db")
    assert indexes_and_options(migrated) == indexes_and_options(tmp_path / "made.db")


def test_alembic_sees_nothing_left_to_migrate(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}", poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_head_names_the_newest_migration() -> None:
    assert scripts(LEDGER).get_heads() == [HEAD]


def test_a_migrated_file_is_marked_as_ours(migrated: Path) -> None:
    with closing(sqlite3.connect(migrated)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_migrating_twice_changes_nothing(migrated: Path) -> None:
    before = columns(migrated)
    migrate(LEDGER, migrated)
    assert columns(migrated) == before


def test_a_ledger_of_the_first_schema_is_brought_up_to_date(migrated: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(migrated)) as connection, closing(sqlite3.connect(old)) as copy:
        connection.backup(copy)
        copy.execute("DROP INDEX ix_entries_held_out")
        for column in ("key", "decisions"):
            copy.execute(f"ALTER TABLE entries DROP COLUMN {column}")
        copy.execute("UPDATE alembic_version SET version_num = '0001'")
        copy.commit()
    migrate(LEDGER, old)
    assert indexes_and_options(old) == indexes_and_options(migrated)


def test_whether_anything_was_held_out_is_asked_of_its_own_index(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}", poolclass=NullPool)
    plans: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def explain(
        connection: Connection, cursor: sqlite3.Cursor, statement: str, values: object, *_: object
    ) -> None:
        plans.extend(row[-1] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values))

    with engine.connect() as connection:
        assert read_comparison(connection, Span()) is None
    assert len(plans) == 1
    assert "ix_entries_held_out" in plans[0]


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade

    def upgrade_and_fail(*arguments: object) -> None:
        upgrade(*arguments)
        raise sqlite3.OperationalError("power cut")

    path = tmp_path / "ledger.db"
    monkeypatch.setattr("bursar.adapters.sqlite.migration.command.upgrade", upgrade_and_fail)
    with pytest.raises(sqlite3.OperationalError, match="power cut"):
        migrate(LEDGER, path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    monkeypatch.undo()
    migrate(LEDGER, path)
    assert "entries" in columns(path)


def test_the_log_is_write_ahead_and_flushed_at_every_commit(migrated: Path) -> None:
    with closing(writer_connection(migrated)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_every_column_of_a_rollup_is_a_key_or_a_sum() -> None:
    assert [c.name for c in rollups.columns if not c.primary_key] == list(SUM_COLUMNS)
