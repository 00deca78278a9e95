"""How long an agent's threads become."""

from collections.abc import Hashable

from bursar.domain.bounded import BoundedDict

# Calls beyond this many are as good as endless for any decision.
_TURNS_MAX = 512

# How many threads the belief is worth that a thread goes on for as long as it has gone on.
_PRIOR_THREADS = 2
_PRIOR_CALLS_MAX = 100


class ThreadLengths:
    """How many calls were seen at each turn of a kind's threads, bounded.

    What an old thread is most likely to be is half over; the more threads of its kind were seen to reach its
    age, the more their own ends count. Threads that are still going on count as ended where they are, so
    that what is expected is rather too few calls than too many.

    Args:
        kinds_max: How many kinds are kept. One takes at most 4 KB.
    """

    def __init__(self, kinds_max: int = 4_096) -> None:
        self._seen: BoundedDict[Hashable, list[int]] = BoundedDict(kinds_max)

    def arrive(self, kind: Hashable, turn: int) -> None:
        """Count a call.

        Args:
            kind: The kind of its thread, such as an agent's name.
            turn: Calls of the thread before it.
        """
        seen = self._seen.get(kind)
        if seen is None:
            seen = list[int]()
            self._seen.keep(kind, seen)
        turn = min(turn, _TURNS_MAX - 1)
        if turn >= len(seen):
            seen += [0] * (turn + 1 - len(seen))
        seen[turn] += 1

    def expect(self, kind: Hashable, turn: int) -> int:
        """Return how many calls a thread has yet to come, the one that has just arrived included."""
        prior_calls = 1 + min(turn, _PRIOR_CALLS_MAX)
        after = self._seen.get(kind, [])[turn:]
        if not after or turn >= _TURNS_MAX - 1:
            return prior_calls
        # The thread itself is among those that were seen at this turn, and says nothing of how it goes on.
        others = max(after[0] - 1, 0)
        calls = _PRIOR_THREADS * prior_calls + max(sum(after) - 1, 0)
        return max(calls // (_PRIOR_THREADS + others), 1)
