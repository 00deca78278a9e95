from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cache_rules
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.domain.prompt import Mark, digest
from bursar.domain.usage import TokenClass
from bursar.replay.optimum import Optimum, PromptCall

# Nanodollars a token: 3000 plain, 300 read, 3750 written for 5 minutes, 6000 for an hour.
PLAIN, READ, WRITE, LONG = 3_000, 300, 3_750, 6_000
RATES = {
    TokenClass.INPUT: PLAIN * 1_000_000,
    TokenClass.CACHE_READ: READ * 1_000_000,
    TokenClass.CACHE_WRITE_5M: WRITE * 1_000_000,
    TokenClass.CACHE_WRITE_1H: LONG * 1_000_000,
}
RULES = replace(cache_rules.ANTHROPIC, minimum_tokens=100)


@dataclass(frozen=True)
class Prefixes:
    chain: Sequence[bytes]
    ends: Sequence[int]
    message_ends: Sequence[int] = field(default_factory=list[int])


def prompt(*blocks: tuple[str, int]) -> Prefixes:
    chain: list[bytes] = []
    ends: list[int] = []
    for name, tokens in blocks:
        chain.append(digest((chain[-1] if chain else b"") + name.encode()))
        ends.append((ends[-1] if ends else 0) + tokens)
    return Prefixes(chain, ends)


def least(*calls: tuple[float, Prefixes], lasting_s: float = 0.0) -> int:
    optimum = Optimum()
    for at_s, prefixes in calls:
        optimum.add(PromptCall(at_s, at_s + lasting_s, prefixes, RULES, RATES, 1_000_000))
    return optimum.total_nusd()


A, B, C = ("a", 500), ("b", 40), ("c", 60)


def test_a_lone_call_writes_nothing() -> None:
    assert least((0, prompt(A, B))) == 540 * PLAIN


def test_a_thread_writes_each_block_once_and_its_last_call_nothing() -> None:
    # a written, then read twice; b written, then read; c plain.
    expected = 500 * (WRITE + 2 * READ) + 40 * (WRITE + READ) + 60 * PLAIN
    assert least((0, prompt(A)), (10, prompt(A, B)), (20, prompt(A, B, C))) == expected


def test_what_comes_again_too_late_is_never_written() -> None:
    assert least((0, prompt(A)), (3_600, prompt(A))) == 2 * 500 * PLAIN


def test_a_gap_of_half_an_hour_is_worth_a_long_write() -> None:
    # 6000 + 2 x 300 beats 3 x 3000; with one return only, 6300 does not beat 6000.
    assert least((0, prompt(A)), (1_800, prompt(A)), (3_600, prompt(A))) == 500 * (LONG + 2 * READ)
    assert least((0, prompt(A)), (1_800, prompt(A))) == 2 * 500 * PLAIN


def test_nothing_shorter_than_the_minimum_is_cached() -> None:
    short = prompt(("a", 99))
    assert least((0, short), (10, short)) == 2 * 99 * PLAIN


def test_what_lies_before_the_minimum_is_cached_with_what_reaches_it() -> None:
    assert least((0, prompt(B, A)), (10, prompt(B, A))) == 540 * (WRITE + READ)
    # Both share 40 tokens only, which no entry can hold.
    assert least((0, prompt(B, A)), (10, prompt(B, ("x", 500)))) == 2 * 540 * PLAIN


def test_calls_before_the_first_answer_begins_all_pay() -> None:
    calls = [(0.0, prompt(A)), (1.0, prompt(A)), (60.0, prompt(A))]
    assert least(*calls, lasting_s=30) == 500 * (WRITE + PLAIN + READ)
    assert least(*calls) == 500 * (WRITE + 2 * READ)


def test_a_prefix_that_threads_share_is_written_once_for_all() -> None:
    threads = [(float(at_s), prompt(A, (f"user {at_s}", 50))) for at_s in range(0, 1_000, 100)]
    assert least(*threads) == 500 * (WRITE + 9 * READ) + 10 * 50 * PLAIN


def test_without_cache_rules_all_is_plain() -> None:
    optimum = Optimum()
    for at_s in (0.0, 1.0):
        optimum.add(PromptCall(at_s, at_s, prompt(A), None, RATES, 1_000_000))
    assert optimum.total_nusd() == 2 * 500 * PLAIN


def test_a_tier_multiplies_every_rate() -> None:
    optimum = Optimum()
    optimum.add(PromptCall(0, 0, prompt(A), RULES, RATES, 500_000))
    assert optimum.total_nusd() == 250 * PLAIN


def test_a_dead_prefix_is_forgotten_and_stays_paid_for() -> None:
    optimum = Optimum()
    for at_s in (0.0, 10.0, 10_000.0):
        block = (f"at {at_s // 100}", 500)
        optimum.add(PromptCall(at_s, at_s, prompt(block), RULES, RATES, 1_000_000))
    assert len(optimum._nodes) == 1
    assert optimum.total_nusd() == 500 * (WRITE + READ + PLAIN)


Marks = Mapping[int, Mark]
BLOCKS = st.lists(st.tuples(st.sampled_from("abc"), st.just(60)), min_size=1, max_size=7)
CALLS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 5.0, 200.0, 299.0, 300.0, 1_500.0, 3_599.0, 4_000.0)),  # since the last call
        st.sampled_from((0.0, 0.0, 20.0)),  # until the answer begins
        BLOCKS,
        st.dictionaries(st.integers(0, 6), st.sampled_from(("5m", "1h")), max_size=4),
    ),
    min_size=1,
    max_size=14,
)


@given(CALLS)
def test_no_way_of_marking_costs_less(
    calls: list[tuple[float, float, list[tuple[str, int]], dict[int, str]]],
) -> None:
    cache, optimum, paid, now_s = ProviderCache(), Optimum(), 0, 0.0
    beginning: list[tuple[float, Prefixes, object]] = []
    for since_s, until_s, blocks, ttls in calls:
        now_s += since_s
        for begun in sorted([b for b in beginning if b[0] <= now_s], key=lambda b: b[0]):
            cache.keep(begun[1], begun[2], RULES, begun[0])  # type: ignore[arg-type]
        beginning = [b for b in beginning if b[0] > now_s]
        prefixes = prompt(*blocks)
        marks = {block: Mark(ttl) for block, ttl in ttls.items() if block < len(blocks)}
        outcome = cache.look(prefixes, marks, RULES, now_s, CacheOptions())
        paid += outcome.input_tokens * PLAIN + outcome.read_tokens * READ
        paid += outcome.writes.get(TokenClass.CACHE_WRITE_5M, 0) * WRITE
        paid += outcome.writes.get(TokenClass.CACHE_WRITE_1H, 0) * LONG
        beginning.append((now_s + until_s, prefixes, outcome))
        optimum.add(PromptCall(now_s, now_s + until_s, prefixes, RULES, RATES, 1_000_000))
    assert optimum.total_nusd() <= paid


@pytest.mark.parametrize("missing", [TokenClass.CACHE_READ, TokenClass.CACHE_WRITE_5M])
def test_a_class_without_a_rate_is_never_chosen(missing: TokenClass) -> None:
    rates = {token_class: rate for token_class, rate in RATES.items() if token_class is not missing}
    optimum = Optimum()
    for at_s in (0.0, 10.0):
        optimum.add(PromptCall(at_s, at_s, prompt(A), RULES, rates, 1_000_000))
    assert optimum.total_nusd() == 2 * 500 * PLAIN
