"""Deleting, once in a while, what has outlived its time."""

import logging

from bursar.errors import StoreFailed
from bursar.ports import Clock, ContentStore

LOG = logging.getLogger("bursar.content")

_EVERY_S = 60.0


async def keep_purging(content: ContentStore, clock: Clock) -> None:
    """Purge a store about once a minute, until it is cancelled. A purge that fails is tried again."""
    while True:
        await clock.sleep(_EVERY_S)
        try:
            await content.purge(clock.now())
        except StoreFailed as failure:
            LOG.warning("content that has outlived its time could not be deleted: %s", failure)
