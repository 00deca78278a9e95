"""Single conversations against all of their kind: how fast they go at their fastest, and what they cost.

A conversation is learned once it has been silent for a while, as a whole: one that runs away counts as one.
"""

from math import exp, inf, log
from typing import Literal

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.policy.anomalies.baseline import Baseline, Departure

# A pace is a count of calls in which those of a minute ago count for a third.
_MINUTE_S = 60.0
_SILENT_S = 900.0
_SPREADS = 5.0
_TIMES_MIN = 2.0
_COST_TIMES_MIN = 4.0
_CALLS_MIN = 10
_SPREAD_MIN = 0.1

_KNOWN_MAX = 5_000


class _Known(msgspec.Struct, gc=False):
    """One conversation. Mutable."""

    last_s: float
    began_s: float
    pace: float = 0.0
    peak: float = 0.0
    calls: int = 0
    nusd: int = 0
    told: bool = False


class _Limit(msgspec.Struct, frozen=True, gc=False):
    """What is usual, and how much more it takes to be told."""

    usual: float
    most: float


_NO_LIMIT = _Limit(0.0, inf)

Aspect = Literal["pace", "cost"]


class Conversations:
    """The conversations of one subject."""

    def __init__(self) -> None:
        self._known: BoundedDict[str, _Known] = BoundedDict(_KNOWN_MAX)
        self._paces = Baseline(_SPREAD_MIN)
        self._costs = Baseline(_SPREAD_MIN)
        self._pace = self._cost = _NO_LIMIT

    def see(self, name: str, nusd: int, at_s: float) -> tuple[Aspect, Departure] | None:
        """Take a call; returns what of its conversation is not as usual, once, when that is found."""
        known = self._known.get(name)
        if known is None:
            known = _Known(at_s, at_s)
            self._known.keep(name, known)
        known.pace = known.pace * exp(-max(at_s - known.last_s, 0.0) / _MINUTE_S) + 1.0
        known.peak = max(known.peak, known.pace)
        known.last_s = at_s
        known.calls += 1
        known.nusd += nusd
        if known.told or known.calls < _CALLS_MIN:
            return None
        if known.pace >= self._pace.most:
            known.told = True
            return "pace", Departure(self._pace.usual, known.pace, max(known.began_s, at_s - _MINUTE_S))
        if known.nusd >= self._cost.most:
            known.told = True
            return "cost", Departure(self._cost.usual, float(known.nusd), known.began_s)
        return None

    def take_back(self, name: str) -> None:
        """Find what was too cheap to be told of once more, if the conversation goes on like that."""
        known = self._known.get(name)
        if known is not None:
            known.told = False

    def learn(self, now_s: float, factor: float) -> None:
        """Learn conversations that have been silent for a while, and forget them: every minute or so."""
        for name in list(self._known):
            known = self._known[name]
            if now_s - known.last_s < _SILENT_S:
                # Those that began later may have ended before; they wait until these have.
                if now_s - known.began_s < _SILENT_S:
                    break
                continue
            del self._known[name]
            self._paces.learn(log(known.peak), known.last_s)
            if known.nusd > 0:
                self._costs.learn(log(known.nusd), known.last_s)
        self._pace = _limit(self._paces, now_s, _TIMES_MIN, factor)
        self._cost = _limit(self._costs, now_s, _COST_TIMES_MIN, factor)


def _limit(baseline: Baseline, at_s: float, times: float, factor: float) -> _Limit:
    if not baseline.is_learned(at_s):
        return _NO_LIMIT
    usual = baseline.expect(at_s)
    return _Limit(exp(usual), exp(usual + max(_SPREADS * factor * baseline.spread, log(times * factor))))
