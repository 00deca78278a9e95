"""What every ledger promises, whatever it keeps its entries in."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.ledger import Entry, Status
from bursar.domain.report import Report, ReportKey, report_of
from bursar.exchange.left_behind import PRESUMED
from ledger_entries import HOUR_S, T0_S, arbitrary_entries, entry

# Files are synced to disk, whose speed says nothing about the property.
on_disk = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class ReadableLedger(Protocol):
    async def record(self, entry: Entry) -> None: ...

    def entries(self, since_s: float | None = None, until_s: float | None = None) -> Iterable[Entry]: ...

    def report(
        self,
        by: Sequence[ReportKey] = (),
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        limit: int | None = None,
    ) -> Report: ...

    def close(self) -> None: ...


class MemoryLedger:
    """The model that the others must agree with."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    async def record(self, entry: Entry) -> None:
        known = self._entries.setdefault(entry.operation_id, entry)
        if PRESUMED in known.faults and PRESUMED not in entry.faults:
            self._entries[entry.operation_id] = entry

    def entries(self, since_s: float | None = None, until_s: float | None = None) -> Iterator[Entry]:
        for found in sorted(self._entries.values(), key=lambda e: (e.at_s, e.operation_id)):
            if (since_s is None or found.at_s >= since_s) and (until_s is None or found.at_s < until_s):
                yield found

    def report(
        self,
        by: Sequence[ReportKey] = (),
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        limit: int | None = None,
    ) -> Report:
        return report_of(self.entries(since_s, until_s), by, limit)

    def close(self) -> None:
        pass


Opener = Callable[[Path], ReadableLedger]


@pytest.fixture(
    params=[lambda _: MemoryLedger(), SqliteLedger.open], ids=["memory", "sqlite"], scope="module"
)
def open_ledger(request: pytest.FixtureRequest) -> Opener:
    return request.param


@pytest.fixture
def ledger(open_ledger: Opener, tmp_path: Path) -> Iterator[ReadableLedger]:
    opened = open_ledger(tmp_path)
    yield opened
    opened.close()


async def record_all(ledger: ReadableLedger, entries: Iterable[Entry]) -> None:
    await asyncio.gather(*(ledger.record(e) for e in entries))


async def test_a_call_is_there_once_record_has_returned(ledger: ReadableLedger) -> None:
    await ledger.record(entry())
    assert list(ledger.entries()) == [entry()]


@pytest.mark.parametrize("shift_s", [0.0, HOUR_S])
async def test_what_was_presumed_gives_way_to_what_really_came_of_its_call(
    ledger: ReadableLedger, shift_s: float
) -> None:
    real = entry("op-1")
    presumed = replace(
        entry("op-1", at_s=T0_S + shift_s, cost_nusd=9_000_000, faults=(PRESUMED,)),
        status=Status.ABORTED,
        shares={},
        baseline_nusd=None,
    )
    await ledger.record(entry("op-0"))
    await ledger.record(presumed)
    assert list(ledger.entries())[-1] == presumed
    # Beside one that is new and one that is known.
    await asyncio.gather(*(ledger.record(one) for one in (real, entry("op-0"), entry("op-2"))))
    for again in (real, presumed):
        assert list(ledger.entries()) == [entry("op-0"), real, entry("op-2")]
        # Whole hours are answered from the roll-ups.
        assert ledger.report([ReportKey.AGENT], since_s=T0_S, until_s=T0_S + 2 * HOUR_S) == report_of(
            ledger.entries(), [ReportKey.AGENT]
        )
        await ledger.record(again)


async def test_of_one_group_what_really_came_of_a_call_is_kept(ledger: ReadableLedger) -> None:
    presumed = entry("op-1", faults=(PRESUMED,))
    await asyncio.gather(ledger.record(presumed), ledger.record(entry("op-1")), ledger.record(presumed))
    assert list(ledger.entries()) == [entry("op-1")]


