"""Calls a minute, against the same hour and its neighbours in earlier weeks, or days at first.

The busiest of the three hours counts, since traffic rises and falls within an hour.
"""

from array import array
from collections import deque

from bursar.policy.anomalies.baseline import HOURS, Departure, hour_of_week

_DAY_HOURS = 24
_MINUTE_S = 60.0
# How much the last week weighs against those before.
_FOLLOWS = 0.3
# One hour moves what is usual by no more than this factor.
_LEARNED_MAX = 2.0
# It takes four times what is usual, and as many standard deviations more as chance never brings.
_TIMES = 4.0
_DEVIATIONS = 8.0
_USUAL_MIN = 0.5


class Rate:
    """The calls of one subject by the minute."""

    def __init__(self) -> None:
        self._weeks = array("f", [-1.0]) * HOURS
        self._days = array("f", [-1.0]) * _DAY_HOURS
        self._last: deque[tuple[float, int, int]] = deque()
        self._minute_calls = self._minute_nusd = 0
        self._hour: int | None = None
        self._hour_calls = 0
        self._hours_seen = 0
        self._out_since_s: float | None = None

    @property
    def nusd_per_hour(self) -> int:
        """What is spent in an hour, by the last minute."""
        return 60 * self._minute_nusd

    def see(self, calls: int, nusd: int, now_s: float, factor: float) -> Departure | None:
        """Take what came since the last time; returns a departure once, when it is found."""
        self._roll(now_s)
        self._hour_calls += calls
        last = self._last
        last.append((now_s, calls, nusd))
        self._minute_calls += calls
        self._minute_nusd += nusd
        while last[0][0] <= now_s - _MINUTE_S:
            _, old_calls, old_nusd = last.popleft()
            self._minute_calls -= old_calls
            self._minute_nusd -= old_nusd
        if self._hours_seen < _DAY_HOURS:
            return None
        usual = self._expect(now_s)
        most = factor * (_TIMES * usual + _DEVIATIONS * usual**0.5 + _DEVIATIONS)
        if self._minute_calls < most:
            if 2 * self._minute_calls < most:
                self._out_since_s = None
            return None
        if self._out_since_s is not None:
            return None
        self._out_since_s = now_s - _MINUTE_S
        return Departure(usual, float(self._minute_calls), self._out_since_s)

    def take_back(self) -> None:
        """Find a departure that was too cheap to be told of once more, if it is still one."""
        self._out_since_s = None

    def _expect(self, now_s: float) -> float:
        hour = hour_of_week(now_s)
        near = [self._of(each % HOURS) for each in (hour - 1, hour, hour + 1)]
        return max(*near, _USUAL_MIN)

    def _of(self, hour: int) -> float:
        week = self._weeks[hour]
        return week if week >= 0 else self._days[hour % _DAY_HOURS]

    def _roll(self, now_s: float) -> None:
        """Learn the hours that have ended since; those without a call, too."""
        hour = int(now_s // 3600)
        if self._hour is None:
            self._hour = hour
        first = max(self._hour, hour - HOURS)
        for ended in range(first, hour):
            rate = self._hour_calls / 60
            self._hour_calls = 0
            # The first hour was not seen from its beginning.
            if self._hours_seen:
                _learn(self._weeks, ended % HOURS, rate)
                _learn(self._days, ended % _DAY_HOURS, rate)
            self._hours_seen += 1
        self._hour = hour


def _learn(rates: "array[float]", place: int, rate: float) -> None:
    known = rates[place]
    if known < 0:
        rates[place] = rate
        return
    least = max(known, _USUAL_MIN)
    rates[place] = known + _FOLLOWS * (min(rate, _LEARNED_MAX * least) - known)
