"""Tests of how often what was sent still stands."""

from bursar.view.survival import Survival

AGENT = ("acme", "desk")


def play(survival: Survival, fronts: list[bytes], *, thread: str = "t", chain: bool = True) -> None:
    """Let a thread's calls come, each a block longer than the one before."""
    for number, front in enumerate(fronts):
        prefix = [front] + [b"%d" % n + (front if chain else b"") for n in range(number + 1)]
        survival.see_call(AGENT, thread, prefix, len(prefix))
        survival.see_front(AGENT, front, new_thread=number == 0)


def test_what_nobody_has_seen_counts_as_sure() -> None:
    survival = Survival()
    assert survival.of_calls(AGENT) == survival.of_fronts(AGENT) == 1.0


def test_a_thread_that_only_grows_stands() -> None:
    survival = Survival()
    play(survival, [b"a"] * 10)
    assert survival.of_calls(AGENT) == survival.of_fronts(AGENT) == 1.0


def test_a_front_that_always_changes_is_soon_not_expected_to_stand() -> None:
    survival = Survival()
    play(survival, [b"%d" % n for n in range(5)])
    assert survival.of_calls(AGENT) == survival.of_fronts(AGENT) == 1 / 5
    assert survival.of_calls(("acme", "other")) == 1.0


def test_an_agent_with_a_few_fronts_in_turn_finds_them_again() -> None:
    survival = Survival()
    for number in range(64):
        survival.see_front(AGENT, b"%d" % (number % 8), new_thread=True)
    assert survival.of_fronts(AGENT) > 0.8


def test_an_agent_with_ever_the_same_many_fronts_does_not() -> None:
    survival = Survival()
    for number in range(200):
        survival.see_front(AGENT, b"%d" % (number % 100), new_thread=True)
    assert survival.of_fronts(AGENT) < 0.1


def test_an_agent_that_was_mended_is_soon_believed() -> None:
    survival = Survival()
    for number in range(200):
        survival.see_front(AGENT, b"%d" % number, new_thread=True)
    for _ in range(40):
        survival.see_front(AGENT, b"steady", new_thread=True)
    assert survival.of_fronts(AGENT) > 0.6


def test_a_front_that_a_thread_keeps_says_nothing() -> None:
    survival = Survival()
    survival.see_front(AGENT, b"a", new_thread=True)
    survival.see_front(AGENT, b"b", new_thread=True)
    before = survival.of_fronts(AGENT)
    for _ in range(20):
        survival.see_front(AGENT, b"b", new_thread=False)
    assert survival.of_fronts(AGENT) == before
