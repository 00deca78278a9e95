"""How long threads become, by what was seen of others."""

from bursar.view.lengths import ThreadLengths


def seen(*lengths: int) -> ThreadLengths:
    known = ThreadLengths()
    for calls in lengths:
        for turn in range(calls):
            known.arrive("agent", turn)
    return known


def test_a_thread_alone_is_taken_to_be_half_over() -> None:
    known = seen(11)
    assert known.expect("agent", 10) == 11
    assert ThreadLengths().expect("agent", 10) == 11


def test_where_all_threads_end_soon_few_calls_are_expected() -> None:
    known = seen(*[12] * 50)
    known.arrive("agent", 10)
    assert known.expect("agent", 10) == 2


def test_where_all_threads_are_long_many_calls_are_expected() -> None:
    known = seen(*[100] * 50)
    known.arrive("agent", 0)
    assert 90 <= known.expect("agent", 0) <= 100


def test_another_kind_says_nothing() -> None:
    known = seen(*[100] * 50)
    assert known.expect("other", 0) == 1


def test_turns_and_kinds_are_bounded() -> None:
    known = ThreadLengths(kinds_max=8)
    known.arrive("agent", 10**9)
    assert known.expect("agent", 10**9) == 101
    for number in range(20):
        known.arrive(number, 0)
    assert known.expect("agent", 5) == 6