async def test_recording_an_operation_again_changes_nothing(ledger: ReadableLedger) -> None:
    await ledger.record(entry())
    before = ledger.report([ReportKey.TENANT])
    await ledger.record(
        replace(entry(), cost_nusd=1, attribution=replace(entry().attribution, tenant="other"))
    )
    assert ledger.report([ReportKey.TENANT]) == before
    assert list(ledger.entries()) == [entry()]


async def test_the_same_operation_many_times_at_once_counts_once(ledger: ReadableLedger) -> None:
    await record_all(ledger, [entry("twice"), entry("twice"), entry("once"), entry("twice")])
    assert ledger.report().total.calls == 2
    await record_all(ledger, [entry("once"), entry("new"), entry("twice")])
    assert ledger.report().total.calls == 3
    assert ledger.report().total.cost_nusd == 3 * 450_000


async def test_a_crowd_of_calls_is_recorded_whole(ledger: ReadableLedger) -> None:
    await record_all(ledger, [entry(f"op-{i}", turn=i) for i in range(700)])
    assert sorted(e.turn for e in ledger.entries()) == list(range(700))
    assert ledger.report().total.calls == 700


async def test_a_span_holds_its_start_and_not_its_end(ledger: ReadableLedger) -> None:
    await record_all(ledger, [entry(f"op-{i}", at_s=T0_S + i * 60) for i in range(180)])
    for since_s, until_s, calls in [
        (T0_S, T0_S + 60, 1),
        (T0_S + 60, T0_S + HOUR_S, 59),
        (T0_S + 90, T0_S + 2 * HOUR_S + 60, 120 + 1 - 2),
        (T0_S - HOUR_S, T0_S + 5 * HOUR_S, 180),
        (T0_S + 600, T0_S + 600, 0),
    ]:
        assert ledger.report([ReportKey.MODEL], since_s=since_s, until_s=until_s).total.calls == calls
        assert len(list(ledger.entries(since_s, until_s))) == calls


def test_an_empty_ledger_reports_nothing(ledger: ReadableLedger) -> None:
    assert list(ledger.entries()) == []
    assert ledger.report([ReportKey.TENANT]) == Report(
        by=(ReportKey.TENANT,), total=report_of([], []).total, rows=()
    )


async def test_a_limit_keeps_the_dearest_rows_and_counts_the_rest(ledger: ReadableLedger) -> None:
    who = entry().attribution
    await record_all(
        ledger,
        [entry(f"op-{i}", cost_nusd=i, attribution=replace(who, conversation=f"c{i}")) for i in range(5)],
    )
    found = ledger.report([ReportKey.CONVERSATION], limit=2)
    assert [row.keys for row in found.rows] == [("c4",), ("c3",)]
    assert found.rows_left == 3
    assert found.total.calls == 5


@on_disk
@given(entries=st.lists(arbitrary_entries(), max_size=8))
def test_entries_come_back_exactly_as_they_were_recorded(open_ledger: Opener, entries: list[Entry]) -> None:
    with TemporaryDirectory() as folder, closing(open_ledger(Path(folder))) as ledger:
        asyncio.run(record_all(ledger, entries))
        found = sorted(ledger.entries(), key=lambda e: e.operation_id)
        assert found == sorted(entries, key=lambda e: e.operation_id)


moments_s = st.none() | st.integers(-1, 3 * 3_600_000_000).map(lambda us: T0_S + us / 1_000_000)


@on_disk
@given(
    entries=st.lists(arbitrary_entries(), max_size=8),
    by=st.lists(st.sampled_from(ReportKey), unique=True, max_size=3),
    span=st.tuples(moments_s, moments_s),
    limit=st.none() | st.integers(1, 3),
)
def test_reports_equal_those_made_from_the_entries_in_memory(
    open_ledger: Opener,
    *,
    entries: list[Entry],
    by: list[ReportKey],
    span: tuple[float | None, float | None],
    limit: int | None,
) -> None:
    with TemporaryDirectory() as folder, closing(open_ledger(Path(folder))) as ledger:
        asyncio.run(record_all(ledger, entries))
        expected = report_of(ledger.entries(*span), by, limit)
        assert ledger.report(by, since_s=span[0], until_s=span[1], limit=limit) == expected
