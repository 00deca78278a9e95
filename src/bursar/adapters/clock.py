"""The wall's clock, at its own pace or faster."""

import asyncio
import time


class WallClock:
    """Seconds since the epoch; with a scale, the time since the start runs that much faster.

    Args:
        scale: How many seconds pass in one of the wall's; for tests of expiry.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._start_s = time.time()
        self._mark_s = time.monotonic()

    def now(self) -> float:
        """Return the time. It never goes backwards, whatever happens to the wall's clock."""
        return self._start_s + (time.monotonic() - self._mark_s) * self._scale

    @property
    def is_scaled(self) -> bool:
        """Whether it runs at another pace than the wall's, and so than other machines' clocks."""
        return self._scale != 1.0

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of this clock's time."""
        await asyncio.sleep(seconds / self._scale)
