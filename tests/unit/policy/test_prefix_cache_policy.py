"""DESIGN's economics of cache marks, as tables."""

from typing import Any

import pytest

from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.domain.decision import Decision
from bursar.domain.prompt import Mark
from bursar.domain.usage import TokenClass
from bursar.policy.case import Case, SharedStart
from bursar.policy.prefix_cache import choose_split, plan_marks
from bursar.view.rhythm import Return
from cache_cases import (
    ANTHROPIC,
    FIVE,
    HOUR,
    NEVER,
    NOW_S,
    OPENAI_AUTOMATIC,
    OPENAI_MARKS,
    case,
    laid_out,
    rates,
    warmed,
)

SOON = Return(0.9, 0.0)


def decided(**changes: Any) -> Decision:
    decision = plan_marks(case(**changes))
    assert decision is not None
    return decision


def marks(**changes: Any) -> dict[int, Mark]:
    return dict(decided(**changes).marks)


@pytest.mark.parametrize(
    ("read_per_mille", "chance", "marked"),
    [
        # (w − i)/(w − r) = 250/1150 = 0.2174 where a read costs a tenth, 250/1200 = 0.2083 at a twentieth.
        (100, 0.2170, False),
        (100, 0.2180, True),
        (50, 0.2080, False),
        (50, 0.2090, True),
        (100, 0.0, False),
        (100, 1.0, True),
    ],
)
def test_the_tail_is_marked_where_the_next_call_is_likely_enough(
    read_per_mille: int, chance: float, marked: bool
) -> None:
    found = marks(layout=laid_out(messages=[[5000]]), rates=rates(read_per_mille), thread=Return(chance, 0.0))
    assert found == ({0: FIVE} if marked else {})


@pytest.mark.parametrize(("chance", "marked"), [(0.2170, False), (0.2180, True)])
def test_a_shared_prefix_is_marked_by_the_arrival_of_new_threads(chance: float, marked: bool) -> None:
    found = marks(layout=laid_out(system=5000, messages=[[300]]), prefix=Return(chance, 0.0))
    assert found == ({0: FIVE} if marked else {})


@pytest.mark.parametrize(("chance", "ttl"), [(0.025, "5m"), (0.035, "1h"), (0.5, "1h")])
def test_an_hour_pays_once_the_loss_of_the_prefix_outweighs_the_premium_on_the_tail(
    chance: float, ttl: str
) -> None:
    # d (w₁ − w₅) / ((S + d)(w₅ − r)) = 1,000 · 750 / (21,000 · 1,150) = 0.031 at S = 20 d.
    layout = laid_out(messages=[[20_000], [500], [500]])
    cache = warmed(laid_out(messages=[[20_000]]), {0: FIVE})
    found = marks(layout=layout, cache=cache, thread=Return(0.9, chance))
    assert found[2] == Mark(ttl)


@pytest.mark.parametrize("size", [999, 1000])
def test_nothing_below_the_minimum_is_marked(size: int) -> None:
    found = marks(layout=laid_out(messages=[[size]]), thread=SOON)
    assert bool(found) == (size >= 1000)


def test_a_shared_prefix_below_the_minimum_is_not_marked_for_itself() -> None:
    found = marks(layout=laid_out(system=900, messages=[[5000]]), prefix=SOON)
    assert found == {}


def test_what_was_read_before_is_read_again_past_the_look_back() -> None:
    old = [[3000], [50], [50]]
    layout = laid_out(messages=[*old, [50] * 30, [50]])
    cache = warmed(laid_out(messages=old), {2: FIVE})
    found = marks(layout=layout, cache=cache, thread=SOON)
    assert set(found) == {2, len(layout.chain) - 1}
    assert cache.look(layout, found, ANTHROPIC, NOW_S).read_tokens == layout.ends[2]


def test_what_is_cached_is_read_even_if_nothing_follows() -> None:
    layout = laid_out(messages=[[3000], [50], [50]])
    cache = warmed(laid_out(messages=[[3000]]), {0: FIVE})
    assert marks(layout=layout, cache=cache) == {0: FIVE}


