import pytest

from bursar.domain.layout import Layout
from bursar.view.prefixes import SharedPrefixes
from bursar.view.rhythm import Prior, Return
from cache_cases import laid_out

BELIEF = Prior(Return(0.1, 0.0), weight=1.0)
AGENT = laid_out(tools=10, system=20, messages=[[5]])
LONGER = laid_out(tools=10, system=20, messages=[[5], [6], [7]])


def chance(prefixes: SharedPrefixes, at_s: float, layout: Layout = AGENT) -> float:
    return prefixes.expect(layout, BELIEF, at_s).short


def test_a_prefix_that_new_threads_bring_again_is_likely_to_come_again() -> None:
    prefixes = SharedPrefixes()
    assert chance(prefixes, 0.0) == 0.1
    for at_s in range(0, 100, 10):
        prefixes.arrive(AGENT, new_thread=True, at_s=float(at_s))
    assert chance(prefixes, 100.0) > 0.8


def test_further_turns_prolong_an_entry_and_are_no_arrivals() -> None:
    prefixes = SharedPrefixes()
    prefixes.arrive(AGENT, new_thread=True, at_s=0.0)
    for at_s in range(0, 1000, 100):
        prefixes.arrive(LONGER, new_thread=False, at_s=float(at_s))
    assert chance(prefixes, 1000.0) == 0.1
    prefixes.arrive(AGENT, new_thread=True, at_s=1100.0)
    assert chance(prefixes, 1100.0) > 0.5


def test_a_prefix_that_nobody_brings_again_becomes_unlikely() -> None:
    prefixes = SharedPrefixes()
    prefixes.arrive(AGENT, new_thread=True, at_s=0.0)
    assert chance(prefixes, 400.0) == pytest.approx(0.05)


def test_a_prompt_without_a_shared_prefix_has_none_to_expect() -> None:
    prefixes = SharedPrefixes()
    alone = laid_out(messages=[[500]])
    prefixes.arrive(alone, new_thread=True, at_s=0.0)
    assert prefixes.expect(alone, BELIEF, 1.0) == Return(0.0, 0.0)
    assert not prefixes.system_varies(alone)


def test_system_texts_vary_once_two_were_seen_under_the_same_tools() -> None:
    prefixes = SharedPrefixes()
    other = laid_out(tools=10, system=21, messages=[[5]])
    prefixes.arrive(AGENT, new_thread=True, at_s=0.0)
    prefixes.arrive(AGENT, new_thread=True, at_s=1.0)
    assert not prefixes.system_varies(AGENT)
    prefixes.arrive(other, new_thread=True, at_s=2.0)
    assert prefixes.system_varies(AGENT)
    assert prefixes.system_varies(other)
    assert not prefixes.system_varies(laid_out(tools=11, system=20, messages=[[5]]))


def test_memory_is_bounded() -> None:
    prefixes = SharedPrefixes(prefixes_max=40)
    for number in range(1000):
        layout = laid_out(tools=number + 1, system=number + 1, messages=[[5]])
        prefixes.arrive(layout, new_thread=True, at_s=float(number))
    tables = (prefixes._system_under_tools, prefixes._varied, prefixes._rhythm._tallies)
    assert max(len(table) for table in tables) <= 40
