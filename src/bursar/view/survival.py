"""How often what was sent still stands when the next call comes: what a cache entry needs besides time.

An agent that writes the hour into its instructions goes on with its threads, and never with its prefixes. So
for each kind of agent we keep how often a thread's next call began with all that the one before had sent, and
how often a new thread came with one of the last fronts (tools and system text). Both count as sure
until something else is seen, and the last few dozen count.
"""

from collections.abc import Hashable, Sequence

from bursar.domain.bounded import BoundedDict

# What is believed before anything was seen is worth one observation.
_PRIOR_WEIGHT = 1

# A new thread that comes with one of so many last fronts finds it again; an agent with more of them in turn
# seldom does while an entry lives.
_LATEST_MAX = 16

# Halved once there are so many: an agent that was mended is soon believed.
_SEEN_MAX = 32


class Survival:
    """Shares of prefixes that stood, by kind, bounded.

    Args:
        kinds_max: Kinds remembered.
        threads_max: Threads remembered.
    """

    def __init__(self, kinds_max: int = 20_000, threads_max: int = 200_000) -> None:
        self._threads: BoundedDict[Hashable, tuple[int, int]] = BoundedDict(kinds_max)
        self._fronts: BoundedDict[Hashable, tuple[int, int]] = BoundedDict(kinds_max)
        self._ends: BoundedDict[Hashable, tuple[int, bytes]] = BoundedDict(threads_max)
        self._latest: BoundedDict[Hashable, dict[bytes, None]] = BoundedDict(kinds_max)

    def see_call(self, kind: Hashable, thread: Hashable, chain: Sequence[bytes], end: int) -> None:
        """Learn from a call of a thread.

        Args:
            kind: What kind of agent makes it.
            thread: Its thread.
            chain: Names of its prompt's prefixes.
            end: How many of them come again at the thread's next call, if all stands; at least 1.
        """
        before = self._ends.get(thread)
        if before is not None:
            index, name = before
            _count(self._threads, kind, stood=index < len(chain) and chain[index] == name)
        self._ends.keep(thread, (end - 1, chain[end - 1]))

    def see_front(self, kind: Hashable, front: bytes, *, new_thread: bool) -> None:
        """Learn from the front of a call; the first of a kind says nothing, nor one that its thread had."""
        latest = self._latest.get(kind)
        if latest is None:
            self._latest.keep(kind, {front: None})
            return
        stood = front in latest
        if new_thread or not stood:
            _count(self._fronts, kind, stood=stood)
        latest.pop(front, None)
        latest[front] = None
        if len(latest) > _LATEST_MAX:
            del latest[next(iter(latest))]

    def of_calls(self, kind: Hashable) -> float:
        """Return how likely a thread's next call begins with what was sent."""
        return _share(self._threads.get(kind))

    def of_fronts(self, kind: Hashable) -> float:
        """Return how likely a new thread comes with one of the last fronts."""
        return _share(self._fronts.get(kind))


def _count(tallies: BoundedDict[Hashable, tuple[int, int]], kind: Hashable, *, stood: bool) -> None:
    stood_before, seen = tallies.get(kind, (0, 0))
    if seen >= _SEEN_MAX:
        stood_before, seen = stood_before // 2, seen // 2
    tallies.keep(kind, (stood_before + stood, seen + 1))


def _share(tally: tuple[int, int] | None) -> float:
    stood, seen = (0, 0) if tally is None else tally
    return (_PRIOR_WEIGHT + stood) / (_PRIOR_WEIGHT + seen)
