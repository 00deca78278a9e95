"""What operators set while the gateway runs, put in force.

The admin store's version is looked at every second, so that what a command writes counts about two seconds
later at most. A store that cannot be read changes nothing: what was known goes on.

A limit that is new counts what was taken before it was set. Before it holds, its counters are brought to
what the ledger says. Calls that arrived earlier still go by the old limits; what they take is added to the
new counters once the ledger has it, so that these are exact again when the last of them has ended.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from bursar.adapters.budgets_rebuild import kept_windows, open_windows
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.budgets import Budget
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.domain.scopes import ScopePattern
from bursar.errors import StoreFailed
from bursar.exchange.engine import Engine
from bursar.gateway.auth import Guard
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.keys.ring import KeyRing, read_keys
from bursar.ports import AdminStore, BudgetStore, Clock
from bursar.settings.stored import InForce, in_force
from bursar.settings.stored_loops import read_loop_stops

LOG = logging.getLogger("bursar.budgets")

_LOOK_EVERY_S = 1.0

# When calls that arrived before a change are looked for in the ledger: soon, and ever more rarely until the
# longest call that settings allow (two hours) must have ended.
_FIRST_LOOK_S = 1.0
_LAST_LOOK_S = 3 * 3_600.0


@dataclass(slots=True)
class _Addition:
    """What new counters are still to be given of calls that arrived before they counted.

    Attributes:
        before: The budgets in force until then,
        after: and from then on,
        from_s: and when that is.
        windows: What is newly counted.
        given: What the new counters have been given so far.
        wait_s: How long after `from_s` the ledger is asked again.
    """

    before: BudgetBook
    after: BudgetBook
    windows: frozenset[CountedWindow]
    given: Mapping[Counter, int]
    from_s: int = 0
    wait_s: float = _FIRST_LOOK_S


class Counting:
    """Brings the counters of new limits to what the ledger says.

    Args:
        store: Where the counters are.
        ledger: What is right.
        clock: The time.
        is_shared: Whether other processes count in the same store. Each of them takes a change up in a second
            of its own, so that nobody can say what the others have counted: the counters are then brought
            up once, and `bursar budget reconcile` shows what was missed.
    """

    def __init__(self, store: BudgetStore, ledger: LedgerReader, clock: Clock, *, is_shared: bool) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._is_shared = is_shared
        self._additions: list[_Addition] = []

    async def begin(self, before: BudgetBook, after: BudgetBook) -> int:
        """Bring counters up that only the new budgets count.

        Returns:
            When the new budgets may hold from: the next whole second.

        Raises:
            StoreFailed: The ledger or the store could not be asked; nothing may be held to the new budgets.
        """
        now_s = self._clock.now()
        windows = open_windows(after.budgets, now_s)
        if not before.budgets:
            windows |= kept_windows(now_s)
        given = await asyncio.to_thread(_taken, self._ledger, windows, before, after)
        for counter, amount in given.items():
            # What other processes have counted already stays.
            least = (await self._level(counter)).settled if self._is_shared else 0
            await self._store.correct(counter, max(amount, least), self._clock.now())
        from_s = int(self._clock.now()) + 1
        if not self._is_shared:
            # A window may begin before the new budgets hold.
            windows |= open_windows(after.budgets, from_s)
            self._additions.append(_Addition(before, after, windows, given, from_s))
        return from_s

    async def add_late(self) -> None:
        """Add what calls took that arrived before new counters counted, and have ended since.

        Raises:
            StoreFailed: The ledger or the store could not be asked; it is tried again.
        """
        now_s = self._clock.now()
        for addition in [each for each in self._additions if each.from_s + each.wait_s <= now_s]:
            taken = await asyncio.to_thread(
                _taken, self._ledger, addition.windows, addition.before, addition.after, addition.from_s
            )
            for counter, amount in taken.items():
                more = amount - addition.given.get(counter, 0)
                if more > 0:
                    level = await self._level(counter)
                    await self._store.correct(counter, level.settled + more, self._clock.now())
            addition.given = taken
            addition.wait_s *= 2
            if addition.wait_s > _LAST_LOOK_S:
                self._additions.remove(addition)

    async def _level(self, counter: Counter) -> Level:
        (level,) = await self._store.read([counter], self._clock.now())
        return level


def _taken(
    ledger: LedgerReader,
    windows: Iterable[CountedWindow],
    before: BudgetBook,
    after: BudgetBook,
    until_s: int | None = None,
) -> dict[Counter, int]:
    """Return what counters have settled, by the ledger, that one book counts and another does not.

    Args:
        ledger: The ledger; reading it blocks.
        windows: Which windows.
        before: The book that does not count them.
        after: The book that does.
        until_s: Only calls that arrived before then; None for all.
    """
    # A book is not thread-safe, and the event loop uses these.
    before, after = BudgetBook(before.budgets), BudgetBook(after.budgets)
    found: dict[Counter, int] = {}
    for window in windows:
        cut = window
        if until_s is not None and (window.end_s is None or window.end_s > until_s):
            cut = replace(window, end_s=until_s)
        for counter, settled in ledger.settled([cut]).items():
            whole = msgspec.structs.replace(counter, end_s=window.end_s)
            if after.counts_in(whole) and not before.counts_in(whole):
                found[whole] = settled.amount
    return found


_Form = tuple[ScopePattern, Unit, Period, Calendar, bool]


def counts_alike(before: BudgetBook, after: BudgetBook, at_s: float) -> bool:
    """Whether one book counts nothing that another does not, so that only limits differ."""
    differing = _forms(before) ^ _forms(after)
    if not differing:
        return True
    scopes = [pattern.scope for pattern, *_ in differing]
    return all(
        scope is not None and after.counters(scope, at_s) <= before.counters(scope, at_s) for scope in scopes
    )


def _forms(book: BudgetBook) -> frozenset[_Form]:
    """Return what decides where calls are counted."""
    return frozenset(
        (budget.pattern, budget.unit, budget.period, budget.calendar, budget.throttled_from is not None)
        for budget in book.budgets
    )


@dataclass(slots=True)
class AdminWatch:
    """Keeps an engine's budgets and stops at what operators set.

    Attributes:
        engine: The engine.
        store: What operators set.
        own: The budgets of bursar.toml.
        counting: Brings counters up.
        clock: The time.
        guard: Lets requests in by the keys that operators made.
    """

    engine: Engine
    store: AdminStore
    own: Sequence[Budget]
    counting: Counting
    clock: Clock
    guard: Guard = field(default_factory=Guard)
    _version: int = -1
    _failure: str = ""
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Put in force what is set, before the first call and before counters are brought up.

        Raises:
            StoreFailed: The store cannot be read, and so limits may be missing.
        """
        found = await asyncio.to_thread(self.store.read)
        counts = in_force(self.own, found)
        self.engine.budgets = BudgetBook(counts.budgets)
        self._stop(counts)
        self.engine.loops.replace_stops(read_loop_stops(found))
        self.guard.ring = KeyRing(read_keys(found))
        self._version = found.version

    async def look(self) -> None:
        """Put in force what has changed since.

        Raises:
            StoreFailed: A store cannot be asked; what was in force stays.
        """
        async with self._looking:
            if await asyncio.to_thread(self.store.version) == self._version:
                return
            found = await asyncio.to_thread(self.store.read)
            counts = in_force(self.own, found)
            # A stop waits for nothing that follows, and neither does a key's end; a new key waits for its
            # limits.
            self._stop(counts)
            self.engine.loops.replace_stops(read_loop_stops(found))
            ring, known = KeyRing(read_keys(found)), self.guard.ring.digests
            self.guard.ring = ring.without_new(known)
            from_s = await self._change(BudgetBook(counts.budgets))
            self.guard.ring = ring.with_new_from(known, from_s)
            self._version = found.version

    async def keep_looking(self) -> None:
        """Put in force what changes, for ever."""
        while True:
            # By the wall's clock, however fast time runs for calls.
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self.look()
                await self.counting.add_late()
            except StoreFailed as failure:
                self._tell(str(failure))
            else:
                self._failure = ""

    async def _change(self, after: BudgetBook) -> float:
        """Put budgets in force. Returns from when on they are."""
        before, now_s = self.engine.budgets, self.clock.now()
        if before.budgets == after.budgets:
            return now_s
        if counts_alike(before, after, now_s):
            self.engine.replace_budgets(after)
            return now_s
        from_s = await self.counting.begin(before, after)
        self.engine.replace_budgets(after, from_s)
        return from_s

    def _stop(self, counts: InForce) -> None:
        self.engine.stops = frozenset(counts.stops)
        for name in counts.ignored:
            LOG.warning("the stored budget %s does not count: bursar.toml says the same", name)

    def _tell(self, failure: str) -> None:
        """Log a failure once, not every second."""
        if failure != self._failure:
            LOG.warning("what operators set cannot be read, and what is known of it goes on: %s", failure)
        self._failure = failure
