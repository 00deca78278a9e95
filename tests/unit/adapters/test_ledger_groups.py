"""How entries come together in commits, and what becomes of a group that nobody waits for."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bursar.adapters.ledger import writer
from bursar.adapters.ledger.group import Member
from bursar.adapters.ledger.sqlite import LedgerReader, SqliteLedger
from ledger_entries import entry


def kept(data_dir: Path) -> set[str]:
    return {found.operation_id for found in LedgerReader.open(data_dir).entries()}


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the groups that are committed from now on."""
    seen: list[int] = []
    write_group = writer.write_group

    def watched(connection: writer.sqlite3.Connection, members: Sequence[Member]) -> None:
        seen.append(len(members))
        write_group(connection, members)

    monkeypatch.setattr(writer, "write_group", watched)
    return seen


def test_calls_that_end_in_one_turn_of_the_loop_share_a_commit(tmp_path: Path, sizes: list[int]) -> None:
    async def run(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(entry(f"op-{n}")) for n in range(20)))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(run(ledger))

    assert sizes == [20]
    assert len(kept(tmp_path)) == 20


def test_a_full_group_is_committed_and_the_next_one_gathers(
    tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_MAX", 8)

    async def run(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(entry(f"op-{n}")) for n in range(20)))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(run(ledger))

    assert sizes == [8, 8, 4]
    assert len(kept(tmp_path)) == 20


def test_closing_commits_a_group_that_still_gathers(tmp_path: Path) -> None:
    async def run(ledger: SqliteLedger) -> None:
        task = asyncio.ensure_future(ledger.record(entry("op-1")))
        # Runs right after the task's first step, before anything that the step asked the loop for.
        asyncio.get_running_loop().call_soon(ledger.close)
        await task

    asyncio.run(run(SqliteLedger.open(tmp_path)))
    assert kept(tmp_path) == {"op-1"}


def test_a_group_whose_loop_has_stopped_is_committed_before_the_next_loop_s(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    with closing(ledger):
        stopped = asyncio.new_event_loop()
        left = stopped.create_task(ledger.record(entry("op-1")))
        stopped.call_soon(stopped.stop)
        stopped.run_forever()
        asyncio.run(ledger.record(entry("op-2")))
        left.cancel()
        stopped.run_until_complete(asyncio.gather(left, return_exceptions=True))
        stopped.close()
    assert kept(tmp_path) == {"op-1", "op-2"}


def test_cancelling_one_caller_leaves_its_entry_and_the_others_of_its_group_alone(tmp_path: Path) -> None:
    async def run(ledger: SqliteLedger) -> None:
        first = asyncio.ensure_future(ledger.record(entry("op-1")))
        second = asyncio.ensure_future(ledger.record(entry("op-2")))
        await asyncio.sleep(0)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(run(ledger))
    assert kept(tmp_path) == {"op-1", "op-2"}
