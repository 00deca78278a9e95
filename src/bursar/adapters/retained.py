"""A ledger that keeps what it could not write, and tries again."""

import asyncio
import contextlib
import logging
from collections import deque

from bursar.domain.ledger import Entry
from bursar.errors import EntryRefused, StoreFailed
from bursar.ports import Clock, Ledger

LOG = logging.getLogger("bursar.ledger")

# Some 300 MB; a call whose entry would be one too many is refused before it is sent.
_KEPT_MAX = 100_000
_RETRY_EVERY_S = 1.0


class RetainedLedger:
    """Keeps entries that failed in memory, in order, until the ledger takes them.

    The calls that they belong to are paid for, so their answers go out. New calls are refused meanwhile
    (`is_well` is false) unless the operator chose to admit them.

    Args:
        ledger: Where entries go.
        clock: Paces the tries.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._kept: deque[Entry] = deque()
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_well(self) -> bool:
        """Whether everything is written."""
        return not self._kept

    @property
    def has_room(self) -> bool:
        """Whether further entries can be kept."""
        return len(self._kept) < _KEPT_MAX

    @property
    def kept(self) -> int:
        """Entries that wait to be written."""
        return len(self._kept)

    async def close(self) -> None:
        """Try a last time to write what is kept; what cannot be written is counted in the log."""
        if self._trying is not None:
            self._trying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trying
        try:
            await self._write_kept()
        except StoreFailed as failure:
            LOG.critical(
                "%d calls are not in the ledger and are lost with this process: %s", self.kept, failure
            )

    async def record(self, entry: Entry) -> None:
        """Return once the entry is durable.

        Raises:
            EntryRefused: It can never be written.
            StoreFailed: It is kept instead, and will be written as soon as it can be.
        """
        try:
            await self._ledger.record(entry)
        except EntryRefused as failure:
            # To keep it would hold up all that come after it, for ever.
            LOG.critical("a call cannot be written to the ledger: %s", failure)
            raise
        except StoreFailed as failure:
            if self.is_well:
                LOG.warning("the ledger cannot be written; entries are kept and tried again: %s", failure)
            self._kept.append(entry)
            if self._trying is None:
                self._trying = asyncio.ensure_future(self._keep_trying())
            raise

    async def _keep_trying(self) -> None:
        try:
            while self._kept:
                await self._clock.sleep(_RETRY_EVERY_S)
                with contextlib.suppress(StoreFailed):
                    await self._write_kept()
        finally:
            self._trying = None
        LOG.warning("the ledger is written again; nothing was lost")

    async def _write_kept(self) -> None:
        while self._kept:
            # Recording one twice changes nothing, so it is dropped only when it is durable.
            await self._ledger.record(self._kept[0])
            self._kept.popleft()
