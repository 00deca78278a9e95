"""Bringing budgets' counters to what the ledger says: at start, and to show or mend a drift.

The ledger must be complete first: what dead processes left is recorded there before (`budget_journal`).

Calls may be under way meanwhile. A call's entry is written before the store is told of its end, and until
then it holds something in each of its counters. So where a counter stands the same before the ledger is read
and after, and holds nothing after, both have the same calls, and what they differ by is a true drift. Any
other counter is left as it is, and said to be moving. One is mended only while it still stands as it was
found: a call that ends from then on is in neither, and adds to what the counter is set to.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bursar.adapters.ledger.settled import CountedWindow, Settled
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.budgets import Budget
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.domain.scopes import ScopeKind
from bursar.ports import BudgetStore

_HOUR_S = 3_600
_DAY_S = 86_400

# How far back the counters that are kept of every tenant and agent go.
_HOURS_KEPT = 48
_DAYS_KEPT = 30

_NOTHING = Settled(0, 0)


class Drift(msgspec.Struct, frozen=True):
    """A counter of which store and ledger say different things.

    Attributes:
        counter: Which.
        level: How it stands in the store.
        settled: What it has settled by the ledger.
        is_moving: Whether calls were under way on it, which may be all the difference.
    """

    counter: Counter
    level: Level
    settled: Settled
    is_moving: bool = False

    @property
    def corrected(self) -> int:
        """What the counter is to be set to: with unknown costs among its calls, never less than it is."""
        amount = self.settled.amount
        return max(amount, self.level.settled) if self.settled.unknown_calls else amount


def open_windows(budgets: Iterable[Budget], now_s: float) -> frozenset[CountedWindow]:
    """Return the windows that hold now, of everything that the budgets count."""
    windows: set[CountedWindow] = set()
    for budget in budgets:
        if budget.unit is Unit.OPEN_CALLS:
            continue
        start_s, end_s = budget.calendar.window(budget.period, now_s)
        windows.add(CountedWindow(budget.pattern.kind, budget.unit, budget.period, start_s, end_s))
        if budget.throttled_from is not None:
            # Throttling looks at the requests of this minute, of this hour, and of the one before.
            for period, at_s in (
                (Period.MINUTE, now_s),
                (Period.HOUR, now_s),
                (Period.HOUR, now_s - _HOUR_S),
            ):
                window = Calendar().window(period, at_s)
                windows.add(CountedWindow(budget.pattern.kind, Unit.REQUESTS, period, *window))
    return frozenset(windows)


def kept_windows(now_s: float) -> frozenset[CountedWindow]:
    """Return the hours and days over which every tenant's and agent's money is counted."""
    everywhere = Calendar()
    return frozenset(
        CountedWindow(kind, Unit.NUSD, period, *everywhere.window(period, now_s - back * length_s))
        for kind in (ScopeKind.TENANT, ScopeKind.AGENT)
        for period, length_s, kept in (
            (Period.HOUR, _HOUR_S, _HOURS_KEPT),
            (Period.DAY, _DAY_S, _DAYS_KEPT),
        )
        for back in range(kept)
        if now_s >= back * length_s
    )


async def find_drift(
    store: BudgetStore,
    ledger: LedgerReader,
    windows: Iterable[CountedWindow],
    now_s: float,
    *,
    known: Iterable[Counter] = (),
) -> Sequence[Drift]:
    """Compare counters with the ledger. Reads the ledger at once, which blocks.

    Args:
        store: Where the counters are.
        ledger: What is right.
        windows: Which are compared: those of scopes that the ledger has calls of.
        now_s: The time.
        known: Further counters, of which the ledger may have nothing: those of scopes that budgets name.

    Returns:
        Those that differ.

    Raises:
        StoreFailed: Either could not be read.
    """
    windows = tuple(windows)
    settled = dict.fromkeys(known, _NOTHING) | ledger.settled(windows)
    found = _differing(settled, await store.read(list(settled), now_s))
    # What has settled something and holds nothing may have settled it since the ledger was read.
    before = {drift.counter: drift.level for drift in found if drift.level.settled and not drift.is_moving}
    if not before:
        return found
    again = ledger.settled(window for window in windows if _holds_any(window, before))
    settled = {counter: again.get(counter, _NOTHING) for counter in before}
    second = _differing(settled, await store.read(list(before), now_s), before)
    return [drift for drift in found if drift.counter not in before] + second


def _differing(
    settled: Mapping[Counter, Settled],
    levels: Sequence[Level],
    before: Mapping[Counter, Level] | None = None,
) -> list[Drift]:
    """Return the counters that differ from the ledger.

    Args:
        settled: What each has settled by the ledger.
        levels: How they stand, in the same order, read after the ledger was.
        before: How they stood before it was read, where that is known.
    """
    found: list[Drift] = []
    for (counter, amounts), level in zip(settled.items(), levels, strict=True):
        has_changed = before is not None and before[counter].settled != level.settled
        drift = Drift(counter, level, amounts, is_moving=has_changed or level.held > 0)
        if drift.corrected != level.settled:
            found.append(drift)
    return found


def _holds_any(window: CountedWindow, counters: Iterable[Counter]) -> bool:
    """Whether a window is that of any of the counters, whoever's these are."""
    span = (window.unit, window.period, window.start_s, window.end_s)
    return any(span == (each.unit, each.period, each.start_s, each.end_s) for each in counters)


async def rebuild(
    store: BudgetStore,
    ledger: LedgerReader,
    windows: Iterable[CountedWindow],
    now_s: float,
    *,
    known: Iterable[Counter] = (),
) -> Sequence[Drift]:
    """Set counters that differ from the ledger to what it says; see `find_drift` and `mend_drifts`."""
    drifts = await find_drift(store, ledger, windows, now_s, known=known)
    return await mend_drifts(store, drifts, now_s)


async def mend_drifts(store: BudgetStore, drifts: Iterable[Drift], now_s: float) -> Sequence[Drift]:
    """Set counters to what the ledger says, but for those that are moving.

    Returns:
        The same drifts; one whose counter has changed since it was found stays as it is, and is moving, too.

    Raises:
        StoreFailed: The store could not be asked.
    """
    looked_at: list[Drift] = []
    for each in drifts:
        drift = each
        if not drift.is_moving:
            expected = drift.level.settled
            found = await store.correct(drift.counter, drift.corrected, now_s, expected=expected)
            if found.settled != expected:
                drift = msgspec.structs.replace(drift, is_moving=True)
        looked_at.append(drift)
    return looked_at
