"""What operators set while the gateway runs, put in force.

The admin store's version is looked at every second, so that what a command writes counts about two seconds
later at most. A store that cannot be read changes nothing: what was known goes on.

A limit that is new counts what was taken before it was set. Before it holds, its counters are brought to
what the ledger says. Calls that arrived earlier still go by the old limits; what they take is added to the
new counters once the ledger has it, so that these are exact again when the last of them has ended. Where a
limit was removed and is set again, calls that arrived before its removal still settle in its counters
themselves: only what arrived in between is added.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from bursar.adapters.budgets_rebuild import kept_windows, open_windows
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.admin import AdminState
from bursar.domain.budgets import Budget
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Counter, Period, Unit
from bursar.domain.scopes import ScopePattern
from bursar.errors import StoreFailed
from bursar.exchange.engine import Engine
from bursar.gateway.auth import Guard
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.keys.ring import KeyRing, read_keys
from bursar.ports import AdminStore, BudgetStore, Clock
from bursar.settings.stored import InForce, in_force
from bursar.settings.stored_loops import read_loop_stops
from bursar.settings.stored_tenants import keys_of, tenants_to_forget

LOG = logging.getLogger("bursar.budgets")

_LOOK_EVERY_S = 1.0

# When calls that arrived before a change are looked for in the ledger: soon, and ever more rarely until the
# longest call that settings allow (two hours) must have ended.
_FIRST_LOOK_S = 1.0
_LAST_LOOK_S = 3 * 3_600.0

Replaced = Sequence[tuple[float, BudgetBook]]
"""Budgets that were in force before, as `Engine.replaced` has them."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Other budgets come in force.

    Attributes:
        before: The budgets in force until then,
        after: and from then on.
        replaced: Those before by which calls may still be under way, the oldest first.
    """

    before: BudgetBook
    after: BudgetBook
    replaced: Replaced = ()

    def own(self) -> "_Change":
        """Return the same for another thread: a book is not thread-safe, and the event loop uses these."""
        replaced = [(until_s, BudgetBook(book.budgets)) for until_s, book in self.replaced]
        return _Change(BudgetBook(self.before.budgets), BudgetBook(self.after.budgets), replaced)

    def is_new(self, counter: Counter) -> bool:
        """Whether a counter counts from now on and did not until now."""
        return self.after.counts_in(counter) and not self.before.counts_in(counter)

    def since_s(self, counter: Counter) -> float | None:
        """Return until when a new counter counted before; None where it never did.

        All calls that arrived earlier are in it, or will be when they end.
        """
        until_s = [until_s for until_s, book in self.replaced if book.counts_in(counter)]
        return until_s[-1] if until_s else None


@dataclass(slots=True)
class _Addition:
    """What new counters are still to be given of calls that arrived before they counted.

    Attributes:
        change: What made them count,
        from_s: and from when on.
        windows: What is newly counted.
        given: What the new counters have been given so far.
        wait_s: How long after `from_s` the ledger is asked again.
    """

    change: _Change
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

    async def begin(self, before: BudgetBook, after: BudgetBook, replaced: Replaced = ()) -> int:
        """Bring counters up that only the new budgets count.

        Args:
            before: The budgets in force until now.
            after: The new ones.
            replaced: Those before.

        Returns:
            When the new budgets may hold from: the next whole second.

        Raises:
            StoreFailed: The ledger or the store could not be asked; nothing may be held to the new budgets.
        """
        now_s = self._clock.now()
        windows = open_windows(after.budgets, now_s)
        if not before.budgets:
            windows |= kept_windows(now_s)
        # In a shared store, nobody knows of the others' calls by which budgets they count.
        under_way = () if self._is_shared else [one for one in replaced if one[0] > now_s - _LAST_LOOK_S]
        change = _Change(before, after, under_way)
        given = await asyncio.to_thread(_taken, self._ledger, windows, change)
        for counter, amount in given.items():
            await self._give(counter, amount, is_more=change.since_s(counter) is not None)
        from_s = int(self._clock.now()) + 1
        if not self._is_shared:
            # A window may begin before the new budgets hold.
            windows |= open_windows(after.budgets, from_s)
            self._additions.append(_Addition(change, windows, given, from_s))
        return from_s

    async def add_late(self) -> None:
        """Add what calls took that arrived before new counters counted, and have ended since.

        Raises:
            StoreFailed: The ledger or the store could not be asked; it is tried again.
        """
        now_s = self._clock.now()
        for addition in [each for each in self._additions if each.from_s + each.wait_s <= now_s]:
            taken = await asyncio.to_thread(
                _taken, self._ledger, addition.windows, addition.change, addition.from_s
            )
            for counter, amount in taken.items():
                more = amount - addition.given.get(counter, 0)
                if more > 0:
                    await self._give(counter, more, is_more=True)
            addition.given = taken
            addition.wait_s *= 2
            if addition.wait_s > _LAST_LOOK_S:
                self._additions.remove(addition)

    async def _give(self, counter: Counter, amount: int, *, is_more: bool) -> None:
        """Bring a counter up to an amount, or by it where it is more than what is counted already.

        Calls may settle there meanwhile: what they add stays.
        """
        (level,) = await self._store.read([counter], self._clock.now())
        while True:
            counted = level.settled
            # What other processes have counted already stays.
            least = max(amount, counted) if self._is_shared else amount
            settled = counted + amount if is_more else least
            level = await self._store.correct(counter, settled, self._clock.now(), expected=counted)
            if level.settled == counted:
                return


def _taken(
    ledger: LedgerReader, windows: Iterable[CountedWindow], change: _Change, until_s: int | None = None
) -> dict[Counter, int]:
    """Return what calls that new counters did not count have settled, by the ledger.

    Args:
        ledger: The ledger; reading it blocks.
        windows: Which windows.
        change: Which counters are new, and since when they did not count.
        until_s: Only calls that arrived before then; None for all.
    """
    change = change.own()
    found: dict[Counter, int] = {}
    for window in windows:
        for since_s in (None, *[since_s for since_s, _ in change.replaced]):
            cut = _cut(window, since_s, until_s)
            if cut.end_s is not None and cut.start_s >= cut.end_s:
                continue
            for counter, settled in ledger.settled([cut]).items():
                whole = msgspec.structs.replace(counter, start_s=window.start_s, end_s=window.end_s)
                if change.is_new(whole) and change.since_s(whole) == since_s:
                    found[whole] = settled.amount
    return found


def _cut(window: CountedWindow, since_s: float | None, until_s: int | None) -> CountedWindow:
    """Return that part of a window that lies between two times."""
    if since_s is not None:
        window = replace(window, start_s=max(window.start_s, int(since_s)))
    if until_s is not None and (window.end_s is None or window.end_s > until_s):
        window = replace(window, end_s=until_s)
    return window


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
        forget: Forgets all of a tenant, of which it is told the ids of its keys, too; None where nothing is
            remembered. It may fail as a store does.
    """

    engine: Engine
    store: AdminStore
    own: Sequence[Budget]
    counting: Counting
    clock: Clock
    guard: Guard = field(default_factory=Guard)
    forget: Callable[[str, frozenset[str]], Awaitable[None]] | None = None
    _forgotten: frozenset[str] = frozenset()
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
        # Counters are about to be filled with what is being erased: the first look forgets that.
        self._version = -1 if tenants_to_forget(found) else found.version

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
            await self._forget(found)
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
        if not counts_alike(before, after, now_s):
            from_s = await self.counting.begin(before, after, self.engine.replaced)
        elif counts_alike(after, before, now_s):
            self.engine.replace_budgets(after)
            return now_s
        else:
            # Whoever counts the same again must know which calls still did.
            from_s = int(now_s) + 1
        self.engine.replace_budgets(after, from_s)
        return from_s

    async def _forget(self, found: AdminState) -> None:
        """Forget the tenants that are being erased, once each time."""
        tenants = tenants_to_forget(found)
        for tenant in tenants - self._forgotten:
            if self.forget is not None:
                await self.forget(tenant, keys_of(tenant, found, ()))
        self._forgotten = tenants

    def _stop(self, counts: InForce) -> None:
        self.engine.stops = frozenset(counts.stops)
        for name in counts.ignored:
            LOG.warning("the stored budget %s does not count: bursar.toml says the same", name)

    def _tell(self, failure: str) -> None:
        """Log a failure once, not every second."""
        if failure != self._failure:
            LOG.warning("what operators set cannot be read, and what is known of it goes on: %s", failure)
        self._failure = failure
