from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bursar.adapters.maxima_data import load_maxima
from bursar.cachemodel.prompts import CacheOptions
from bursar.domain.prices import Price, PriceStep, Terms, cost, total_nusd
from bursar.domain.prompt import ContentClass, Mark
from bursar.domain.tokens import Basis, Overhead, TokenRatios
from bursar.domain.usage import ServerTool, TokenClass, Usage
from bursar.domain.windows import Window
from bursar.policy.budgets.standing import Room
from bursar.policy.budgets.worst_case import (
    FAR_FACTOR,
    Bounds,
    Caution,
    Maxima,
    ModelBounds,
    Sending,
    WorstCase,
    bound_attempt,
    is_far,
    write_classes,
)
from bursar.wire.extras import NO_EXTRAS, Extras
from cache_rules import ANTHROPIC, OPENAI_AUTOMATIC, OPENAI_MARKS

# Per token, in nusd: input 3,000, read 300, 5 m write 3,750, 1 h write 6,000, output 15,000.
PRICE = Price(
    model="m",
    starts=None,
    rates={
        TokenClass.INPUT: 3_000_000_000,
        TokenClass.CACHE_READ: 300_000_000,
        TokenClass.CACHE_WRITE_5M: 3_750_000_000,
        TokenClass.CACHE_WRITE_1H: 6_000_000_000,
        TokenClass.OUTPUT: 15_000_000_000,
    },
    tool_fees={ServerTool.WEB_SEARCH: 10_000_000_000},
    tier_per_mille={"standard": 1000, "flex": 500, "priority": 2000, "batch": 500},
)
MAXIMA = Maxima(
    spare_tokens=0,
    image_tokens=1_000,
    page_tokens=2_000,
    pages=100,
    page_bytes=500,
    provider_tool_tokens=400,
    rounds=10,
    uses={ServerTool.WEB_SEARCH: 4},
    result_tokens=5_000,
)
RATIOS = TokenRatios("exact", dict.fromkeys(ContentClass, 1000), Basis.EXACT, Overhead())
SENDING = Sending(
    body_bytes=4_000,
    counted_tokens=1_000,
    factor_per_mille=1_000,
    pieces=1,
    output_tokens_max=100,
    writes=(),
    extras=NO_EXTRAS,
)
MODEL = ModelBounds(PRICE, Terms(), RATIOS, Window("m", "d", 100_000, 8_000), MAXIMA)


def bounds(
    sending: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **caution: Any
) -> Bounds:
    return bound_attempt(replace(SENDING, **sending or {}), replace(MODEL, **model or {}), Caution(**caution))


def near(**extras: Any) -> WorstCase:
    return bounds({"extras": Extras(**extras)}).near


def test_far_from_a_limit_every_byte_is_a_token() -> None:
    far = bounds().far
    assert far == WorstCase(4_000, 100, 4_000 * 3_000 + 100 * 15_000)


def test_near_a_limit_our_count_and_a_margin_hold() -> None:
    assert bounds().near == WorstCase(1_100, 100, 1_100 * 3_000 + 100 * 15_000)
    assert bounds(margin_per_mille=0).near.prompt_tokens == 1_000


def test_what_was_learned_raises_the_count_and_never_lowers_it() -> None:
    assert bounds({"factor_per_mille": 1_300}).near.prompt_tokens == 1_430
    assert bounds({"factor_per_mille": 700}).near.prompt_tokens == 1_100


def test_a_count_is_never_held_beyond_the_bytes() -> None:
    found = bounds({"body_bytes": 1_050})
    assert found.near == found.far
    assert found.far.prompt_tokens == 1_050


def test_a_tokenizer_that_is_only_estimated_may_make_more_of_a_byte_than_one_token() -> None:
    ratios = TokenRatios("r", dict.fromkeys(ContentClass, 1_480), Basis.CALIBRATED, Overhead(3, 346, 0, 4))
    assert bounds(model={"ratios": ratios}).far.prompt_tokens == 4_000 * 1.48 + 3 + 346 + 4


