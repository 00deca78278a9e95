"""How lanes fare: which of them a call had better take.

A thread stays where its last call went, since its prompt is cached there; others meet where the same tenant's
agent goes. Who finds no room there goes on to the next; lanes that fail are left alone for a while, and
tried again by one call at a time.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.domain.lanes import Lane, ProviderLanes
from bursar.domain.prompt import digest
from bursar.view.breaker import Breaker, LaneState
from bursar.view.quota import Quota

# Model names come from clients.
_BREAKERS_MAX = 4_096
_HOMES_MAX = 100_000

# Statuses that say that a lane cannot serve now. What is wrong with a request is wrong on all lanes.
_LIMITED = 429
_FAILED = frozenset((_LIMITED, 500, 502, 503, 504, 529))
_UNAUTHORISED = 401
_FORBIDDEN = 403

# In the place of a model, for what holds of all of them.
_ALL = ""


class Load(msgspec.Struct, frozen=True, gc=False):
    """What a call puts on a lane.

    Attributes:
        model: The model that it asks for.
        tokens: Tokens that count towards the lane's limit.
        affinity: Names those who had better meet on one lane, such as a tenant's agent.
        thread: The thread that had better stay where it was; empty for none.
    """

    model: str
    tokens: int = 0
    affinity: bytes = b""
    thread: str = ""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an attempt ended, as far as it says something about its lane.

    Attributes:
        status: The HTTP status; None where there was no response, or it broke off.
        retry_after_s: For how long the provider wants to be left alone; None where it does not say.
        sent_at_s: When it was sent; None where nothing happened to the lane meanwhile.
        left: Whether the client left, so that it says nothing.
    """

    status: int | None
    retry_after_s: float | None = None
    sent_at_s: float | None = None
    left: bool = False

    @property
    def kind(self) -> str:
        """Name it for metrics: one of a few words."""
        if self.left:
            return "left"
        if self.status is None:
            return "unreachable"
        if self.status == _LIMITED:
            return "rate_limited"
        if self.status in _FAILED:
            return "failed"
        if self.status in {_UNAUTHORISED, _FORBIDDEN}:
            return "unauthorised"
        return "ok" if self.status < 400 else "refused"


@dataclass(frozen=True, slots=True)
class _Standing:
    """How one lane stands for one call.

    Attributes:
        lane: Its name.
        state: Whether it is well.
        wait_s: How long until it can be tried, or has room.
    """

    lane: str
    state: LaneState
    wait_s: float


