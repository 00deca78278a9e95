"""Storing what was stopped for its loop, so that it outlives the process and reaches others and people."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from bursar.domain.admin import ItemKind
from bursar.domain.alerts import Finding
from bursar.errors import BursarError, StoreFailed
from bursar.policy.alerts.findings import find_loop
from bursar.ports import AdminStore, Clock
from bursar.settings.stored_loops import BY, loop_item, outlived
from bursar.view.loop_watch import LoopWatch

LOG = logging.getLogger("bursar.loops")

_SAVE_EVERY_S = 0.5
_TIDY_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class LoopKeeper:
    """Stores stops as they come.

    A stop that is lost, because the process was killed within half a second, is found again by the messages
    of the conversation's next call.

    Attributes:
        loops: Where they come from.
        store: Where they go; its watch brings them to every process.
        clock: The time.
        tell: Puts what was stopped among the alerts.
    """

    loops: LoopWatch
    store: AdminStore
    clock: Clock
    tell: Callable[[Finding], None]
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def keep_saving(self) -> None:
        """Store what is stopped, for ever."""
        tidied_s = 0.0
        while True:
            # By the wall's clock, however fast time runs for calls.
            await asyncio.sleep(_SAVE_EVERY_S)
            try:
                await self.save()
                if self.clock.now() - tidied_s >= _TIDY_EVERY_S:
                    tidied_s = self.clock.now()
                    await asyncio.to_thread(self._tidy)
            except StoreFailed as failure:
                LOG.warning("a conversation was stopped, and that cannot be stored yet: %s", failure)

    async def save(self) -> None:
        """Store what was stopped since.

        Raises:
            StoreFailed: It cannot be stored; what is left is tried again.
        """
        # Whoever waits for this goes on to change what is stored: nobody else may still be storing it.
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        unsaved = self.loops.unsaved
        while unsaved:
            stop = unsaved[0]
            try:
                await asyncio.to_thread(self.store.put, loop_item(stop))
                LOG.warning(
                    "conversation %r of tenant %r was stopped: %s", stop.conversation, stop.tenant, stop.why
                )
            except StoreFailed:
                raise
            except BursarError:
                # Its name is one that no store takes; here it stays stopped.
                LOG.warning(
                    "conversation %r of tenant %r was stopped, and cannot be stored: %s",
                    stop.conversation,
                    stop.tenant,
                    stop.why,
                )
            if unsaved and unsaved[0] is stop:
                unsaved.popleft()
                self.tell(find_loop(stop))

    def _tidy(self) -> None:
        for name in list(outlived(self.store.read(), self.clock.now())):
            self.store.remove(ItemKind.LOOP, name, BY, self.clock.now())
