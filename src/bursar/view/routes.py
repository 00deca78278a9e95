"""Where threads' calls went, and what cheaper attempts have come to for each agent."""

from collections.abc import Hashable

import msgspec

from bursar.domain.bounded import BoundedDict

_SEATS_MAX = 100_000
_GAINS_MAX = 20_000

# Fewer calls say too little about an agent.
_JUDGED_CALLS = 20
# What was lost is held against an agent for so long; then it is tried anew.
_GRUDGE_S = 86_400.0
# Older calls count for less: at so many, all sums are halved.
_REMEMBERED_CALLS = 1_000


class Seat(msgspec.Struct, frozen=True, gc=False):
    """Where a thread's last call went.

    Attributes:
        model: Its model.
        tier: The model's tier.
        foreign_messages: So many of the thread's first messages were answered by other models.
        prompt_tokens: Tokens of its prompt,
        output_tokens: and of its answer.
        cheaper_wishes: So many of the thread's last calls could have gone to a cheaper tier, and stayed.
    """

    model: str
    tier: str
    foreign_messages: int
    prompt_tokens: int
    output_tokens: int
    cheaper_wishes: int = 0


class Seats:
    """The seats of threads, bounded.

    Args:
        seats_max: How many are kept; one takes about 0.2 KB.
    """

    def __init__(self, seats_max: int = _SEATS_MAX) -> None:
        self._seats: BoundedDict[str, Seat] = BoundedDict(seats_max)

    def of(self, thread_id: str) -> Seat | None:
        """Return where a thread's last call went; None where that is not known."""
        return self._seats.get(thread_id)

    def take(self, thread_id: str, seat: Seat) -> None:
        """Take note of where a thread's call went."""
        self._seats.keep(thread_id, seat)


class _Gain(msgspec.Struct, gc=False):
    """What routing to one tier has saved an agent, wasted attempts counted. Mutable."""

    calls: int = 0
    saved_nusd: int = 0
    lost_at_s: float | None = None


class Gains:
    """What routing has come to, for each kind of call and tier, bounded.

    Args:
        kinds_max: How many are kept.
    """

    def __init__(self, kinds_max: int = _GAINS_MAX) -> None:
        self._gains: BoundedDict[Hashable, _Gain] = BoundedDict(kinds_max)

    def add(self, kind: Hashable, saved_nusd: int, at_s: float) -> None:
        """Count a call.

        Args:
            kind: Whose it was, and the tier where it went first.
            saved_nusd: What routing saved on it; negative where an attempt was wasted.
            at_s: The time.
        """
        gain = self._gains.get(kind)
        if gain is None:
            gain = _Gain()
            self._gains.keep(kind, gain)
        gain.calls += 1
        gain.saved_nusd += saved_nusd
        if gain.calls >= _REMEMBERED_CALLS:
            gain.calls //= 2
            gain.saved_nusd //= 2
        if gain.calls >= _JUDGED_CALLS and gain.saved_nusd < 0:
            gain.lost_at_s = at_s

    def is_losing(self, kind: Hashable, at_s: float) -> bool:
        """Whether cheaper attempts have cost more than they saved, so that they are not made for a while."""
        gain = self._gains.get(kind)
        if gain is None or gain.lost_at_s is None:
            return False
        if at_s - gain.lost_at_s < _GRUDGE_S:
            return True
        self._gains.keep(kind, _Gain())
        return False
