import pytest

from bursar.view.rhythm import Prior, Return, Rhythm

NOTHING = Prior(Return(0.0, 0.0), weight=0.000001)
BELIEF = Prior(Return(0.8, 0.1), weight=2.0)


def seen(rhythm: Rhythm, at_s: float, kind: str = "k") -> tuple[float, float]:
    found = rhythm.expect(kind, NOTHING, at_s)
    return round(found.short, 3), round(found.middle, 3)


def test_before_anything_was_seen_the_prior_holds() -> None:
    rhythm = Rhythm()
    assert rhythm.expect("k", BELIEF, 0.0) == BELIEF.expected
    rhythm.arrive("thread", "k", 0.0)
    # Its outcome is not known yet, so it says nothing.
    assert rhythm.expect("k", BELIEF, 1.0) == BELIEF.expected


@pytest.mark.parametrize(
    ("gap_s", "short", "middle"),
    [(1, 1, 0), (300, 1, 0), (301, 0, 1), (3600, 0, 1), (3601, 0, 0), (100_000, 0, 0)],
)
def test_a_gap_counts_as_short_middle_or_neither(gap_s: float, short: float, middle: float) -> None:
    rhythm = Rhythm()
    rhythm.arrive("thread", "k", 1000.0)
    rhythm.arrive("thread", "other", 1000.0 + gap_s)
    assert seen(rhythm, 1000.0 + gap_s) == (short, middle)


def test_what_nothing_followed_counts_after_five_minutes_and_after_an_hour() -> None:
    rhythm = Rhythm()
    for number in range(4):
        rhythm.arrive(f"thread {number}", "k", 0.0)
    rhythm.arrive("thread 0", "other", 10.0)
    assert seen(rhythm, 11.0) == (1.0, 0.0)
    # By now it is known that three of four did not come again soon; for the hour only one is known.
    assert seen(rhythm, 301.0) == (0.25, 0.0)
    rhythm.arrive("thread 1", "other", 1000.0)
    assert seen(rhythm, 1001.0) == (0.25, 0.5)
    assert seen(rhythm, 3601.0) == (0.25, 0.25)


def test_the_prior_fades_with_what_is_seen() -> None:
    rhythm = Rhythm()
    for number in range(8):
        rhythm.arrive(f"t{number}", "k", 0.0)
    found = rhythm.expect("k", BELIEF, 400.0)
    assert found.short == pytest.approx(2 * 0.8 / (2 + 8))


def test_a_refresh_starts_the_time_anew_without_counting() -> None:
    rhythm = Rhythm()
    rhythm.arrive("prefix", "k", 0.0)
    for at_s in (200.0, 400.0, 600.0):
        rhythm.refresh("prefix", at_s)
        assert rhythm.expect("k", BELIEF, at_s) == BELIEF.expected
    rhythm.arrive("prefix", "other", 850.0)
    assert seen(rhythm, 850.0) == (1.0, 0.0)


def test_a_refreshed_source_lapses_after_its_last_refresh() -> None:
    rhythm = Rhythm()
    rhythm.arrive("prefix", "k", 0.0)
    rhythm.refresh("prefix", 200.0)
    assert rhythm.expect("k", BELIEF, 400.0) == BELIEF.expected
    assert rhythm.expect("k", BELIEF, 501.0).short < BELIEF.expected.short


def test_an_outcome_counts_once() -> None:
    rhythm = Rhythm()
    rhythm.arrive("thread", "k", 0.0)
    rhythm.follow("thread", 10.0)
    rhythm.follow("thread", 20.0)
    rhythm.arrive("thread", "other", 30.0)
    rhythm.expect("k", NOTHING, 100_000.0)
    assert seen(rhythm, 100_000.0) == (1.0, 0.0)


def test_chances_are_chances_whatever_comes() -> None:
    rhythm = Rhythm(kinds_max=8, open_max=16)
    at_s = 0.0
    for number in range(2000):
        at_s += (number * 7919) % 997
        rhythm.arrive(f"t{number % 37}", f"k{number % 5}", at_s)
        if number % 3 == 0:
            rhythm.refresh(f"t{number % 11}", at_s)
        for kind in range(5):
            found = rhythm.expect(f"k{kind}", BELIEF, at_s)
            assert 0 <= found.short <= 1
            assert 0 <= found.middle <= 1


def test_memory_is_bounded() -> None:
    rhythm = Rhythm(kinds_max=50, open_max=100)
    for number in range(5000):
        rhythm.arrive(f"t{number}", f"k{number}", 0.0)
    assert len(rhythm._tallies) <= 50
    assert max(len(rhythm._open), len(rhythm._due_short), len(rhythm._due_long)) <= 100
