"""From what is crossed and found to the outbox: behind the calls' backs, and again until it is there."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from bursar.adapters.alerts.outbox import Outbox
from bursar.domain.alerts import Finding
from bursar.domain.bounded import BoundedDict
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Level, Reservation
from bursar.errors import StoreFailed
from bursar.policy.alerts.crossings import Crossing, CrossingWatch
from bursar.policy.budgets.book import BudgetBook
from bursar.ports import Clock

LOG = logging.getLogger("bursar.alerts")

_LOOK_EVERY_S = 1.0

# Whoever crossed a step tells of it at once. If nobody has by then, nobody lived to do so.
_OTHERS_TELL_WITHIN_S = 10.0

# How often the ledger is gone through for what nobody told of; and at start, and when budgets change.
_REVIEW_EVERY_S = 600.0

_REMEMBERED_S = 400 * 86_400.0
_COUNTERS_MAX = 100_000
_WAITING_MAX = 20_000


class _Seen(NamedTuple):
    """A crossing, when it was seen, and from when on it is recorded, by a clock of this process."""

    crossing: Crossing
    at_s: float
    due_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a recorder learns what has been crossed, beside the calls that settle.

    Attributes:
        book: Returns the budgets in force.
        settled: Reads from the ledger what the counters of budgets have settled, in the windows that hold a
            moment. It blocks, and raises StoreFailed.
    """

    book: Callable[[], BudgetBook]
    settled: Callable[[Sequence[Budget], float], Mapping[Counter, int]]


class Recorder:
    """Sees what is crossed, and writes it down.

    Args:
        sources: Says what counts, and what was crossed while nobody looked.
        outbox: Where it is written.
        clock: The time that calls go by.
        notifiers: Names of those who can be told.
    """

    def __init__(self, sources: Sources, outbox: Outbox, clock: Clock, notifiers: Collection[str]) -> None:
        self._sources = sources
        self._watch = CrossingWatch(sources.book())
        self._outbox = outbox
        self._clock = clock
        self._notifiers = notifiers
        self._waiting: list[_Seen] = []
        self._deferred: list[_Seen] = []
        self._findings: list[Finding] = []
        self._recorded = BoundedDict[Counter, int](_COUNTERS_MAX)
        self._reviewed: BudgetBook | None = None
        self._review_at_s = 0.0
        self._failure = ""
        self._crossed = asyncio.Event()
        self.recorded = asyncio.Event()

    def observe(self, reservation: Reservation, amounts: Sequence[int], levels: Sequence[Level]) -> None:
        """Look at what a call has settled; see `CrossingWatch.look`. It never waits."""
        watch = self._watch
        book = self._sources.book()
        if book is not watch.book:
            watch.replace(book)
        if not watch.is_idle and watch.look(reservation, amounts, levels):
            self._crossed.set()

    def tell(self, finding: Finding) -> None:
        """Take something that was found and is to be told. It never waits."""
        self._findings.append(finding)
        # Those that cannot be written for so long are old by then.
        del self._findings[:-_WAITING_MAX]
        self._crossed.set()

    async def keep_recording(self) -> None:
        """Record what is crossed, for ever."""
        while True:
            try:
                await self.record()
                await self._review()
            except StoreFailed as failure:
                self._tell(str(failure))
            except Exception as error:  # noqa: BLE001 - Whatever breaks once, people must go on being told.
                self._tell(f"recording failed ({type(error).__name__})")
            else:
                self._failure = ""
            self._crossed.clear()
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._crossed.wait()
            except TimeoutError:
                continue

    async def record(self, *, all_of_it: bool = False) -> None:
        """Record what waits.

        Args:
            all_of_it: Also what others may still tell of: nothing comes later.

        Raises:
            StoreFailed: It goes on waiting.
        """
        await self._record_findings()
        self._gather()
        now_s = time.monotonic()
        ripe = [each for each in self._deferred if all_of_it or each.due_s <= now_s]
        later = [each for each in self._deferred if not all_of_it and each.due_s > now_s]
        batch = [*self._waiting, *ripe]
        if not batch:
            return
        crossings = [(each.crossing, each.at_s) for each in batch]
        due = await asyncio.to_thread(self._outbox.record, crossings, self._notifiers, time.time())
        self._waiting, self._deferred = [], later
        for crossing, _ in crossings:
            steps = crossing.fresh or crossing.missed
            self._recorded.keep(crossing.counter, steps[-1].at_per_mille)
        if due:
            self.recorded.set()

    async def _record_findings(self) -> None:
        findings = tuple(self._findings)
        if not findings:
            return
        new = await asyncio.to_thread(self._outbox.record_findings, findings, self._notifiers, time.time())
        # Others may have come meanwhile, or these been forgotten.
        self._findings = [each for each in self._findings if each not in findings]
        if new:
            self.recorded.set()

    def forget(self, belongs: Callable[[str], bool]) -> None:
        """Forget what was crossed by scopes, as `str(Scope)` writes them, and is not recorded yet."""
        self._gather()
        self._waiting = [each for each in self._waiting if not belongs(each.crossing.counter.scope)]
        self._deferred = [each for each in self._deferred if not belongs(each.crossing.counter.scope)]
        self._findings = [each for each in self._findings if not belongs(each.scope)]
        self._recorded.drop(lambda counter: belongs(counter.scope))

    async def close(self) -> None:
        """Record a last time what waits; what cannot be recorded is found in the ledger at the next start."""
        try:
            await self.record(all_of_it=True)
        except StoreFailed as failure:
            LOG.error("alerts could not be recorded; the next start looks for them: %s", failure)  # noqa: TRY400 - The message says it all.

    def _gather(self) -> None:
        """Take what the watch has seen: what was crossed just now is told at once, the rest later."""
        at_s = self._clock.now()
        for crossing in self._watch.take():
            if crossing.fresh:
                self._waiting.append(_Seen(msgspec.structs.replace(crossing, missed=()), at_s))
            if crossing.missed:
                self._defer(crossing, at_s)
        for kept in (self._waiting, self._deferred):
            del kept[:-_WAITING_MAX]

    def _defer(self, crossing: Crossing, at_s: float) -> None:
        missed = msgspec.structs.replace(crossing, fresh=())
        self._deferred.append(_Seen(missed, at_s, time.monotonic() + _OTHERS_TELL_WITHIN_S))

    async def _review(self) -> None:
        """Look through the ledger for what was crossed and never recorded."""
        book = self._sources.book()
        if book is not self._watch.book:
            self._watch.replace(book)
        if self._watch.is_idle or (book is self._reviewed and time.monotonic() < self._review_at_s):
            return
        at_s = self._clock.now()
        settled = await asyncio.to_thread(self._sources.settled, self._watch.budgets, at_s)
        for crossing in self._watch.review(settled):
            if crossing.missed[-1].at_per_mille > self._recorded.get(crossing.counter, 0):
                self._defer(crossing, at_s)
        self._reviewed, self._review_at_s = book, time.monotonic() + _REVIEW_EVERY_S
        await asyncio.to_thread(self._outbox.forget, at_s - _REMEMBERED_S)

    def _tell(self, failure: str) -> None:
        """Log a failure once, not every second."""
        if failure != self._failure:
            LOG.warning("alerts cannot be recorded, and are kept and tried again: %s", failure)
        self._failure = failure
