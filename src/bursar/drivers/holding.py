"""Holding what calls can take: asking the budget store, renewing, and ending what was left behind.

Whatever is held ends. What a call took is counted in the store even if that fails at first; what a call of
this process holds is renewed for as long as it is under way; and what another process left behind ends once
its time is long up, at what the ledger says of it, or else at the whole of what was held.

While the store fails nobody can renew, so that after an outage everything looks as if it was left behind. It
is then left alone until every process that lives has had the time to renew what is its own.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence

from bursar.domain.reservations import Ended, Exceeded, Held, Level, Reservation, Throttled
from bursar.effects import Extend, Reserve, Settle
from bursar.errors import StoreFailed
from bursar.ports import BudgetStore, Clock, HoldJournal

LOG = logging.getLogger("bursar.budgets")

_RETRY_EVERY_S = 1.0

# Several times within the shortest time for which anything is held.
_RENEW_EVERY_S = 20.0
_SWEEP_EVERY_S = 15.0

# Who missed one renewal makes up for it with the next.
OVERDUE_S = 2 * _RENEW_EVERY_S
"""How long after its time is up what was left behind is ended."""

# What fails at one sweep may fail until the next. From then on, everybody renews within this time.
_QUIET_S = _SWEEP_EVERY_S + _RENEW_EVERY_S

# Some 100 MB. With the store down for longer than that lasts, only the ledger knows what further calls took.
_KEPT_MAX = 100_000

Presume = Callable[[Reservation], Awaitable[Sequence[int] | None]]
"""Says what a call took that was left behind: its amounts, as for `BudgetStore.settle`, where the ledger has
it. Where it has not, records it there as having taken all that was held, and returns None; so it does where
only that was recorded."""

Observe = Callable[[Reservation, Sequence[int], Sequence[Level]], None]
"""Learns what a call took of each demand's counter, and how these stand then. It never fails or waits."""


