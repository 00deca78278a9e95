import asyncio
import logging
from collections.abc import Iterator

import pytest

from bursar.adapters import retained
from bursar.adapters.retained import RetainedLedger
from bursar.domain.ledger import Entry
from bursar.errors import EntryRefused, StoreFailed
from ledger_entries import entry
from scripted_world import ListLedger, ManualClock, no_task_left, until


@pytest.fixture
def disk() -> ListLedger:
    return ListLedger()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kept(disk: ListLedger, clock: ManualClock) -> RetainedLedger:
    return RetainedLedger(disk, clock)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield


async def fail(ledger: RetainedLedger, *operation_ids: str) -> None:
    for operation_id in operation_ids:
        with pytest.raises(StoreFailed):
            await ledger.record(entry(operation_id))


def names(entries: list[Entry]) -> list[str]:
    return [found.operation_id for found in entries]


async def test_what_the_ledger_takes_is_not_kept(disk: ListLedger, kept: RetainedLedger) -> None:
    async with no_task_left():
        await kept.record(entry("op-1"))
    assert names(disk.entries) == ["op-1"]
    assert (kept.is_well, kept.kept) == (True, 0)


async def test_what_fails_is_kept_in_order_and_written_once_there_is_room(
    disk: ListLedger, kept: RetainedLedger, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    disk.full = True
    async with no_task_left():
        await fail(kept, "op-1", "op-2", "op-3")
        assert (kept.is_well, kept.kept) == (False, 3)
        await until(lambda: len(clock.slept) >= 3)
        assert disk.entries == []
        disk.full = False
        await until(lambda: kept.is_well)
    assert names(disk.entries) == ["op-1", "op-2", "op-3"]
    # One line when it begins and one when it is over, however many calls there are.
    assert len(caplog.records) == 2


async def test_it_fails_and_mends_more_than_once(disk: ListLedger, kept: RetainedLedger) -> None:
    async with no_task_left():
        for operation_id in ("op-1", "op-2"):
            disk.full = True
            await fail(kept, operation_id)
            disk.full = False
            await until(lambda: kept.is_well)
    assert names(disk.entries) == ["op-1", "op-2"]


async def test_closing_writes_the_rest(disk: ListLedger, kept: RetainedLedger, clock: ManualClock) -> None:
    clock.held = True
    disk.full = True
    async with no_task_left():
        await fail(kept, "op-1", "op-2")
        disk.full = False
        await kept.close()
    assert names(disk.entries) == ["op-1", "op-2"]


async def test_closing_amid_a_try_writes_each_entry_once(disk: ListLedger, kept: RetainedLedger) -> None:
    disk.full = True
    async with no_task_left():
        await fail(kept, "op-1", "op-2")
        disk.full = False
        disk.gate = asyncio.Event()
        disk.asked.clear()
        await disk.asked.wait()
        closing = asyncio.create_task(kept.close())
        await asyncio.sleep(0)
        disk.gate.set()
        await closing
    assert sorted(names(disk.entries)) == ["op-1", "op-2"]


async def test_closing_says_how_many_calls_are_lost(
    disk: ListLedger, kept: RetainedLedger, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.held = True
    disk.full = True
    async with no_task_left():
        await fail(kept, "op-1", "op-2")
        await kept.close()
    assert "2 calls are not in the ledger" in caplog.text
    assert "the disk is full" in caplog.text


async def test_there_is_room_for_a_bounded_number(
    disk: ListLedger, kept: RetainedLedger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "_KEPT_MAX", 2)
    clock.held = True
    disk.full = True
    await fail(kept, "op-1")
    assert kept.has_room
    await fail(kept, "op-2")
    assert not kept.has_room
    await kept.close()


async def test_an_entry_that_no_ledger_could_hold_is_not_kept_in_the_way_of_others(
    disk: ListLedger, kept: RetainedLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(_: Entry) -> None:
        raise EntryRefused("too much")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "record", refuse)
        with pytest.raises(EntryRefused):
            await kept.record(entry("odd"))
    assert kept.is_well
    assert "too much" in caplog.text
    await kept.record(entry("next"))
    assert names(disk.entries) == ["next"]
