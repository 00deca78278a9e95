"""What is usual of one quantity: a level, a spread, and how the hours of the week differ from it.

Level and spread are Huber's: what is further off than one and a half spreads counts as if it were only that
far, so that a spike moves them little. They follow within about two days.
"""

from array import array
from math import exp

import msgspec

HOURS = 168
_DAY_HOURS = 24
_DAY_S = 86_400.0
_FOLLOWS_S = 2 * _DAY_S
_CLIP = 1.5
_SPREAD_CLIP = 3.0
# The mean deviation of a normal distribution times this is its standard deviation.
_DEVIATION = 1.2533
# No value moves the level by more than this share of its difference.
_WEIGHT_MAX = 0.25
# The first values count as they are: nothing is known that they could be clipped by.
_BLIND = 20
# An hour follows its last so many values.
_HOUR_VALUES = 500

_LEARNING_VALUES = 50


def hour_of_week(at_s: float) -> int:
    """Return the hour of the week, from Thursday midnight UTC, when the epoch began."""
    return int(at_s // 3600) % HOURS


class Baseline:
    """The usual values of one quantity, on a scale on which they spread evenly (a logarithm, say).

    Until an hour of the week has been seen, the same hour of other days stands for it; until that has been
    seen, nothing is usual at it.

    Args:
        spread_min: The least spread, so that what hardly varies is not found for next to nothing.
    """

    def __init__(self, spread_min: float) -> None:
        self._spread_min = spread_min
        self._level = 0.0
        self._spread = spread_min
        self._count = 0
        self._began_s = self._last_s = 0.0
        self._weeks = _Hours(HOURS)
        self._days = _Hours(_DAY_HOURS)

    def is_learned(self, at_s: float) -> bool:
        """Whether enough was seen to judge by: so many values, over a day at least, and at this hour."""
        if self._count < _LEARNING_VALUES or at_s - self._began_s < _DAY_S:
            return False
        hour = hour_of_week(at_s)
        return self._weeks.is_learned(hour) or self._days.is_learned(hour % _DAY_HOURS)

    def expect(self, at_s: float) -> float:
        """Return what is usual at an hour of the week."""
        hour = hour_of_week(at_s)
        weeks, day_hour = self._weeks, hour % _DAY_HOURS
        return self._level + (weeks.off[hour] if weeks.is_learned(hour) else self._days.off[day_hour])

    @property
    def spread(self) -> float:
        """Return by how much values usually differ from what is expected: a standard deviation."""
        return max(self._spread, self._spread_min)

    def learn(self, value: float, at_s: float) -> None:
        """Take a value into account."""
        if not self._count:
            self._began_s = self._last_s = at_s
        self._count += 1
        weight = max(1.0 / self._count, 1.0 - exp(-max(at_s - self._last_s, 0.0) / _FOLLOWS_S))
        self._last_s = at_s
        spread = self.spread
        error = value - self.expect(at_s)
        if self._count > _BLIND:
            weight = min(weight, _WEIGHT_MAX)
            clipped = max(-_CLIP * spread, min(_CLIP * spread, error))
            deviation = min(abs(error), _SPREAD_CLIP * spread)
        else:
            clipped, deviation = error, abs(error)
        self._level += weight * clipped
        self._spread += weight * (_DEVIATION * deviation - self._spread)
        hour = hour_of_week(at_s)
        off = value - self._level
        self._weeks.learn(hour, off, _CLIP * spread)
        self._days.learn(hour % _DAY_HOURS, off, _CLIP * spread)

    def begin_anew(self) -> None:
        """Forget what was usual: something else is."""
        self.__init__(self._spread_min)


class _Hours:
    """By how much each hour differs from the level."""

    def __init__(self, hours: int) -> None:
        self.off = array("f", [0.0]) * hours
        self._counts = array("H", [0]) * hours

    def is_learned(self, hour: int) -> bool:
        """Whether an hour was seen often enough."""
        return self._counts[hour] >= _BLIND

    def learn(self, hour: int, off: float, clip: float) -> None:
        """Take a value's difference into account; beyond the first, no more of it than the clip."""
        count = min(self._counts[hour] + 1, _HOUR_VALUES)
        self._counts[hour] = count
        error = off - self.off[hour]
        if count > _BLIND:
            error = max(-clip, min(clip, error))
        self.off[hour] += error / count


class Departure(msgspec.Struct, frozen=True):
    """That a quantity has left its baseline.

    Attributes:
        baseline: What is usual,
        observed: and what it is now, both on its scale.
        since_s: When it left.
    """

    baseline: float
    observed: float
    since_s: float