def test_every_token_counts_at_the_dearest_class_that_it_can_be_billed_under() -> None:
    for writes, nusd in (
        ((TokenClass.INPUT,), 3_000),
        ((TokenClass.CACHE_WRITE_5M,), 3_750),
        ((TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H), 6_000),
    ):
        assert bounds({"writes": writes}).near.nusd == 1_100 * nusd + 100 * 15_000


def test_writes_follow_from_the_marks_in_what_is_sent() -> None:
    five, hour, half = Mark("5m"), Mark("1h"), Mark("30m")
    explicit, implicit = CacheOptions(implicit=False), CacheOptions()
    assert write_classes([], implicit, ANTHROPIC) == ()
    assert write_classes([five], implicit, ANTHROPIC) == (TokenClass.CACHE_WRITE_5M,)
    assert set(write_classes([five, hour], implicit, ANTHROPIC)) == {
        TokenClass.CACHE_WRITE_5M,
        TokenClass.CACHE_WRITE_1H,
    }
    assert TokenClass.CACHE_WRITE_1H in write_classes([], implicit, ANTHROPIC, unseen=True)
    assert write_classes([], implicit, OPENAI_AUTOMATIC) == ()
    assert write_classes([], explicit, OPENAI_MARKS) == ()
    assert write_classes([], implicit, OPENAI_MARKS) == (TokenClass.CACHE_WRITE_30M,)
    long = CacheOptions(implicit=False, ttl="12h")
    assert TokenClass.CACHE_WRITE_12H in write_classes([half], long, OPENAI_MARKS)
    assert TokenClass.CACHE_WRITE_1H in write_classes([], explicit, None)


def test_a_step_below_the_bound_counts_where_it_is_dearer() -> None:
    dear, cheap = ({TokenClass.INPUT: n, TokenClass.OUTPUT: n} for n in (9_000_000_000, 1_000_000_000))
    base = {TokenClass.INPUT: 2_000_000_000, TokenClass.OUTPUT: 2_000_000_000}
    price = Price("m", None, base, steps=(PriceStep(500, dear), PriceStep(1_000, cheap)))
    assert bounds(model={"price": price}).near.nusd == 1_200 * 9_000
    price = Price("m", None, base, steps=(PriceStep(1_100, dear),))
    assert bounds(model={"price": price}).near.nusd == 1_200 * 2_000


def test_a_cheaper_tier_that_may_not_be_given_saves_nothing() -> None:
    standard = bounds().near.nusd
    assert standard is not None
    assert bounds(model={"terms": Terms("flex")}).near.nusd == standard
    assert bounds(model={"terms": Terms("priority")}).near.nusd == 2 * standard
    assert bounds(model={"terms": Terms("batch")}).near.nusd == standard // 2


def test_an_answer_without_a_limit_is_as_long_as_the_model_can_write() -> None:
    assert bounds({"output_tokens_max": None}).near.output_tokens == 8_000
    found = bounds({"output_tokens_max": None}, {"window": None}).near
    assert (found.prompt_tokens, found.tokens, found.nusd) == (1_100, None, None)
    assert "output limit" in found.reason


def test_several_answers_and_a_prediction_are_paid_for() -> None:
    assert near(choices=3).output_tokens == 300
    assert near(predicted_bytes=50).output_tokens == 150


def test_an_unpriced_model_has_no_worst_case_unless_one_is_stated() -> None:
    found = bounds(model={"price": None}).near
    assert (found.nusd, found.tokens) == (None, 1_200)
    assert "price" in found.reason
    stated = bounds(model={"price": None}, unpriced_nusd=7).near
    assert (stated.nusd, stated.reason) == (7, "")


def test_what_has_no_rate_is_unknown_and_not_free() -> None:
    assert bounds(model={"terms": Terms("no such tier")}).near.nusd is None
    assert bounds(model={"terms": Terms(geo="mars")}).near.nusd is None
    assert near(uses={ServerTool.WEB_FETCH: 1}).nusd is None
    assert near(unpriced="spoken answers").reason == "spoken answers have no known price"