def test_a_lapsed_entry_is_worth_nothing() -> None:
    layout = laid_out(messages=[[3000], [50], [50]])
    cache = warmed(laid_out(messages=[[3000]]), {0: FIVE})
    assert marks(layout=layout, cache=cache, now_s=NOW_S + 400) == {}


def test_tools_get_a_mark_of_their_own_only_where_system_texts_vary() -> None:
    layout = laid_out(tools=2000, system=2000, messages=[[2000]])
    same = marks(layout=layout, thread=SOON, prefix=SOON)
    varied = marks(layout=layout, thread=SOON, prefix=SOON, system_varies=True)
    assert 0 not in same
    assert {1, 2} <= set(varied) | set(same)


def test_no_block_gets_a_mark_that_takes_none() -> None:
    layout = laid_out(system=2000, messages=[[2000], [100], [100]], unmarkable=[0, 3])
    assert set(marks(layout=layout, thread=SOON, prefix=SOON)) <= {1, 2}
    # An entry may stand where a mark cannot: OpenAI's own breakpoints end whole messages.
    cache = warmed(laid_out(system=2000, messages=[[2000], [100], [100]]), {3: FIVE})
    longer = laid_out(system=2000, messages=[[2000], [100], [100], [100], [100]], unmarkable=[3])
    assert 3 not in marks(layout=longer, cache=cache, thread=SOON)


CLIENT_MARKS: list[dict[int, Mark]] = [
    {},
    {0: FIVE},
    {4: FIVE},
    {0: HOUR, 4: FIVE},
    {0: HOUR, 1: HOUR},
    {1: FIVE, 2: FIVE, 4: FIVE},
    {0: HOUR, 1: HOUR, 2: FIVE, 3: FIVE},
    {0: FIVE, 1: FIVE, 2: FIVE, 3: FIVE, 4: FIVE},
    {0: FIVE, 1: FIVE, 2: FIVE, 3: FIVE, 4: FIVE, 5: FIVE},
]


@pytest.mark.parametrize("theirs", CLIENT_MARKS)
@pytest.mark.parametrize("thread", [SOON, Return(0.5, 0.5), NEVER])
@pytest.mark.parametrize("warm", [None, 1, 3])
def test_a_clients_marks_are_kept_and_completed_within_four_in_a_valid_order(
    theirs: dict[int, Mark], thread: Return, warm: int | None
) -> None:
    sizes: dict[str, Any] = {"tools": 2000, "system": 2000, "messages": [[2000], [100], [100, 100]]}
    layout = laid_out(**sizes, marks=theirs)
    cache = warmed(laid_out(**sizes), {warm: HOUR}) if warm is not None else ProviderCache()
    added = marks(layout=layout, cache=cache, thread=thread, prefix=thread, system_varies=True)
    assert not set(added) & set(theirs)
    assert len(added) <= max(0, 4 - len(theirs))
    together = {**theirs, **added}
    lives = [ANTHROPIC.ttls_s[together[block].ttl] for block in sorted(together)]
    assert lives == sorted(lives, reverse=True)


def test_a_client_that_marks_its_tail_gets_no_second_mark_in_its_last_message() -> None:
    layout = laid_out(system=2000, messages=[[2000], [100], [100, 100]], marks={3: FIVE})
    assert all(block < 3 for block in marks(layout=layout, thread=SOON, prefix=SOON))


def test_the_providers_own_breakpoint_is_left_off_where_nothing_follows() -> None:
    decision = decided(layout=laid_out(messages=[[5000]]), rules=OPENAI_MARKS)
    assert (decision.implicit, dict(decision.marks)) == (False, {})
    assert decision.expected_nusd == 1  # 5,000 tokens at 250 nusd per million.
    likely = decided(layout=laid_out(messages=[[5000]]), rules=OPENAI_MARKS, thread=SOON)
    assert likely.implicit is None