class Holdings:
    """All that the calls of one process hold.

    Args:
        store: Where it is held.
        clock: The time.
        presume: What is made of reservations that were left behind.
        journal: Where what is held is written down; None where the store itself outlives this process.

    Attributes:
        observe: Told of everything that settles; None where nobody is.
    """

    def __init__(
        self, store: BudgetStore, clock: Clock, presume: Presume, journal: HoldJournal | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._presume = presume
        self._journal = journal
        self._open: dict[str, Reservation] = {}
        self._kept: dict[str, Settle | Reservation] = {}
        self._trying: asyncio.Task[None] | None = None
        # How the store was before this process began, nobody knows.
        self._failed_at_s = clock.now()
        self.observe: Observe | None = None

    @property
    def open(self) -> int:
        """Reservations of calls under way."""
        return len(self._open)

    @property
    def kept(self) -> int:
        """Ends that the store is still to be told."""
        return len(self._kept)

    async def hold(self, effect: Reserve | Extend) -> Held | Exceeded | Throttled | Ended | None:
        """Hold what a call asks for; None where the store failed.

        It is the caller's to settle, whatever this returns or raises: the store may hold it all the same.
        """
        reservation = effect.reservation
        ask = self._store.reserve if isinstance(effect, Reserve) else self._store.extend
        self._open[reservation.reservation_id] = reservation
        now_s = self._clock.now()
        try:
            result = await ask(reservation, now_s)
        except StoreFailed as failure:
            self._failed_at_s = self._clock.now()
            LOG.warning("the budget store failed: %s", failure)
            return None
        try:
            if self._journal is not None and isinstance(result, Held):
                self._journal.opened(reservation, now_s)
        except StoreFailed as failure:
            LOG.warning("what calls hold cannot be written down: %s", failure)
            return None
        if isinstance(effect, Reserve) and not isinstance(result, Held):
            del self._open[reservation.reservation_id]
        return result

    async def settle(self, effect: Settle) -> Ended | None:
        """End what a call holds; None where the store failed, and is told as soon as it can be.

        One that is cancelled has told it, or will.
        """
        self._open.pop(effect.reservation.reservation_id, None)
        try:
            return await self._end(effect)
        except StoreFailed as failure:
            if not self._kept:
                LOG.warning("the budget store failed; what calls took is kept and told again: %s", failure)
            self._keep(effect)
            return None
        except asyncio.CancelledError:
            self._keep(effect)
            raise

    def abandon(self, reservation: Reservation, *, sent: bool) -> None:
        """End what a call holds that came to no end of its own.

        If anything was sent, it is as if a process had died: the ledger says what it took, or else all that
        was held counts, there too.
        """
        self._open.pop(reservation.reservation_id, None)
        self._keep(reservation if sent else Settle(reservation, None))

    async def keep_renewing(self) -> None:
        """Renew what calls under way hold, for ever."""
        await self._keep_doing(self._renew, _RENEW_EVERY_S)

    async def keep_sweeping(self) -> None:
        """End what was left behind, for ever."""
        await self._keep_doing(self.sweep, _SWEEP_EVERY_S)

    async def _keep_doing(self, act: Callable[[], Awaitable[object]], every_s: float) -> None:
        while True:
            await self._clock.sleep(every_s)
            try:
                await act()
            except StoreFailed:
                # It will be tried again, and whoever calls meanwhile is told.
                continue
            except Exception as error:  # noqa: BLE001 - Whatever breaks once, what is held must go on being looked after.
                LOG.error("looking after what is held failed: %s", type(error).__name__)  # noqa: TRY400 - A trace could hold a prompt.

    async def _renew(self) -> None:
        by_ttl: dict[int, list[str]] = {}
        for reservation_id, reservation in self._open.items():
            by_ttl.setdefault(reservation.ttl_s, []).append(reservation_id)
        for ttl_s, reservation_ids in by_ttl.items():
            with self._noting_failures():
                await self._store.renew(reservation_ids, ttl_s, self._clock.now())

    async def sweep(self) -> int:
        """End what was left behind. Returns how many reservations that were.

        The ledger has each before the store is told of its end: whatever fails on the way, or whoever dies,
        it is found again, and ends the same.

        Raises:
            StoreFailed: A store could not be asked. What is left is ended the next time.
        """
        swept = 0
        while left := await self._find_left():
            for reservation in left:
                LOG.warning("call %s was left behind; what it held counts", reservation.reservation_id)
                await self._end_left(reservation)
                swept += 1
        return swept

    async def _find_left(self) -> Sequence[Reservation]:
        """Return what was left behind; what is under way here, or about to be ended, ends by itself."""
        # It is asked even where the answer does not count yet: that is how its failures are noticed.
        with self._noting_failures():
            left = await self._store.find_left(self._clock.now(), overdue_s=OVERDUE_S)
        if self._clock.now() - self._failed_at_s < _QUIET_S:
            return ()
        return [
            one
            for one in left
            if one.reservation_id not in self._open and one.reservation_id not in self._kept
        ]

    async def _end_left(self, reservation: Reservation) -> None:
        """End what was left behind.

        Where nobody knows what it took, its end is only presumed: whoever holds it may live all the same,
        unable to reach the store, and then tells it what the call really took.
        """
        amounts = await self._presume(reservation)
        if amounts is not None:
            await self._end(Settle(reservation, amounts))
            return
        ended = await self._store.presume(reservation, self._clock.now())
        if ended is not None and self.observe is not None:
            self.observe(reservation, reservation.amounts, ended.levels)

    @contextlib.contextmanager
    def _noting_failures(self) -> Generator[None]:
        """Note when the store fails at what is asked all the time: an end may fail for reasons of its own."""
        try:
            yield
        except StoreFailed:
            self._failed_at_s = self._clock.now()
            raise

    async def close(self) -> None:
        """Try a last time to tell the store what it has not been told."""
        if self._trying is not None:
            self._trying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trying
        try:
            await self._tell()
        except StoreFailed as failure:
            LOG.critical("the budget store does not know of %d calls' ends: %s", self.kept, failure)

    async def _end(self, effect: Settle) -> Ended:
        reservation, amounts = effect.reservation, effect.amounts
        if amounts is None:
            ended = await self._store.release(reservation, self._clock.now())
        else:
            ended = await self._store.settle(reservation, amounts, self._clock.now())
            if self.observe is not None:
                self.observe(reservation, amounts, ended.levels)
        if self._journal is not None and effect.recorded:
            self._journal.closed(reservation.reservation_id, ended.end, amounts or ())
        return ended

    def _keep(self, end: Settle | Reservation) -> None:
        """Keep an end until the store has been told; of a call that was given up, it is still to be found."""
        reservation = end.reservation if isinstance(end, Settle) else end
        if len(self._kept) >= _KEPT_MAX:
            LOG.critical("call %s is in the ledger only", reservation.reservation_id)
            return
        # To end one twice changes nothing.
        self._kept[reservation.reservation_id] = end
        if self._trying is None:
            self._trying = asyncio.ensure_future(self._keep_telling())

    async def _keep_telling(self) -> None:
        try:
            while self._kept:
                try:
                    await self._tell()
                except StoreFailed:
                    pass
                except Exception as error:  # noqa: BLE001 - One end that fails must not keep all others untold.
                    self._postpone(error)
                if self._kept:
                    await self._clock.sleep(_RETRY_EVERY_S)
        finally:
            self._trying = None

    def _postpone(self, error: Exception) -> None:
        """Put the end that was to be told behind all others."""
        reservation_id = next(iter(self._kept))
        # The error's message may hold a prompt, so it stays out of the log.
        LOG.error("call %s cannot be ended: %s", reservation_id, type(error).__name__)
        self._kept[reservation_id] = self._kept.pop(reservation_id)

    async def _tell(self) -> None:
        while self._kept:
            reservation_id, end = next(iter(self._kept.items()))
            await self._end(end if isinstance(end, Settle) else await self._find_end(end))
            del self._kept[reservation_id]

    async def _find_end(self, reservation: Reservation) -> Settle:
        amounts = await self._presume(reservation)
        if amounts is not None:
            return Settle(reservation, amounts)
        # That the ledger has it by now is not certain, so the journal keeps it.
        return Settle(reservation, reservation.amounts, recorded=False)
