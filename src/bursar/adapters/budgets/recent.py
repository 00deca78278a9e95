"""What is remembered for a while."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values that are kept for at least a span of time, and at most for twice as long.

    They lie in two generations: the old one is dropped whole when the young one has come of age, which costs
    nothing per value.

    Args:
        kept_s: How long a value is kept at least, while there is room.
        items_max: How many there may be. Where more come, the oldest half leaves early.
    """

    def __init__(self, kept_s: float, items_max: int) -> None:
        self._kept_s = kept_s
        self._young_max = max(1, items_max // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._of_age_s = float("-inf")

    def get(self, key: K) -> V | None:
        """Return what was put last under a key, or None."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: K, value: V, now_s: float) -> None:
        """Keep a value, in place of what its key had, for the whole span from now on."""
        if now_s >= self._of_age_s or len(self._young) >= self._young_max:
            self._old = self._young
            self._young = {}
            self._of_age_s = now_s + self._kept_s
        self._young[key] = value

    def remove(self, key: K) -> None:
        """Forget what a key has."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def drop(self, leaves: Callable[[K], bool]) -> None:
        """Forget what the keys have that are to leave."""
        for key in [key for key in (*self._young, *self._old) if leaves(key)]:
            self.remove(key)

    def __len__(self) -> int:
        """Return how many values there are; one that was put again may count twice."""
        return len(self._young) + len(self._old)
