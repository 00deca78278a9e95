import pytest

from bursar.domain.prices import CostLine, Price, PriceStep, Tariff, Terms, cost
from bursar.domain.usage import ServerTool, TokenClass, Usage
from bursar.errors import UnpricedClass

MILLION = 1_000_000
INPUT_OUTPUT = {TokenClass.INPUT: 2_000 * MILLION, TokenClass.OUTPUT: 10_000 * MILLION}
PRICE = Price(
    model="m",
    starts=None,
    rates=INPUT_OUTPUT,
    steps=(
        PriceStep(100, {c: 2 * rate for c, rate in INPUT_OUTPUT.items()}),
        PriceStep(200, {c: 3 * rate for c, rate in INPUT_OUTPUT.items()}),
    ),
    tool_fees={ServerTool.WEB_SEARCH: 10_000 * MILLION},
    tier_per_mille={"standard": 1000, "batch": 500},
    tariffs={"priority": Tariff({TokenClass.INPUT: 7_000 * MILLION, TokenClass.OUTPUT: 8_000 * MILLION})},
    geo_per_mille={"us": 1100},
)


def costs(usage: Usage, terms: Terms = Terms()) -> dict[str, int]:  # noqa: B008 - Terms is immutable.
    return {line.item: line.cost_nusd for line in cost(usage, PRICE, terms)}


def test_each_class_is_priced_once_and_classes_without_tokens_have_no_line():
    assert cost(Usage(input=10, output=3), PRICE, Terms()) == (
        CostLine("input", 10, 20_000),
        CostLine("output", 3, 30_000),
    )
    assert cost(Usage(), PRICE, Terms()) == ()


@pytest.mark.parametrize(
    ("input_tokens", "nusd_per_token"), [(100, 2_000), (101, 4_000), (200, 4_000), (201, 6_000)]
)
def test_a_step_reprices_the_whole_request_only_above_its_threshold(input_tokens, nusd_per_token):
    usage = Usage(input=input_tokens, output=1)
    assert costs(usage) == {
        "input": input_tokens * nusd_per_token,
        "output": 5 * nusd_per_token,
    }


def test_the_rates_for_a_length_are_those_that_the_bill_uses():
    assert [PRICE.rates_for(n)[TokenClass.INPUT] // MILLION for n in (0, 100, 101, 201)] == [
        2_000,
        2_000,
        4_000,
        6_000,
    ]


def test_tier_and_geography_multiply_before_the_only_rounding():
    price = Price(
        model="m",
        starts=None,
        rates={TokenClass.INPUT: 3 * MILLION},
        tier_per_mille={"batch": 500},
        geo_per_mille={"far": 1500},
    )
    # 3 nusd x 0.5 x 1.5 = 2.25; rounding after the first factor would make it 2 x 1.5 = 3.
    assert cost(Usage(input=1), price, Terms("batch", "far")) == (CostLine("input", 1, 2),)


def test_a_tier_with_rates_of_its_own_ignores_standard_rates_and_steps():
    assert costs(Usage(input=1_000, output=1), Terms("priority")) == {"input": 7_000_000, "output": 8_000}


def test_server_tools_are_billed_by_the_request_and_take_no_factor():
    assert costs(Usage(web_search=3), Terms("batch", "us")) == {"web_search": 30_000_000}


def test_reasoning_is_billed_as_output_unless_it_has_a_rate():
    assert costs(Usage(output=1, reasoning=2)) == {"output": 10_000, "reasoning": 20_000}
    own = Price(model="m", starts=None, rates={**INPUT_OUTPUT, TokenClass.REASONING: 1_000 * MILLION})
    assert cost(Usage(reasoning=2), own, Terms()) == (CostLine("reasoning", 2, 2_000),)


@pytest.mark.parametrize(
    ("usage", "terms", "what"),
    [
        (Usage(cache_read=1), Terms(), "cache_read"),
        (Usage(cache_write_12h=1), Terms(), "cache_write_12h"),
        (Usage(web_fetch=1), Terms(), "web_fetch"),
        (Usage(input=1), Terms("flex"), 'tier "flex"'),
        (Usage(input=1), Terms(geo="eu"), 'inference geography "eu"'),
        (Usage(input=1, other=("audio_tokens",)), Terms(), "audio_tokens"),
        (Usage(reasoning=1, input=101), Terms("priority", "moon"), 'inference geography "moon"'),
    ],
)
def test_what_has_no_rate_is_never_free(usage, terms, what):
    with pytest.raises(UnpricedClass) as caught:
        cost(usage, PRICE, terms)
    assert caught.value.token_class == what
    assert str(caught.value) == f'the price of model "m" has no rate for {what}'


def test_a_class_without_a_rate_above_a_step_has_no_price_there():
    price = Price("m", None, INPUT_OUTPUT, steps=(PriceStep(10, {TokenClass.INPUT: 1}),))
    with pytest.raises(UnpricedClass):
        cost(Usage(input=11, output=1), price, Terms())
