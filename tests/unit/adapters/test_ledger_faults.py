"""What a ledger does when its file or its disk is not what it should be."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from bursar.adapters.ledger import writer
from bursar.adapters.ledger.sqlite import FILE_NAME, LedgerReader, SqliteLedger
from bursar.adapters.sqlite.connection import writer_connection
from bursar.errors import CallerMistake, CorruptStore, EntryRefused, StoreFailed
from ledger_entries import entry


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(tmp_path)) as opened:
        yield opened


@pytest.fixture(params=[SqliteLedger.open, LedgerReader.open], ids=["write", "read"])
def open_ledger(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return request.param


def recorded(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM entries").fetchone()[0]


def test_a_file_that_is_no_database_is_left_untouched(
    open_ledger: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(CorruptStore, match="left untouched") as caught:
        open_ledger(tmp_path)
    assert str(file) in str(caught.value)
    assert file.read_bytes() == b"not a database" * 100


def test_a_damaged_header_is_called_corrupt(open_ledger: Callable[[Path], object], tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path).close()
    file = tmp_path / FILE_NAME
    damaged = bytes(100) + file.read_bytes()[100:]
    file.write_bytes(damaged)
    with pytest.raises(CorruptStore):
        open_ledger(tmp_path)
    assert file.read_bytes() == damaged


def test_a_database_of_something_else_is_refused(
    open_ledger: Callable[[Path], object], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(CorruptStore, match="no ledger of Bursar's"):
        open_ledger(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_a_newer_schema_is_refused_and_named(open_ledger: Callable[[Path], object], tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StoreFailed, match=r"newer Bursar wrote it \(schema 0999.*upgrade"):
        open_ledger(tmp_path)


def test_reading_where_there_is_no_ledger_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(CallerMistake, match=r"no ledger in .*--data-dir"):
        LedgerReader.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_file_is_a_new_ledger_to_a_writer_only(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(StoreFailed, match="older than"):
        LedgerReader.open(tmp_path)
    SqliteLedger.open(tmp_path).close()
    assert LedgerReader.open(tmp_path).report().total.calls == 0


def test_a_read_only_directory_is_named() -> None:
    # Not in pytest's own folder: whoever is not root could not even look into it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        privileged = os.geteuid() == 0
        if privileged:
            os.seteuid(65534)
        try:
            with pytest.raises(StoreFailed) as caught:
                SqliteLedger.open(Path(folder))
        finally:
            if privileged:
                os.seteuid(0)
        assert folder in str(caught.value)
        assert "writable" in str(caught.value)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match=f"{tmp_path}/file/data"):
        SqliteLedger.open(tmp_path / "file" / "data")


async def test_a_full_disk_fails_its_calls_and_recording_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    def connection_to_a_small_disk(path: Path) -> sqlite3.Connection:
        connection = writer_connection(path)
        if full:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(writer, "writer_connection", connection_to_a_small_disk)
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        await ledger.record(entry("before"))
        ledger._writer._disconnect()
        full = True
        results = await asyncio.gather(
            *(ledger.record(entry(f"full-{i}")) for i in range(100)), return_exceptions=True
        )
        assert [type(result) for result in results] == [StoreFailed] * 100
        assert "the disk is full" in str(results[0])
        full = False
        await asyncio.gather(*(ledger.record(entry(f"full-{i}")) for i in range(100)))
        assert ledger.report().total.calls == 101


async def test_another_process_that_holds_the_file_fails_only_what_waited_too_long(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    ledger._writer._connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="another process held it"):
            await ledger.record(entry("first"))
        other.execute("ROLLBACK")
    await ledger.record(entry("second"))
    assert [found.operation_id for found in ledger.entries()] == ["second"]


async def test_a_file_that_vanished_is_an_error_and_not_a_new_file(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    ledger._writer._disconnect()
    (tmp_path / FILE_NAME).rename(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed, match="cannot be opened"):
        await ledger.record(entry())
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "unwritable",
    [
        pytest.param(entry("bad", cost_nusd=2**63), id="an amount beyond 64 bits"),
        pytest.param(entry("bad", thread="\ud800"), id="a text that is no Unicode"),
        pytest.param(entry("bad", faults=("\ud800",)), id="no Unicode inside JSON"),
    ],
)
async def test_an_entry_that_cannot_be_written_fails_only_its_own_call(
    ledger: SqliteLedger, unwritable
) -> None:
    results = await asyncio.gather(
        ledger.record(entry("one")),
        ledger.record(unwritable),
        ledger.record(entry("two")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), EntryRefused, type(None)]
    assert {found.operation_id for found in ledger.entries()} == {"one", "two"}


async def test_a_call_that_is_cancelled_is_recorded_and_its_neighbours_with_it(ledger: SqliteLedger) -> None:
    gone = asyncio.ensure_future(ledger.record(entry("gone")))
    stays = asyncio.ensure_future(ledger.record(entry("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert {found.operation_id for found in ledger.entries()} == {"gone", "stays"}


async def test_closing_writes_what_waits_and_then_refuses(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    waiting = [asyncio.ensure_future(ledger.record(entry(f"op-{i}"))) for i in range(1000)]
    await asyncio.sleep(0)
    ledger.close()
    ledger.close()
    assert recorded(tmp_path / FILE_NAME) == 1000
    await asyncio.gather(*waiting)
    with pytest.raises(StoreFailed, match="closed"):
        await ledger.record(entry("late"))


async def test_more_than_may_wait_fails_at_once(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAITING_MAX", 3)
    results = await asyncio.gather(
        *(ledger.record(entry(f"op-{i}")) for i in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None)] * 3 + [StoreFailed] * 2
    await ledger.record(entry("later"))


async def test_a_fault_of_ours_in_the_writers_thread_hangs_nobody(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_group", broken)
        with pytest.raises(StoreFailed, match="KeyError"):
            await ledger.record(entry())
    await ledger.record(entry())


def test_a_loop_that_was_closed_meanwhile_does_not_stop_the_writer(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    async def start() -> None:
        ledger._writer._join((writer.entry_row(entry("left")), entry("left")))

    for _ in range(3):
        asyncio.run(start())
    asyncio.run(ledger.record(entry("next")))
    assert recorded(tmp_path / FILE_NAME) == 2


async def test_two_ledgers_on_one_file_add_up(ledger: SqliteLedger, tmp_path: Path) -> None:
    with closing(SqliteLedger.open(tmp_path)) as second:
        await asyncio.gather(
            *(
                one.record(entry(f"op-{i}", at_s=entry().at_s + i))
                for i in range(60)
                for one in (ledger, second)
            )
        )
        assert second.report().total.calls == 60
        assert second.report().total.cost_nusd == 60 * entry().cost_nusd


async def test_entries_of_one_rollup_in_many_commits_add_up(ledger: SqliteLedger) -> None:
    for i in range(5):
        await ledger.record(replace(entry(f"op-{i}"), cost_nusd=i))
    assert ledger.report().total.cost_nusd == 0 + 1 + 2 + 3 + 4
