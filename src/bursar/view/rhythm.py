"""How soon calls come again: what a cache entry's worth hangs on.

For each kind of call (a tenant's agent, at the start of a thread or later on) we keep how many calls were
followed within 5 minutes, within an hour, later or never. A call counts once its outcome is known; until
then it says nothing. The first few of a kind are backed by a prior, so that a new agent gets a sensible
decision at its first call.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import msgspec

from bursar.domain.bounded import BoundedDict

SHORT_S = 300.0
LONG_S = 3600.0


class Return(msgspec.Struct, frozen=True, gc=False):
    """How likely something comes again.

    Attributes:
        short: Probability that it does within 5 minutes.
        middle: Probability that it does after 5 minutes but within the hour.
    """

    short: float
    middle: float

    def times(self, share: float) -> "Return":
        """Return how likely it comes again and something else holds, too."""
        return self if share == 1.0 else Return(self.short * share, self.middle * share)


class Prior(msgspec.Struct, frozen=True, gc=False):
    """What to believe before anything was seen.

    Attributes:
        expected: The belief.
        weight: How many observations it is worth.
    """

    expected: Return
    weight: float


@dataclass(slots=True)
class _Tally:
    """What is known of one kind: how many came, and what became of them as far as that is known.

    Whether a call came again soon is known after 5 minutes already.
    """

    arrivals: int = 0
    short: int = 0
    short_known: int = 0
    middle: int = 0
    middle_known: int = 0


@dataclass(slots=True)
class _Open:
    """A call whose successor has not come yet."""

    tally: _Tally
    at_s: float
    short_open: bool = True
    open: bool = True


class Trial:
    """Calls that are given the benefit of the doubt: the first few of all.

    Args:
        calls_max: How many.
    """

    def __init__(self, calls_max: int) -> None:
        self._left = calls_max

    def take(self) -> bool:
        """Whether a call is one of them."""
        self._left -= 1
        return self._left >= 0


class Rhythm:
    """Returns by kind, bounded.

    Args:
        kinds_max: Kinds remembered.
        open_max: Calls of unknown outcome that are followed up at most.
    """

    def __init__(self, kinds_max: int = 20_000, open_max: int = 200_000) -> None:
        self._tallies: BoundedDict[Hashable, _Tally] = BoundedDict(kinds_max)
        self._open: BoundedDict[Hashable, _Open] = BoundedDict(open_max)
        # Each waits with the time at which it was queued; a refreshed one is queued again.
        self._due_short: deque[tuple[float, _Open]] = deque(maxlen=open_max)
        self._due_long: deque[tuple[float, _Open]] = deque(maxlen=open_max)

    def arrive(self, source: Hashable, kind: Hashable, at_s: float) -> None:
        """Count an arrival from a source (a thread, a prefix), which answers its previous one."""
        self._lapse(at_s)
        self.follow(source, at_s)
        tally = self._tallies.get(kind)
        if tally is None:
            tally = _Tally()
            self._tallies.keep(kind, tally)
        tally.arrivals += 1
        entry = _Open(tally, at_s)
        self._open.keep(source, entry)
        # It goes on to wait for the hour when the 5 minutes are over.
        self._due_short.append((at_s, entry))

    def follow(self, source: Hashable, at_s: float) -> None:
        """Book that what came last from a source was followed now."""
        previous = self._open.get(source)
        if previous is None or not previous.open:
            return
        tally = previous.tally
        gap_s = at_s - previous.at_s
        previous.open = False
        tally.middle_known += 1
        if previous.short_open:
            previous.short_open = False
            tally.short_known += 1
        if gap_s <= SHORT_S:
            tally.short += 1
        elif gap_s <= LONG_S:
            tally.middle += 1

    def refresh(self, source: Hashable, at_s: float) -> None:
        """Start a source's time anew without counting an arrival: a cache hit prolongs the entry's life."""
        previous = self._open.get(source)
        if previous is not None and previous.open:
            previous.at_s = at_s

    def arrivals(self, kind: Hashable) -> int:
        """Return how many of a kind have arrived."""
        tally = self._tallies.get(kind)
        return tally.arrivals if tally is not None else 0

    def expect(self, kind: Hashable, prior: Prior, at_s: float) -> Return:
        """Return how likely an arrival of this kind is followed by another."""
        tally = self._tallies.get(kind)
        if tally is None:
            return prior.expected
        self._lapse(at_s)
        weight = prior.weight
        return Return(
            short=(weight * prior.expected.short + tally.short) / (weight + tally.short_known),
            middle=(weight * prior.expected.middle + tally.middle) / (weight + tally.middle_known),
        )

    def _lapse(self, now_s: float) -> None:
        """Book what nothing has followed for 5 minutes, or for an hour."""
        queue, before_s = self._due_short, now_s - SHORT_S
        while queue and queue[0][0] < before_s:
            entry = _take(queue, before_s)
            if entry is not None and entry.open:
                self._due_long.append((entry.at_s, entry))
                if entry.short_open:
                    entry.short_open = False
                    entry.tally.short_known += 1
        queue, before_s = self._due_long, now_s - LONG_S
        while queue and queue[0][0] < before_s:
            entry = _take(queue, before_s)
            if entry is not None and entry.open:
                entry.open = False
                entry.tally.middle_known += 1


def _take(queue: deque[tuple[float, _Open]], before_s: float) -> _Open | None:
    """Take what waits longest; if its time was started anew since, queue it again and return None."""
    _, entry = queue.popleft()
    if entry.at_s < before_s:
        return entry
    queue.append((entry.at_s, entry))
    return None
