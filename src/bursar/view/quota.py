"""How much a lane may take yet: what it took runs off evenly, a minute's limit in a minute."""

from bursar.domain.lanes import LaneLimits

_MINUTE_MS = 60_000


class _Bucket:
    """One limit, in whole numbers: a unit has 60,000 parts, of which each millisecond sees `limit` run off.

    Args:
        limit: Units a minute.
    """

    __slots__ = ("_at_ms", "_level", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._level = 0
        self._at_ms = 0

    def add(self, units: int, now_ms: int) -> None:
        """Take units, whether there is room or not."""
        self._run_off(now_ms)
        self._level += units * _MINUTE_MS

    def wait_ms(self, units: int, now_ms: int) -> int:
        """Return how long it takes until there is room; more than the limit finds it once all has run off."""
        self._run_off(now_ms)
        over = self._level + min(units, self._limit) * _MINUTE_MS - self._limit * _MINUTE_MS
        return max(0, -(-over // self._limit))

    def _run_off(self, now_ms: int) -> None:
        if now_ms > self._at_ms:
            self._level = max(0, self._level - self._limit * (now_ms - self._at_ms))
            self._at_ms = now_ms


class Quota:
    """What one lane took lately, against its limits.

    A burst may take a whole minute's limit at once, as providers that fill theirs up evenly allow.

    Args:
        limits: What it may take in a minute.
    """

    def __init__(self, limits: LaneLimits) -> None:
        self._requests = None if limits.requests is None else _Bucket(limits.requests)
        self._tokens = None if limits.tokens is None else _Bucket(limits.tokens)

    def take(self, tokens: int, now_s: float) -> None:
        """Count an attempt."""
        now_ms = int(now_s * 1_000)
        if self._requests is not None:
            self._requests.add(1, now_ms)
        if self._tokens is not None:
            self._tokens.add(tokens, now_ms)

    def wait_ms(self, tokens: int, now_s: float) -> int:
        """Return how long it takes until an attempt has room; 0 where it has now."""
        now_ms = int(now_s * 1_000)
        waits_ms = 0
        if self._requests is not None:
            waits_ms = self._requests.wait_ms(1, now_ms)
        if self._tokens is not None:
            waits_ms = max(waits_ms, self._tokens.wait_ms(tokens, now_ms))
        return waits_ms
