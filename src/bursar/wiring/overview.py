"""How budgets stand, seen from outside: beside a running server, or without one.

What is settled is what the ledger says, and what is held is what the journals of processes say; where calls
are held in Redis, it says both.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.budget_journal import read_open
from bursar.adapters.budgets_rebuild import Drift, find_drift, mend_drifts, open_windows
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import FILE_NAME, LedgerReader
from bursar.domain.admin import AdminState
from bursar.domain.budgets import Budget
from bursar.domain.ledger import Entry
from bursar.domain.reservations import Counter, Level, Unit
from bursar.domain.scopes import Scope, ScopePattern, patterns_of, read_scope
from bursar.errors import CallerMistake
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.states import BudgetState, states_of
from bursar.settings import Settings
from bursar.settings.budgets import budgets_of
from bursar.settings.stored import InForce, in_force
from bursar.wiring.budgets import open_redis

_NO_STATE = AdminState(0, {})


class Overview:
    """Budgets in force in a data directory, and how they stand.

    Args:
        settings: Those of `bursar serve`; `storage.dir` is the data directory.
        now_s: The time.

    Raises:
        StoreFailed: The admin store cannot be read.
    """

    def __init__(self, settings: Settings, now_s: float) -> None:
        self._storage = settings.storage
        self._data_dir = Path(settings.storage.dir)
        self._now_s = now_s
        admin = SqliteAdmin.open_existing(self._data_dir)
        self.state: AdminState = _NO_STATE if admin is None else admin.read()
        self.counts: InForce = in_force(budgets_of(settings.budgets), self.state)
        self._book = BudgetBook(self.counts.budgets)

    @property
    def is_shared(self) -> bool:
        """Whether calls are held in Redis."""
        return self._storage.redis is not None

    def states(self, pattern: ScopePattern | None = None) -> Sequence[BudgetState]:
        """Say how budgets stand, by scope.

        Args:
            pattern: For these scopes only; None for all.

        Returns:
            One for each budget of a single scope, and of those for several one for each scope that has
            anything.

        Raises:
            CallerMistake: There is no such data directory.
            StoreFailed: The ledger, a journal or Redis cannot be read.
        """
        settled, held = self._settled(), self._held()
        scopes = {read_scope(counter.scope) for counter in (*settled, *held)}
        scopes |= {scope for budget in self.counts.budgets if (scope := budget.pattern.scope) is not None}
        asked = None if pattern is None else pattern.scope
        if asked is not None:
            scopes.add(asked)
        if pattern is not None:
            scopes = {scope for scope in scopes if pattern in patterns_of(scope)}
        budgets = self._book.for_scopes(sorted(scopes), self._now_s)
        counters = [counter for _, _, counter in budgets]
        if self._storage.redis is not None:
            levels = asyncio.run(self._read_shared(self._storage.redis, counters))
        else:
            levels = [Level(settled.get(counter, 0), held.get(counter, 0)) for counter in counters]
        states = states_of(budgets, levels, self.counts.stops.keys(), self._now_s)
        outbox = Outbox.open_existing(self._data_dir)
        return [
            _with_alert(state, outbox)
            for state, (budget, scope, _) in zip(states, budgets, strict=True)
            if _says_something(state, budget) or scope == asked
        ]

    def last_call(self, conversation: Scope) -> Entry | None:
        """Return the call of a conversation that arrived last; None where there is none."""
        ledger = self._ledger()
        return None if ledger is None else ledger.last_call(conversation.tenant, conversation.name)

    def drifts(self, *, mends: bool) -> Sequence[Drift]:
        """Compare the counters in Redis with the ledger.

        Args:
            mends: Whether they are set to what the ledger says, but for those that are moving.

        Returns:
            Those that differ, as they stood before.
        """
        url = self._storage.redis
        ledger = self._ledger()
        return [] if url is None or ledger is None else asyncio.run(self._drifts(url, ledger, mends=mends))

    def _ledger(self) -> LedgerReader | None:
        """Open the ledger; None where no call was made yet."""
        if not self._data_dir.is_dir():
            raise CallerMistake(
                f"there is no data directory {self._data_dir}: bursar serve makes it; name the one that it "
                f"uses with --data-dir, or its settings with --config"
            )
        return LedgerReader.open(self._data_dir) if (self._data_dir / FILE_NAME).is_file() else None

    def _settled(self) -> Mapping[Counter, int]:
        ledger = self._ledger()
        if ledger is None:
            return {}
        windows = {_window(budget, self._now_s) for budget in self.counts.budgets}
        found = ledger.settled(window for window in windows if window.unit is not Unit.OPEN_CALLS)
        return {counter: settled.amount for counter, settled in found.items()}

    def _held(self) -> Mapping[Counter, int]:
        """Add up what processes hold, but for calls that the ledger has."""
        held = Tally[Counter]()
        if self.is_shared:
            return held
        ledger = self._ledger()
        for reservation in read_open(self._data_dir):
            if ledger is None or ledger.find(reservation.reservation_id) is None:
                for demand, amount in zip(reservation.demands, reservation.amounts, strict=True):
                    held[demand.counter] += amount
        return held

    async def _read_shared(self, url: str, counters: Sequence[Counter]) -> Sequence[Level]:
        async with AsyncExitStack() as resources:
            return await open_redis(self._storage, url, resources).read(counters, self._now_s)

    async def _drifts(self, url: str, ledger: LedgerReader, *, mends: bool) -> Sequence[Drift]:
        windows = open_windows(self.counts.budgets, self._now_s)
        known = [counter for _, _, counter in self._book.for_scopes(self._named(), self._now_s)]
        async with AsyncExitStack() as resources:
            store = open_redis(self._storage, url, resources)
            found = await find_drift(store, ledger, windows, self._now_s, known=known)
            drifts = [drift for drift in found if self._book.counts_in(drift.counter)]
            return await mend_drifts(store, drifts, self._now_s) if mends else drifts

    def _named(self) -> Iterable[Scope]:
        """Return the scopes that budgets name."""
        return {scope for budget in self.counts.budgets if (scope := budget.pattern.scope) is not None}


def _window(budget: Budget, now_s: float) -> CountedWindow:
    window = budget.calendar.window(budget.period, now_s)
    return CountedWindow(budget.pattern.kind, budget.unit, budget.period, *window)


def _with_alert(state: BudgetState, outbox: Outbox | None) -> BudgetState:
    """Add what became of telling people of the highest step that was reached."""
    if state.alert is None or outbox is None:
        return state
    alert = outbox.find(state.counter, state.alert.at_per_mille)
    return state if alert is None else msgspec.structs.replace(state, alert_state=alert.state)


def _says_something(state: BudgetState, budget: Budget) -> bool:
    return budget.pattern.scope is not None or any(msgspec.structs.astuple(state.level))
