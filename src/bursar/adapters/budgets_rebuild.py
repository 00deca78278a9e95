"""Bringing budgets' counters to what the ledger says: at start, and to show or mend a drift.

The ledger must be complete first: what dead processes left is recorded there before (`budget_journal`). While
calls are under way, one whose entry is written and whose end is not yet told to the store shows as a drift
for a moment; at rest there is none.
"""

from collections.abc import Iterable, Sequence

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
    """

    counter: Counter
    level: Level
    settled: Settled

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
    settled = dict.fromkeys(known, _NOTHING) | ledger.settled(windows)
    levels = await store.read(list(settled), now_s)
    return [
        drift
        for (counter, amounts), level in zip(settled.items(), levels, strict=True)
        if (drift := Drift(counter, level, amounts)).corrected != level.settled
    ]


async def rebuild(
    store: BudgetStore,
    ledger: LedgerReader,
    windows: Iterable[CountedWindow],
    now_s: float,
    *,
    known: Iterable[Counter] = (),
) -> Sequence[Drift]:
    """Set counters to what the ledger says; see `find_drift`, whose result this returns."""
    drifts = await find_drift(store, ledger, windows, now_s, known=known)
    await mend_drifts(store, drifts, now_s)
    return drifts


async def mend_drifts(store: BudgetStore, drifts: Iterable[Drift], now_s: float) -> None:
    """Set counters to what the ledger says; one that has changed since it was found to differ is left.

    Raises:
        StoreFailed: The store could not be asked.
    """
    for drift in drifts:
        await store.correct(drift.counter, drift.corrected, now_s, expected=drift.level.settled)
