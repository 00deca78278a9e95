import pytest

from bursar.policy.routing.curve import (
    Outcome,
    Stakes,
    oracle_curve,
    oracle_strong_calls,
    random_strong_calls,
    sample,
    trace,
)

BOTH = Outcome(1, 1)
ONLY_STRONG = Outcome(0, 1)
ONLY_WEAK = Outcome(1, 0)


def test_costs_are_those_of_the_mix():
    stakes = Stakes(weak_nusd=240_000_000, strong_nusd=24_700_000_000)
    # 70 weak calls at 0.24 and 30 strong ones at 24.7: 16.8 + 741 of 2,470.
    assert stakes.cost_nusd(100, 30) == 757_800_000_000
    assert stakes.saved(100, 30) == pytest.approx(1 - 757.8 / 2470)


def test_a_cascade_pays_both_attempts():
    stakes = Stakes(weak_nusd=1, strong_nusd=10, both_paid=True)
    assert stakes.cost_nusd(10, 3) == 10 + 30
    assert stakes.saved(10, 10) == pytest.approx(-0.1)


def test_the_curve_goes_from_all_weak_to_all_strong():
    curve = trace([0.9, 0.2, 0.6, 0.4], [ONLY_STRONG, BOTH, ONLY_WEAK, BOTH])
    assert [point.strong_calls for point in curve.points] == [0, 1, 2, 3, 4]
    # 3 of 4 right without the strong model, which is right on 3: 1.0; then 4/3, and back.
    assert [point.quality for point in curve.points] == pytest.approx([1, 4 / 3, 1, 1, 1])


def test_a_threshold_sends_as_many_calls_as_its_point_says():
    scores = [0.9, 0.2, 0.6, 0.4, 0.4]
    curve = trace(scores, [BOTH] * 5)
    for point in curve.points:
        assert sum(score >= point.threshold for score in scores) == point.strong_calls


def test_equal_scores_are_not_parted():
    curve = trace([0.5, 0.5, 0.5], [ONLY_STRONG, BOTH, BOTH])
    assert [point.strong_calls for point in curve.points] == [0, 3]


def test_a_score_of_one_cannot_be_kept_from_the_strong_model():
    curve = trace([1.0, 0.5], [BOTH, BOTH])
    assert [point.strong_calls for point in curve.points] == [1, 2]


def test_the_cheapest_point_reaches_the_quality_with_fewest_calls():
    curve = trace([0.9, 0.8, 0.3, 0.1], [ONLY_STRONG, BOTH, ONLY_STRONG, BOTH])
    assert curve.cheapest(0.75).strong_calls == 1
    assert curve.cheapest(0.76).strong_calls == 3
    assert curve.cheapest(0.5).strong_calls == 0


def test_lots_need_calls_in_proportion():
    outcomes = [ONLY_STRONG] * 4 + [BOTH] * 6
    # 60 % without the strong model, 100 % with it only: 90 % needs 30 of 40 points.
    assert random_strong_calls(outcomes, 0.9) == 8
    assert random_strong_calls(outcomes, 0.6) == 0
    assert random_strong_calls(outcomes, 1.0) == 10


def test_knowing_all_outcomes_needs_only_what_is_gained():
    outcomes = [ONLY_STRONG] * 4 + [BOTH] * 5 + [ONLY_WEAK]
    assert oracle_strong_calls(outcomes, 1.0) == 3
    assert oracle_curve(outcomes).cheapest(1.0).strong_calls == 4


def test_scores_of_outcomes_count_in_part():
    outcomes = [Outcome(0.25, 1.0), Outcome(0.5, 0.75)]
    curve = trace([0.8, 0.2], outcomes)
    assert [point.quality for point in curve.points] == pytest.approx([0.75 / 1.75, 1.5 / 1.75, 1])


def test_a_thinned_curve_keeps_its_ends():
    count = 1_000
    curve = trace([number / count for number in range(count)], [BOTH] * count)
    thinned = curve.thinned(10)
    assert len(thinned.points) == 11
    assert (thinned.points[0], thinned.points[-1]) == (curve.points[0], curve.points[-1])


def test_samples_are_means_at_equal_steps():
    good = trace([0.9, 0.1], [ONLY_STRONG, BOTH])
    bad = trace([0.1, 0.9], [ONLY_STRONG, BOTH])
    samples = sample([good, bad], 2)
    assert [each.strong_share for each in samples] == [0, 0.5, 1]
    assert [each.quality for each in samples] == [0.5, 0.75, 1]
