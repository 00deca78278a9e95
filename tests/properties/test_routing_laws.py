"""Laws of routing: whatever the text, the scores, the outcomes or the bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import CorruptStore
from bursar.policy.routing.curve import (
    Outcome,
    Stakes,
    oracle_strong_calls,
    random_strong_calls,
    trace,
)
from bursar.policy.routing.features import BUCKETS, read_features
from bursar.policy.routing.model import score
from bursar.policy.routing.model_file import decode, encode
from bursar.policy.routing.signals import PastOutcomes, Signals, read_text_signals, score_signals
from bursar.policy.routing.texts import EXCERPT_CHARS_MAX, read_text
from routing_models import model_by_hand

MODEL = model_by_hand({"hard": 5.0, "easy": -5.0, "0": 2.0})
GOOD = encode(MODEL)
SHARES = st.floats(0, 1)
ANY_TEXT = st.text(st.characters(), max_size=200)

OUTCOMES = st.lists(
    st.tuples(SHARES, st.builds(Outcome, SHARES, SHARES) | st.sampled_from([Outcome(0, 1), Outcome(1, 1)])),
    min_size=1,
    max_size=40,
).filter(lambda rows: sum(outcome.strong for _, outcome in rows) > 0.01)


@given(ANY_TEXT)
def test_any_text_has_a_score(text: str):
    features = read_features(text)
    assert all(0 <= bucket < BUCKETS and count > 0 for bucket, count in features.counts.items())
    assert 0 <= score(MODEL, features) <= 1
    assert 0 <= score_signals(read_text_signals(read_text(text))) <= 1


@given(ANY_TEXT, st.integers(0, 50))
def test_what_is_read_is_bounded(text: str, times: int):
    assert len(read_text(text * times).tokens) <= EXCERPT_CHARS_MAX + 1


@given(ANY_TEXT)
def test_a_text_read_again_is_the_same(text: str):
    assert read_features(text) == read_features(text)


@given(st.lists(SHARES, min_size=8, max_size=8), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_score_of_signals_is_a_share(strengths: list[float], attempts: int, failures: int):
    past = PastOutcomes(attempts, min(failures, attempts))
    assert 0 <= score_signals(Signals(*strengths), past) <= 1


@given(OUTCOMES, st.floats(0.01, 1))
def test_the_cheapest_threshold_keeps_its_word(rows: list[tuple[float, Outcome]], quality: float):
    scores = [score for score, _ in rows]
    outcomes = [outcome for _, outcome in rows]
    point = trace(scores, outcomes).cheapest(quality)
    mixed = [o.strong if s >= point.threshold else o.weak for s, o in rows]
    assert sum(s >= point.threshold for s in scores) == point.strong_calls
    assert sum(mixed) >= quality * sum(o.strong for o in outcomes) - 1e-9


@given(OUTCOMES, st.floats(0.01, 1))
def test_nothing_is_cheaper_than_knowing_all_outcomes(rows: list[tuple[float, Outcome]], quality: float):
    outcomes = [outcome for _, outcome in rows]
    known = oracle_strong_calls(outcomes, quality)
    assert known <= trace([score for score, _ in rows], outcomes).cheapest(quality).strong_calls
    assert known <= random_strong_calls(outcomes, quality) <= len(outcomes)


@given(OUTCOMES)
def test_a_curve_rises_by_calls_as_its_thresholds_fall(rows: list[tuple[float, Outcome]]):
    points = trace([score for score, _ in rows], [outcome for _, outcome in rows]).points
    assert points[-1].strong_calls == len(rows)
    for before, after in pairwise(points):
        assert before.strong_calls < after.strong_calls
        assert before.threshold > after.threshold


@given(st.integers(0, 10**6), st.integers(1, 10**12), st.integers(1, 10**12), st.booleans())
def test_all_strong_saves_nothing_and_all_weak_the_most(
    calls: int, weak_nusd: int, more_nusd: int, both_paid: bool
):
    stakes = Stakes(weak_nusd, weak_nusd + more_nusd, both_paid=both_paid)
    calls += 1
    assert stakes.saved(calls, calls) == (0 if not both_paid else -weak_nusd / stakes.strong_nusd)
    assert stakes.saved(calls, 0) == pytest.approx(1 - weak_nusd / stakes.strong_nusd)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_model_are_told_so(content: bytes):
    with pytest.raises(CorruptStore):
        decode(content, "file")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_taken_for_a_model(place: int, change: int):
    content = bytearray(GOOD)
    content[place] ^= change
    with pytest.raises(CorruptStore):
        decode(bytes(content), "file")
