"""Draws that look random and are not: from a seed, a request's bytes, and how often these came before.

The same run against the same seed behaves the same however its calls are interleaved, and a retry of the
same bytes is a draw of its own.
"""

from bursar.domain.prompt import digest

_SEEN_MAX = 100_000


class Draws:
    """Draws for calls.

    Args:
        seed: Any integer.
    """

    def __init__(self, seed: int) -> None:
        self._seed = str(seed).encode()
        self._seen: dict[bytes, int] = {}

    def start(self, body: bytes) -> "Draw":
        """Return the draws of one call, and remember that its bytes came once more."""
        name = digest(body)
        count = self._seen.pop(name, 0) + 1
        self._seen[name] = count
        if len(self._seen) > _SEEN_MAX:
            for old in list(self._seen)[: _SEEN_MAX // 8]:
                del self._seen[old]
        return Draw(digest(b"%b/%b/%d" % (self._seed, name, count)))


class Draw:
    """Numbers of one call, by what they are for."""

    __slots__ = ("root",)

    def __init__(self, root: bytes) -> None:
        self.root = root

    def number(self, purpose: str) -> int:
        """Return a number of 64 bits."""
        return int.from_bytes(digest(self.root + purpose.encode())[:8], "big")

    def below(self, purpose: str, bound: int) -> int:
        """Return a number from 0 to `bound` − 1."""
        return self.number(purpose) % bound

    def happens(self, purpose: str, rate: float) -> bool:
        """Return whether something that happens at a rate (0 to 1) happens now."""
        return rate > 0 and self.number(purpose) < rate * 2**64