def test_a_client_that_turned_it_off_is_not_overruled() -> None:
    off = CacheOptions(implicit=False)
    decision = decided(layout=laid_out(messages=[[5000]]), rules=OPENAI_MARKS, options=off, thread=SOON)
    assert decision.implicit is None
    assert set(decision.marks) == {0}


def test_automatic_caches_take_no_marks() -> None:
    assert plan_marks(case(laid_out(messages=[[5000]]), rules=OPENAI_AUTOMATIC, thread=SOON)) is None


def test_a_model_without_prices_for_its_cache_is_not_marked() -> None:
    for missing in (TokenClass.CACHE_READ, TokenClass.CACHE_WRITE_5M):
        some = {name: rate for name, rate in rates().items() if name is not missing}
        assert marks(layout=laid_out(messages=[[5000]]), rates=some, thread=SOON) == {}


def test_an_hour_without_a_price_is_never_chosen() -> None:
    some = {name: rate for name, rate in rates().items() if name is not TokenClass.CACHE_WRITE_1H}
    found = marks(layout=laid_out(messages=[[5000]]), rates=some, thread=Return(0.5, 0.5))
    assert HOUR not in found.values()


def test_an_empty_prompt_is_left_alone() -> None:
    assert marks(layout=laid_out(messages=[]), thread=SOON) == {}


def test_a_case_is_only_looked_at() -> None:
    cache = warmed(laid_out(messages=[[3000]]), {0: FIVE})
    given = case(laid_out(messages=[[3000], [50], [50]]), cache=cache, thread=SOON)
    assert isinstance(given, Case)
    assert plan_marks(given) == plan_marks(given)
    assert len(cache) == 1


# A text of 5,200 tokens, whole and split behind its first 5,000.
WHOLE, SPLIT = laid_out(messages=[[5200]]), laid_out(messages=[[5000, 200]])


def chosen(whole: dict[str, Any], *splits: dict[str, Any], **changes: Any) -> int | None:
    return choose_split(case(**whole, **changes), [case(**split, **changes) for split in splits])


@pytest.mark.parametrize(("chance", "index"), [(0.0, None), (0.2170, None), (0.2180, 0), (0.9, 0)])
def test_a_text_is_split_by_the_arrival_of_new_threads_that_begin_with_it(
    chance: float, index: int | None
) -> None:
    starts = (SharedStart(5000, Return(chance, 0.0)),)
    assert chosen({"layout": WHOLE}, {"layout": SPLIT, "split": 0}, starts=starts) == index


def test_a_split_below_the_minimum_is_none() -> None:
    whole, split = laid_out(messages=[[5200]]), laid_out(messages=[[999, 4201]])
    starts = (SharedStart(999, SOON),)
    assert chosen({"layout": whole}, {"layout": split, "split": 0}, starts=starts) is None


def test_what_the_whole_text_reads_is_weighed_against_the_split() -> None:
    starts = (SharedStart(5000, Return(0.3, 0.0)),)
    cache = warmed(WHOLE, {0: FIVE})
    known = {"starts": starts, "thread": SOON, "cache": cache}
    assert chosen({"layout": WHOLE}, {"layout": SPLIT, "split": 0}, **known) is None


def test_of_two_places_the_one_that_comes_more_often_wins_where_the_other_adds_little() -> None:
    short, long = laid_out(messages=[[4000, 1200]]), laid_out(messages=[[4800, 400]])
    splits = ({"layout": short, "split": 0}, {"layout": long, "split": 0})
    often, seldom = SharedStart(4000, Return(0.9, 0.0)), SharedStart(4800, Return(0.1, 0.0))
    assert chosen({"layout": WHOLE}, *splits, starts=(often, seldom)) == 0
    assert chosen({"layout": WHOLE}, *splits, starts=(often, SharedStart(4800, Return(0.9, 0.0)))) == 1


def test_a_split_is_marked_beside_the_tail() -> None:
    starts = (SharedStart(5000, SOON),)
    assert marks(layout=SPLIT, split=0, starts=starts, thread=SOON) == {0: FIVE, 1: FIVE}
