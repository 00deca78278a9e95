"""Names for calls."""

import secrets
from itertools import count

from bursar.ports import Clock


class TimeOrderedIds:
    """Operation ids that sort by time, so that a ledger's index grows at its end.

    An id is `op-`, the milliseconds since the epoch, a random part that is this process's own, and a
    running number: unique across processes and restarts.

    Args:
        clock: Gives the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process = secrets.token_hex(4)
        self._numbers = count()

    def new(self) -> str:
        """Return a new id."""
        return f"op-{int(self._clock.now() * 1000):012x}-{self._process}-{next(self._numbers):x}"
