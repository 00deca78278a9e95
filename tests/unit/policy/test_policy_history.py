"""DESIGN's economics of history, as tables."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bursar.domain.layout import Layout, lay_out
from bursar.domain.prices import Rates
from bursar.domain.prompt import Block, BlockKind, ContentClass, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, TokenRatios
from bursar.domain.usage import TokenClass
from bursar.policy.history.decision import (
    HistoryCase,
    HistoryKind,
    HistoryPlan,
    SummaryOffer,
    decide_history,
)
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.outlook import Outlook, Pricing
from bursar.policy.history.summary import price_summary

RATIOS = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
# In nusd per million tokens, a token costs i = 1,000,000, r = 100,000, w = 1,250,000 millionths.
RATES = {
    TokenClass.INPUT: 1_000_000,
    TokenClass.CACHE_READ: 100_000,
    TokenClass.CACHE_WRITE_5M: 1_250_000,
    TokenClass.OUTPUT: 5_000_000,
}
WARM: Callable[[int], int] = lambda tokens: tokens  # noqa: E731 - it reads as a value.
COLD: Callable[[int], int] = lambda _: 0  # noqa: E731 - the same.
_KINDS = {
    "user": BlockKind.TEXT,
    "say": BlockKind.TEXT,
    "call": BlockKind.TOOL_CALL,
    "result": BlockKind.TOOL_RESULT,
}
_ROLES = {"say": Role.ASSISTANT, "call": Role.ASSISTANT}


def laid_out(*messages: tuple[str, int], system: int = 1_000) -> Layout:
    """A conversation by what each message is, and its tokens."""

    def piece(number: int, what: str, tokens: int) -> Piece:
        name = digest(f"{number} {what} {tokens}".encode())
        block = Block(_KINDS.get(what, BlockKind.TEXT), ContentClass.CHAT, name, tokens)
        return Piece(Role.SYSTEM if what == "system" else _ROLES.get(what, Role.USER), (block,))

    prompt = Prompt(
        tools=(),
        system=(piece(-1, "system", system),),
        messages=tuple(piece(n, what, tokens) for n, (what, tokens) in enumerate(messages)),
    )
    return lay_out(prompt, scope=b"", ratios=RATIOS)


# 1,000 system, 100 task, then old results of 10,000, then 4,000 that are recent: 15,200 in all.
AGENT = laid_out(
    ("user", 100),
    ("call", 50),
    ("result", 10_000),
    ("call", 50),
    ("result", 2_000),
    ("call", 50),
    ("result", 1_950),
)
TALK = laid_out(*[("user", 500), ("say", 500)] * 10, ("user", 500))


def case(layout: Layout = AGENT, **changes: Any) -> HistoryCase:
    known: dict[str, Any] = {
        "layout": layout,
        "pricing": Pricing(lambda _: RATES, TokenClass.CACHE_WRITE_5M),
        "readable": COLD,
        "outlook": Outlook(calls=10),
    }
    return HistoryCase(**{**known, **changes})


def decide(options: HistoryOptions, layout: Layout = AGENT, **changes: Any) -> HistoryPlan:
    return decide_history(case(layout, **changes), options)


def options(tokens: int | None = 10_000, **changes: Any) -> HistoryOptions:
    return HistoryOptions(tokens=tokens, **{"recent_tokens": 4_000, **changes})


# When it is considered


def test_history_is_left_alone_unless_asked() -> None:
    assert decide(HistoryOptions(), window_tokens=10).kind is HistoryKind.NONE


@pytest.mark.parametrize(("tokens", "kind"), [(15_200, HistoryKind.MASK), (15_201, HistoryKind.NONE)])
def test_nothing_is_done_below_the_threshold(tokens: int, kind: HistoryKind) -> None:
    assert AGENT.total_tokens == 15_200
    assert decide(options(tokens)).kind is kind


def test_a_step_too_small_is_not_taken() -> None:
    # Masking frees 9,940 tokens: at least half of what lies between the recent part and the threshold.
    assert decide(options(15_000, recent_tokens=0)).kind is HistoryKind.MASK
    layout = laid_out(("user", 100), ("call", 50), ("result", 2_000), ("say", 9_000), ("user", 4_000))
    plan = decide(options(), layout)
    assert (plan.kind, plan.reason) == (HistoryKind.NONE, "too little would be gone")


def test_the_recent_part_stays() -> None:
    # 4,000 tokens begin with the call before the last two results; a token more needs the result before.
    assert decide(options(recent_tokens=4_050)).mask_end == 3
    assert decide(options(recent_tokens=4_051)).kind is HistoryKind.NONE


def test_the_recent_part_is_a_third_of_the_threshold_unless_set() -> None:
    assert HistoryOptions(tokens=9_000).recent(None) == 3_000
    assert HistoryOptions(limit=6_000).recent(6_000) == 2_000
    assert HistoryOptions(tokens=9_000, recent_tokens=5).recent(None) == 5


# What it saves


def test_a_mask_while_cold_saves_its_tokens_once_written_and_then_read() -> None:
    # (R − m)(w + (T − 1) r) = 9,940 · (1.25 + 9 · 0.1) nusd.
    plan = decide(options())
    assert plan.kind is HistoryKind.MASK
    assert plan.tokens == 15_200 - 9_940
    assert plan.expected_nusd == 21_371


def test_a_mask_while_warm_costs_what_is_written_anew() -> None:
    # T (R − m) r = 10 · 9,940 · 0.1 = 9,940; (m + S)(w − r) = (60 + 4,050) · 1.15 = 4,726.5
    plan = decide(options(), readable=WARM)
    assert plan.kind is HistoryKind.MASK
    assert plan.expected_nusd == 5_214  # 5,213.5, to even.


@pytest.mark.parametrize(("calls", "kind"), [(8, HistoryKind.NONE), (9, HistoryKind.MASK)])
def test_while_warm_what_is_saved_later_must_be_twice_what_it_costs_now(
    calls: int, kind: HistoryKind
) -> None:
    # Now 4,726.5 − 994 = 3,732.5; later (T − 1) · 994 must be more than 7,465, so T > 8.51.
    plan = decide(options(), readable=WARM, outlook=Outlook(calls))
    assert plan.kind is kind
    if kind is HistoryKind.NONE:
        assert plan.reason == "it would not pay while the cache is warm"


def test_a_thread_that_ends_is_rewritten_only_where_the_cache_is_cold() -> None:
    assert decide(options(), readable=WARM, outlook=Outlook(1)).kind is HistoryKind.NONE
    assert decide(options(), readable=COLD, outlook=Outlook(1)).expected_nusd == 12_425  # 9,940 · 1.25


def test_without_a_cache_every_call_pays_for_all_of_it() -> None:
    plan = decide(options(), pricing=Pricing(lambda _: RATES, None))
    assert plan.expected_nusd == 10 * 9_940


def test_a_summary_counts_with_what_it_costs() -> None:
    # Nothing to mask: 14 messages go, 4 × 500 of whole exchanges and the last question stay.
    offer = SummaryOffer(tokens=300, cost_nusd=1_000)
    plan = decide(options(9_000, recent_tokens=2_500), TALK, offer=offer)
    assert plan.kind is HistoryKind.SUMMARISE
    assert plan.summary_end == 16
    # 15 of the 16 messages are replaced (the first one stays) by 340 tokens.
    assert plan.tokens == 11_500 - 7_500 + 340
    assert plan.expected_nusd == round(7_160 * (1.25 + 0.9)) - 1_000


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (SummaryOffer(300, 10_000_000), "it would not pay while the cache is cold"),
        (SummaryOffer(300, None), "a price is unknown"),
        (None, "too little would be gone"),
    ],
)
def test_a_summary_is_not_bought_where(offer: SummaryOffer | None, reason: str) -> None:
    plan = decide(options(9_000, recent_tokens=2_500), TALK, offer=offer)
    assert (plan.kind, plan.reason) == (HistoryKind.NONE, reason)
    assert plan.expected_nusd == (None if "unknown" in reason else 0)


def test_the_way_that_saves_more_is_taken() -> None:
    assert decide(options(), offer=SummaryOffer(5, 0)).kind is HistoryKind.SUMMARISE
    assert decide(options(), offer=SummaryOffer(5, 5_000)).kind is HistoryKind.MASK
    assert decide(options(), offer=SummaryOffer(5, None)).kind is HistoryKind.MASK


def test_a_rate_that_is_unknown_decides_nothing() -> None:
    rates = {TokenClass.INPUT: 1_000_000}
    plan = decide(options(), pricing=Pricing(lambda _: rates, TokenClass.CACHE_WRITE_5M))
    assert (plan.kind, plan.reason, plan.expected_nusd) == (HistoryKind.NONE, "a price is unknown", None)


def test_a_tier_for_long_prompts_is_counted_output_included() -> None:
    dear = {token_class: 5 * rate for token_class, rate in RATES.items()}

    def rates_for(tokens: int) -> Rates:
        return dear if tokens > 15_000 else RATES

    plan = decide(
        options(),
        readable=WARM,
        outlook=Outlook(1, output_tokens=100),
        pricing=Pricing(rates_for, TokenClass.CACHE_WRITE_5M),
    )
    # As it is: 15,200 · 0.5 + 100 · 25. Then: 1,150 read at 0.1, 4,110 written at 1.25, 100 · 5.
    assert plan.kind is HistoryKind.MASK
    assert plan.expected_nusd == 7_600 + 2_500 - (115 + 5_138 + 500) + 1


def test_later_calls_add_up_across_tiers() -> None:
    dear = {token_class: 2 * rate for token_class, rate in RATES.items()}
    pricing = Pricing(lambda tokens: dear if tokens > 1_250 else RATES, TokenClass.CACHE_WRITE_5M)
    outlook = Outlook(calls=6, growth_tokens=100, output_tokens=10)
    # Prompts of 1,100 and 1,200 at the lower rates; 1,300, 1,400 and 1,500 at the higher ones.
    by_hand = sum(
        factor * (read * 100_000 + 100 * 1_250_000 + 10 * 5_000_000)
        for factor, read in [(1, 1_000), (1, 1_100), (2, 1_200), (2, 1_300), (2, 1_400)]
    )
    assert pricing.later_calls(1_000, outlook) == by_hand


def test_only_the_calls_before_the_next_rewriting_count() -> None:
    # From 5,260 tokens, 2,000 more with each call: 5,260, 7,260, 9,260, then it is due again.
    growing = decide(options(), readable=COLD, outlook=Outlook(100, growth_tokens=2_000))
    assert growing.expected_nusd == round(9_940 * (1.25 + 2 * 0.1))


def test_a_prompt_that_stays_beyond_the_threshold_counts_up_to_where_a_next_step_is_large_enough() -> None:
    # 5,260 tokens are left; a next step takes out 500 at least, so it is due at 5,760: after 6 calls.
    growing = decide(options(5_000), readable=COLD, outlook=Outlook(100, growth_tokens=100))
    assert growing.expected_nusd == round(9_940 * (1.25 + 5 * 0.1))


# The limit


def limited(limit: int, layout: Layout = AGENT, **changes: Any) -> HistoryPlan:
    known: Mapping[str, Any] = {"recent_tokens": changes.pop("recent_tokens", 4_000)}
    return decide(HistoryOptions(limit=limit, **known), layout, readable=WARM, outlook=Outlook(1), **changes)


def test_beyond_the_limit_it_acts_though_it_does_not_pay() -> None:
    assert limited(15_200).kind is HistoryKind.NONE
    plan = limited(15_199)
    assert (plan.kind, plan.fits) == (HistoryKind.MASK, True)
    assert plan.expected_nusd is not None
    assert plan.expected_nusd < 0


def test_the_window_is_the_limit_where_none_is_set() -> None:
    wide = HistoryOptions(tokens=10_000, recent_tokens=4_000)
    assert wide.limit_for(None) is None
    assert wide.limit_for(7_000) == 7_000
    assert HistoryOptions(tokens=1, limit=9_000).limit_for(7_000) == 7_000
    plan = decide(wide, readable=WARM, outlook=Outlook(1), window_tokens=15_000)
    assert plan.kind is HistoryKind.MASK


def test_what_a_mask_cannot_do_a_summary_does() -> None:
    plan = limited(6_000, TALK, recent_tokens=2_500, offer=SummaryOffer(300, 10**9))
    assert (plan.kind, plan.summary_end, plan.fits) == (HistoryKind.SUMMARISE, 16, True)


def test_without_a_summary_the_oldest_messages_are_dropped() -> None:
    plan = limited(6_000, TALK, recent_tokens=2_500)
    assert (plan.kind, plan.summary_end, plan.fits) == (HistoryKind.DROP, 16, True)
    assert plan.tokens == 11_500 - 7_500 + 25


def test_the_recent_part_is_touched_only_where_all_before_it_may_go_and_does_not_suffice() -> None:
    # 5,260 are left once the old result is masked, 5,175 once all before the recent part is dropped, and
    # 3,320 once the older of the recent results is masked too.
    assert limited(5_260).mask_end == 4
    assert limited(5_259).kind is HistoryKind.DROP
    assert limited(5_175).tokens == 5_175
    plan = limited(5_174)
    assert (plan.kind, plan.mask_end, plan.tokens) == (HistoryKind.MASK, 5, 3_320)


def test_what_the_model_has_yet_to_see_is_never_masked() -> None:
    plan = limited(3_319)
    assert plan.kind is HistoryKind.DROP
    assert plan.summary_end == 5
    assert plan.tokens == 1_000 + 100 + 25 + 50 + 1_950


def test_where_nothing_makes_it_fit_the_plan_says_so_and_is_the_shortest() -> None:
    plan = limited(3_000)
    assert (plan.kind, plan.fits) == (HistoryKind.DROP, False)
    assert plan.reason == "nothing makes it fit into 3,000 tokens"


def test_where_nothing_can_go_the_plan_says_so() -> None:
    plan = limited(1_000, laid_out(("user", 5_000)))
    assert (plan.kind, plan.fits) == (HistoryKind.NONE, False)


def test_at_the_limit_an_unknown_price_does_not_stop_it() -> None:
    plan = limited(15_000, pricing=Pricing(lambda _: {}, TokenClass.CACHE_WRITE_5M))
    assert (plan.kind, plan.expected_nusd) == (HistoryKind.MASK, None)


# What a step left behind


def test_messages_that_must_stay_are_neither_masked_nor_replaced() -> None:
    assert decide(options(), kept={2}).kind is HistoryKind.NONE
    plan = limited(6_000, TALK, recent_tokens=2_500, kept={1, 2})
    assert plan.tokens == 11_500 - 6_500 + 25


def test_a_new_summary_takes_the_place_of_the_old_one() -> None:
    summarised = laid_out(("user", 800), *[("say", 500), ("user", 500)] * 8)
    offer = SummaryOffer(400, 0)
    plan = decide(
        options(6_000, recent_tokens=2_000), summarised, offer=offer, kept={0}, shift=20, summary_tokens=300
    )
    assert (plan.kind, plan.summary_end) == (HistoryKind.SUMMARISE, 12 + 20)
    assert plan.tokens == summarised.total_tokens - 11 * 500 - 300 + 440


def test_the_price_of_a_summary_is_rounded_up() -> None:
    rates = {TokenClass.INPUT: 999_999, TokenClass.OUTPUT: 5_000_000}
    assert price_summary(1_000, 10, rates) == SummaryOffer(10, 1_050)
    assert price_summary(1_000, 10, {TokenClass.INPUT: 1}) == SummaryOffer(10, None)
