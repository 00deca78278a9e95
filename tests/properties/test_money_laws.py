from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bursar.domain.money import divide_half_even, divide_up, nusd_from_usd, share_out, usd_text
from bursar.domain.prices import Price, PriceStep, Terms, cost
from bursar.domain.usage import ServerTool, TokenClass, Usage

AMOUNTS = st.integers(-(10**18), 10**18)
TOKENS = st.integers(0, 2_000_000)
RATES = st.integers(1, 200_000_000_000)
CLASSES = tuple(TokenClass)


@st.composite
def usages(draw):
    return Usage(**{c.value: draw(TOKENS) for c in CLASSES}, web_search=draw(st.integers(0, 50)))


@st.composite
def prices(draw, *, with_steps=True):
    rates = {c: draw(RATES) for c in CLASSES}
    # Real steps only ever raise a rate.
    factors = st.integers(1000, 5000)
    steps = ()
    if with_steps and draw(st.booleans()):
        raised = {c: rate * draw(factors) // 1000 for c, rate in rates.items()}
        steps = (PriceStep(draw(st.integers(1, 3_000_000)), raised),)
    return Price(
        model="m",
        starts=None,
        rates=rates,
        steps=steps,
        tool_fees={ServerTool.WEB_SEARCH: draw(RATES)},
        tier_per_mille={"standard": 1000, "batch": draw(st.integers(1, 1000))},
        geo_per_mille={"us": 1100},
    )


TERMS = st.builds(Terms, tier=st.sampled_from(["standard", "batch"]), geo=st.sampled_from(["", "us"]))


def total(usage: Usage, price: Price, terms: Terms) -> int:
    return sum(line.cost_nusd for line in cost(usage, price, terms))


@given(usages())
def test_the_classes_add_up_to_the_total(usage):
    assert sum(usage.tokens().values()) == usage.prompt_tokens + usage.output_tokens


@given(AMOUNTS)
def test_an_amount_survives_being_written_and_read(nusd):
    assert nusd_from_usd(usd_text(nusd)) == nusd


@given(AMOUNTS, st.lists(st.integers(0, 10**12), min_size=1, max_size=12))
def test_shares_add_up_and_none_is_off_by_a_whole_unit(amount, weights):
    shares = share_out(amount, weights)
    assert sum(shares) == amount
    whole = sum(weights)
    if whole:
        assert all(
            abs(share * whole - amount * weight) < whole
            for share, weight in zip(shares, weights, strict=True)
        )


@given(AMOUNTS, st.integers(1, 10**12))
def test_rounding_is_off_by_half_a_unit_at_most_and_reserving_never_falls_short(numerator, denominator):
    assert abs(2 * (divide_half_even(numerator, denominator) * denominator - numerator)) <= denominator
    assert 0 <= divide_up(numerator, denominator) * denominator - numerator < denominator


@given(usages(), prices(), TERMS)
def test_a_bill_has_one_line_for_each_class_and_tool_that_was_used(usage, price, terms):
    lines = cost(usage, price, terms)
    used = usage.tokens() | ({"web_search": usage.web_search} if usage.web_search else {})
    assert {line.item: line.quantity for line in lines} == used
    assert len(lines) == len(used)


@given(usages(), usages(), prices(with_steps=False), TERMS)
def test_cost_is_additive_up_to_the_rounding_of_its_lines(first, second, price, terms):
    both = Usage(
        **{c.value: first.of(c) + second.of(c) for c in CLASSES},
        web_search=first.web_search + second.web_search,
    )
    apart = total(first, price, terms) + total(second, price, terms)
    assert abs(total(both, price, terms) - apart) <= len(cost(both, price, terms)) * 3 / 2


@given(usages(), prices(), TERMS, st.sampled_from(CLASSES), TOKENS)
def test_more_tokens_never_cost_less(usage, price, terms, token_class, more):
    larger = replace(usage, **{token_class.value: usage.of(token_class) + more})
    assert total(larger, price, terms) >= total(usage, price, terms)


@given(usages(), prices(), st.sampled_from(["", "us"]))
def test_a_batch_never_costs_more_than_the_standard_tier(usage, price, geo):
    assert total(usage, price, Terms("batch", geo)) <= total(usage, price, Terms("standard", geo))
