"""One quantity of a subject's calls, and when it has left its baseline: a cumulative sum (Page's CUSUM).

Each value counts by how many spreads it lies above what is usual, less two, and six at most; the sum never
falls below zero. It reaches eight when two values in a row lie six spreads above, or four that lie four
above: by chance about never, while the sum of what is usual stays at zero.
"""

from bursar.policy.anomalies.baseline import Baseline, Departure

_SPREADS_MAX = 6.0
_DRIFT = 2.0
_ALARM = 8.0
# What has been so for a day is usual.
_ACCEPTED_AFTER_S = 86_400.0
# From then on what is seen may be the beginning of something, and is not learned.
_SUSPECT = 4.0


class Series:
    """A quantity that is watched for rising.

    Args:
        spread_min: See `Baseline`.
        rise_min: By how much it must lie above what is usual, on its scale, for anybody to be told.
    """

    def __init__(self, spread_min: float, rise_min: float) -> None:
        self.baseline = Baseline(spread_min)
        self._rise_min = rise_min
        self._sum = 0.0
        self._seen = 0.0
        self._count = 0
        self._since_s = 0.0
        self._is_out = self._is_found = False

    def see(self, value: float, at_s: float, factor: float) -> Departure | None:
        """Take a value; returns a departure once, when it is found.

        Args:
            value: The value, on its scale.
            at_s: When it was seen.
            factor: By what the threshold is multiplied.
        """
        baseline = self.baseline
        if not baseline.is_learned(at_s):
            baseline.learn(value, at_s)
            return None
        usual = baseline.expect(at_s)
        spreads = (value - usual) / baseline.spread
        alarm = _ALARM * factor
        # The sum is bounded, so that it ends soon when things are usual again.
        total = min(self._sum + min(spreads, _SPREADS_MAX) - _DRIFT, 1.5 * alarm)
        if total <= 0.0:
            self._forget()
            baseline.learn(value, at_s)
            return None
        if not self._count:
            self._since_s = at_s
        self._sum = total
        self._count += 1
        # The later values count more: the first may have begun before it.
        self._seen += (value - self._seen) * max(1.0 / self._count, 0.3)
        if total < _SUSPECT:
            baseline.learn(value, at_s)
        elif self._is_out and at_s - self._since_s > _ACCEPTED_AFTER_S:
            self._forget()
            baseline.begin_anew()
            return None
        if self._is_found or total < alarm or self._seen - usual < self._rise_min:
            return None
        self._is_out = self._is_found = True
        return Departure(usual, self._seen, self._since_s)

    def take_back(self) -> None:
        """Find a departure that was too cheap to be told of once more, if it is still one."""
        self._is_found = False

    def _forget(self) -> None:
        self._sum, self._count, self._seen = 0.0, 0, 0.0
        self._is_out = self._is_found = False
