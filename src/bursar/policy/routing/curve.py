"""Cost against quality for all thresholds of a score.

Quality is that of the mix of both models' answers over that of the strong model alone. Cost is what the mix
costs over what the strong model alone costs: of each call its weak price or its strong one, or both where the
weak model is asked first (a cascade). Prices are whole nanodollars for calls alike, or for a million tokens:
only their ratio counts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import ceil

import msgspec

# Qualities are sums of outcomes that may be fractions; this is what their rounding may take.
_ROUNDING = 1e-12


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How good two models' answers to a prompt were, from 0 (wrong) to 1 (right)."""

    weak: float
    strong: float


class Stakes(msgspec.Struct, frozen=True):
    """What calls cost.

    Attributes:
        weak_nusd: A call of the weak model.
        strong_nusd: A call of the strong model; more than one of the weak model.
        both_paid: Whether the weak model is asked first, and paid even where the strong one is asked too.
    """

    weak_nusd: int
    strong_nusd: int
    both_paid: bool = False

    def cost_nusd(self, calls: int, strong_calls: int) -> int:
        """Return what calls cost, some of which go to the strong model."""
        weak_calls = calls if self.both_paid else calls - strong_calls
        return weak_calls * self.weak_nusd + strong_calls * self.strong_nusd

    def saved(self, calls: int, strong_calls: int) -> float:
        """Return which share is saved of what the strong model alone would cost; may be negative."""
        all_strong_nusd = calls * self.strong_nusd
        return (all_strong_nusd - self.cost_nusd(calls, strong_calls)) / all_strong_nusd


class Point(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A threshold, and what comes of it.

    Attributes:
        threshold: Scores from there up go to the strong model.
        strong_calls: How many calls that is.
        quality: Of the mix over the strong model alone.
    """

    threshold: float
    strong_calls: int
    quality: float


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all thresholds come to.

    Attributes:
        calls: How many calls there are.
        points: From the threshold that sends no call to the strong model to the one that sends all.
    """

    calls: int
    points: tuple[Point, ...]

    def cheapest(self, quality: float) -> Point:
        """Return the point that sends fewest calls to the strong model for a quality of at most 1."""
        return next(point for point in self.points if point.quality >= quality - _ROUNDING)

    def thinned(self, most: int = 100) -> "Curve":
        """Return the curve with fewer points, both ends among them: enough for a model to keep."""
        last = len(self.points) - 1
        chosen = sorted({round(last * number / most) for number in range(most + 1)})
        return Curve(self.calls, tuple(self.points[number] for number in chosen))


class Sample(msgspec.Struct, frozen=True, gc=False):
    """What a score comes to where it sends a share of the calls to the strong model.

    Attributes:
        strong_share: The share.
        quality: Of the mix over the strong model alone.
        threshold: Scores from there up go to the strong model.
    """

    strong_share: float
    quality: float
    threshold: float


def trace(scores: Sequence[float], outcomes: Sequence[Outcome]) -> Curve:
    """Return what all thresholds of a score come to.

    Args:
        scores: A score for each call, from 0 to 1, made without knowing its outcome.
        outcomes: The outcomes, in the same order; the strong model is right at least once.
    """
    ranked = sorted(zip(scores, outcomes, strict=True), key=lambda pair: -pair[0])
    strong_total = sum(outcome.strong for outcome in outcomes)
    totals = _mixed_totals(outcome for _, outcome in ranked)
    points: list[Point] = []
    for strong_calls, total in enumerate(totals):
        threshold = _threshold(ranked, strong_calls)
        if threshold is not None:
            points.append(Point(threshold, strong_calls, total / strong_total))
    return Curve(len(outcomes), tuple(points))


def sample(curves: Sequence[Curve], parts: int = 100) -> list[Sample]:
    """Return the mean of curves of the same calls, at equal steps of what goes to the strong model.

    Args:
        curves: At least one.
        parts: How many steps.
    """
    samples: list[Sample] = []
    for part in range(parts + 1):
        points = [_at(curve, part * curve.calls // parts) for curve in curves]
        samples.append(
            Sample(
                strong_share=sum(point.strong_calls for point in points) / sum(c.calls for c in curves),
                quality=sum(point.quality for point in points) / len(points),
                threshold=sum(point.threshold for point in points) / len(points),
            )
        )
    return samples


def oracle_curve(outcomes: Sequence[Outcome]) -> Curve:
    """Return what a score comes to that knows all outcomes beforehand; its points are to be joined."""
    return trace([(1 + outcome.strong - outcome.weak) / 2 for outcome in outcomes], outcomes)


def random_strong_calls(outcomes: Sequence[Outcome], quality: float) -> int:
    """Return how many calls have to go to the strong model for a quality where they are drawn at random."""
    weak = sum(outcome.weak for outcome in outcomes)
    strong = sum(outcome.strong for outcome in outcomes)
    if weak >= quality * strong - _ROUNDING:
        return 0
    return ceil(len(outcomes) * (quality * strong - weak) / (strong - weak) - _ROUNDING)


def oracle_strong_calls(outcomes: Sequence[Outcome], quality: float) -> int:
    """Return how many calls have to go to the strong model where all outcomes are known beforehand."""
    strong = sum(outcome.strong for outcome in outcomes)
    ranked = sorted(outcomes, key=lambda outcome: outcome.weak - outcome.strong)
    wanted = quality * strong - _ROUNDING
    return next(calls for calls, total in enumerate(_mixed_totals(ranked)) if total >= wanted)


def _at(curve: Curve, strong_calls: int) -> Point:
    """Return the last point that sends at most so many calls to the strong model, or the first of all."""
    number = bisect_right(curve.points, strong_calls, key=lambda point: point.strong_calls)
    return curve.points[max(number - 1, 0)]


def _mixed_totals(ranked: Iterable[Outcome]) -> Iterator[float]:
    """Yield how good all answers are together: with none of the strong model, with the first, and so on."""
    outcomes = tuple(ranked)
    weak_total = sum(outcome.weak for outcome in outcomes)
    return accumulate((outcome.strong - outcome.weak for outcome in outcomes), initial=weak_total)


def _threshold(ranked: Sequence[tuple[float, Outcome]], strong_calls: int) -> float | None:
    """Return a threshold that the first so many scores reach and the others do not; None for none."""
    if strong_calls == len(ranked):
        return 0.0
    below = ranked[strong_calls][0]
    if strong_calls == 0:
        return 1.0 if below < 1 else None
    above = ranked[strong_calls - 1][0]
    middle = (above + below) / 2
    return middle if above >= middle > below else above if above > below else None