class Lanes:
    """All lanes, and how they fare. Not thread-safe.

    Args:
        providers: The providers. Of one that is not among them, its name is taken for its only lane's.
    """

    def __init__(self, providers: Iterable[ProviderLanes] = ()) -> None:
        self._only: dict[str, tuple[str, ...]] = {}
        self._several: dict[str, tuple[Lane, ...]] = {}
        self._weights: dict[str, int] = {}
        self._quotas: dict[str, Quota] = {}
        self._keyed: set[str] = set()
        for provider in providers:
            self._add(provider)
        self._breakers: BoundedDict[tuple[str, str], Breaker] = BoundedDict(_BREAKERS_MAX)
        self._homes: BoundedDict[str, str] = BoundedDict(_HOMES_MAX)
        self._attempts: Counter[tuple[str, str]] = Counter()

    def _add(self, provider: ProviderLanes) -> None:
        lanes = provider.lanes
        self._keyed.update(lane.name for lane in lanes if lane.key is not None)
        if len(lanes) == 1:
            self._only[provider.name] = (lanes[0].name,)
            return
        self._several[provider.name] = lanes
        self._weights.update(_weights(lanes))
        self._quotas.update((lane.name, Quota(lane.limits)) for lane in lanes if not lane.limits.is_unlimited)

    def order(self, provider: str, load: Load, now_s: float) -> tuple[str, ...]:
        """Return a provider's lanes, the one to try first at the front.

        Those that are to be left alone come last, the one whose pause ends first before the others: a call
        is not refused because of what we think of a lane. Where the first one was left alone and its pause
        is over, this call is the one that tries it: until it has `ended`, or for a minute if it is never
        sent, nobody else is sent there first.

        Args:
            provider: The provider section's name.
            load: What the call puts on a lane.
            now_s: The time.
        """
        only = self._only.get(provider)
        if only is not None:
            return only
        lanes = self._several.get(provider)
        if lanes is None:
            return (provider,)
        ready: list[str] = []
        others: list[_Standing] = []
        for name in self._preferred(lanes, load):
            standing = self._stand(name, load, now_s)
            is_ready = standing.state is LaneState.CLOSED and not standing.wait_s
            if is_ready or (
                standing.state is LaneState.HALF_OPEN and not ready and self._claim(standing, load, now_s)
            ):
                ready.append(name)
            else:
                others.append(standing)
        others.sort(key=_rank)
        return (*ready, *(standing.lane for standing in others))

    def wait_s(self, lane: str, model: str, now_s: float) -> float:
        """Return for how long a lane's provider wants to be left alone yet, by its own word; 0 for not."""
        breaker = self._breakers.get((lane, model))
        return 0.0 if breaker is None else max(0.0, breaker.rests_until_s - now_s)

    def sent(self, lane: str, load: Load, now_s: float) -> None:
        """Take note that an attempt is sent."""
        quota = self._quotas.get(lane)
        if quota is not None:
            quota.take(load.tokens, now_s)
        if load.thread and lane in self._weights:
            self._homes.keep(load.thread, lane)
        for breaker in self._both(lane, load.model):
            breaker.sent(now_s)

    def ended(self, lane: str, model: str, outcome: Outcome, now_s: float) -> None:
        """Take note of how an attempt ended; also of one that was not made, as if the client had left."""
        self._attempts[lane, outcome.kind] += 1
        status = outcome.status
        sent_at_s = math.inf if outcome.sent_at_s is None else outcome.sent_at_s
        if outcome.left:
            for breaker in self._both(lane, model):
                breaker.gave_up(sent_at_s)
        elif status == _UNAUTHORISED and lane in self._keyed:
            self._breaker(lane, _ALL).refused_key(sent_at_s, now_s)
        elif status == _FORBIDDEN and lane in self._keyed:
            self._breaker(lane, model).refused_key(sent_at_s, now_s)
        elif status is None or status in _FAILED:
            self._fail(lane, model, outcome, sent_at_s, now_s)
        else:
            for breaker in self._both(lane, model):
                breaker.succeeded(sent_at_s)

    def states(self, now_s: float) -> Mapping[str, LaneState]:
        """Return how each lane is doing: of several models, the worst."""
        states = dict.fromkeys(self._names(), LaneState.CLOSED)
        for (lane, _), breaker in self._breakers.items():
            state = breaker.state(now_s)
            if _BADNESS[state] > _BADNESS[states.get(lane, LaneState.CLOSED)]:
                states[lane] = state
        return states

    @property
    def attempts(self) -> Mapping[tuple[str, str], int]:
        """How many attempts there were, by lane and how they ended."""
        return self._attempts

    def _names(self) -> Iterator[str]:
        for names in self._only.values():
            yield from names
        for lanes in self._several.values():
            yield from (lane.name for lane in lanes)

    def _preferred(self, lanes: Sequence[Lane], load: Load) -> list[str]:
        """Return lanes by how much a call would like them, were all of them well: its thread's own first."""
        names = sorted([lane.name for lane in lanes], key=lambda name: self._distance(name, load.affinity))
        home = self._homes.get(load.thread) if load.thread else None
        if home in names:
            names.remove(home)
            names.insert(0, home)
        return names

    def _distance(self, lane: str, affinity: bytes) -> float:
        """Return how far a lane is from those who are to meet: rendezvous hashing, weighted by limits.

        A lane that is added or left alone moves only those who are nearest to it.
        """
        drawn = int.from_bytes(digest(lane.encode() + b"\0" + affinity)[:7])
        return -math.log((drawn + 1) / (1 << 56)) / self._weights[lane]

    def _stand(self, lane: str, load: Load, now_s: float) -> _Standing:
        quota = self._quotas.get(lane)
        wait_s = 0.0 if quota is None else quota.wait_ms(load.tokens, now_s) / 1_000
        state = LaneState.CLOSED
        for breaker in self._both(lane, load.model):
            found = breaker.state(now_s)
            if _BADNESS[found] > _BADNESS[state]:
                state = found
            wait_s = max(wait_s, breaker.opens_at_s() - now_s)
        return _Standing(lane, state, wait_s)

    def _claim(self, standing: _Standing, load: Load, now_s: float) -> bool:
        """Let a call be the one that tries a lane that was left alone."""
        if standing.wait_s > 0:
            return False
        half_open = [
            breaker
            for breaker in self._both(standing.lane, load.model)
            if breaker.state(now_s) is LaneState.HALF_OPEN
        ]
        if any(now_s < breaker.probe_until_s for breaker in half_open):
            return False
        for breaker in half_open:
            breaker.claim(now_s)
        return True

    def _fail(self, lane: str, model: str, outcome: Outcome, sent_at_s: float, now_s: float) -> None:
        breaker = self._breaker(lane, model)
        breaker.failed(sent_at_s, now_s, is_limit=outcome.status == _LIMITED)
        if outcome.retry_after_s is not None:
            breaker.rest(outcome.retry_after_s, now_s)
        shut = self._breakers.get((lane, _ALL))
        if shut is not None:
            # Whatever failed, it was not the key.
            shut.gave_up(sent_at_s)

    def _both(self, lane: str, model: str) -> list[Breaker]:
        """Return what is known of a lane's failures, with one model and with all."""
        if not self._breakers:
            return []
        found = (self._breakers.get((lane, model)), self._breakers.get((lane, _ALL)))
        return [breaker for breaker in found if breaker is not None]

    def _breaker(self, lane: str, model: str) -> Breaker:
        breaker = self._breakers.get((lane, model))
        if breaker is None:
            breaker = Breaker()
            self._breakers.keep((lane, model), breaker)
        return breaker


# The worst of what is known of a lane counts.
_BADNESS = {LaneState.CLOSED: 0, LaneState.HALF_OPEN: 1, LaneState.OPEN: 2, LaneState.SHUT: 3}


def _rank(standing: _Standing) -> tuple[int, float]:
    """Rank lanes that are not to be taken first: full ones, those that others try, those left alone."""
    return min(_BADNESS[standing.state], _BADNESS[LaneState.OPEN]), standing.wait_s


def _weights(lanes: Sequence[Lane]) -> dict[str, int]:
    """Return how much lanes may take beside each other, as far as all say that alike."""
    for limits in ([lane.limits.tokens for lane in lanes], [lane.limits.requests for lane in lanes]):
        known = [limit for limit in limits if limit is not None]
        if len(known) == len(lanes):
            return {lane.name: limit for lane, limit in zip(lanes, known, strict=True)}
    return {lane.name: 1 for lane in lanes}