def test_images_and_documents_have_maxima_of_their_own() -> None:
    assert near(images=2).prompt_tokens == 1_100 + 2 * 1_000
    # 4,000 bytes are at most 8 pages, and one that is begun.
    assert near(documents=1).prompt_tokens == 1_100 + 9 * 2_000
    # One that is named by its address may have all the pages that are allowed, but for the window.
    assert near(documents=1, remote_documents=1).prompt_tokens == 100_000


def test_tools_that_the_provider_runs_have_the_prompt_read_again_with_every_result() -> None:
    found = near(provider_tools=1, runs_tools=True, uses={ServerTool.WEB_SEARCH: 2})
    prompt = 3 * (1_100 + 400) + (1 + 2) * 5_000
    assert found == WorstCase(prompt, 100, prompt * 3_000 + 100 * 15_000 + 2 * 10_000_000)


def test_a_tool_without_a_limit_runs_as_often_as_is_stated_at_most() -> None:
    unlimited = near(provider_tools=1, runs_tools=True, uses={ServerTool.WEB_SEARCH: None})
    assert unlimited == near(provider_tools=1, runs_tools=True, uses={ServerTool.WEB_SEARCH: 4})


def test_texts_of_the_providers_own_choice_fill_the_window_or_have_no_bound() -> None:
    extras = Extras(adds_unseen=True)
    assert bounds({"extras": extras}).near.prompt_tokens == 100_000
    found = bounds({"extras": extras}, {"window": None}).near
    assert (found.prompt_tokens, found.nusd) == (None, None)
    assert "window" in found.reason


def test_a_compaction_reads_the_prompt_and_writes_once_more() -> None:
    found = near(compacts=True)
    assert (found.prompt_tokens, found.output_tokens) == (2_200, 200)


def test_the_far_bound_is_held_only_where_every_limit_is_far() -> None:
    found = bounds()
    nusd, tokens = found.far.nusd, found.far.tokens
    assert nusd is not None
    assert tokens is not None
    far = Room(FAR_FACTOR * nusd, FAR_FACTOR * tokens)
    assert found.for_room(far) is found.far
    assert found.for_room(Room(None, None)) is found.far
    assert found.for_room(Room(FAR_FACTOR * nusd, FAR_FACTOR * tokens - 1)) == found.near
    assert found.for_room(Room(-1, None)) == found.near
    assert found.for_room(None) == found.near


def test_far_is_twenty_calls_away() -> None:
    assert is_far(200, 10)
    assert not is_far(199, 10)


def test_every_dialect_has_its_maxima() -> None:
    assert set(load_maxima()) == {"anthropic.messages", "openai.chat"}


_rates = st.fixed_dictionaries({c: st.integers(0, 10**10) for c in TokenClass}, optional={})


@given(
    rates=_rates,
    stepped=_rates,
    threshold=st.integers(0, 1_200),
    tier=st.sampled_from(["standard", "flex"]),
    billed=st.sampled_from(["standard", "flex"]),
    prompt=st.lists(st.integers(0, 366), min_size=3, max_size=3),
    output=st.lists(st.integers(0, 50), min_size=2, max_size=2),
    searches=st.integers(0, 2),
)
def test_no_bill_within_the_tokens_is_above_the_bound(
    *,
    rates: dict[TokenClass, int],
    stepped: dict[TokenClass, int],
    threshold: int,
    tier: str,
    billed: str,
    prompt: list[int],
    output: list[int],
    searches: int,
) -> None:
    price = Price(
        "m",
        None,
        rates,
        steps=(PriceStep(threshold, stepped),),
        tool_fees={ServerTool.WEB_SEARCH: 3_333},
        tier_per_mille={"standard": 1000, "flex": 777},
    )
    writes = (TokenClass.CACHE_WRITE_5M,)
    extras = Extras(uses={ServerTool.WEB_SEARCH: 2})
    worst = bounds({"writes": writes, "extras": extras}, {"price": price, "terms": Terms(tier)}).near.nusd
    assert worst is not None
    usage = Usage(
        input=prompt[0],
        cache_read=prompt[1],
        cache_write_5m=prompt[2],
        output=output[0],
        reasoning=output[1],
        web_search=searches,
    )
    if billed == "flex" and tier != "flex":
        billed = "standard"
    assert total_nusd(cost(usage, price, Terms(billed))) <= worst
