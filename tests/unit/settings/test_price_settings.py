from datetime import date

import pytest

from bursar.domain.prices import PriceStep
from bursar.domain.usage import ServerTool, TokenClass
from bursar.errors import BadSetting
from bursar.settings import parse

T = TokenClass


def listings(**models):
    return parse({"prices": models}, "bursar.toml").prices.listings()


def refusal(entry: object) -> str:
    with pytest.raises(BadSetting) as caught:
        listings(m=entry)
    return str(caught.value)


def test_a_table_becomes_a_price_of_the_operator():
    (listing,) = listings(
        m={
            "from": date(2026, 11, 1),
            "input": "0.20",
            "output": 1,
            "cache_read": "0.02",
            "cache_write": "0.25",
            "cache_write_1h": "0.40",
            "cache_write_12h": "0.50",
            "reasoning": "2",
            "steps": [{"above_tokens": 1000, "input": "0.40"}],
            "tiers": {"batch": "0.5"},
            "geos": {"us": "1.1"},
            "web_search": "10",
            "web_fetch": "0",
        }
    )
    (price,) = listing.prices
    assert price.starts == date(2026, 11, 1)
    assert price.source == "operator"
    assert price.rates == {
        T.INPUT: 200_000_000,
        T.OUTPUT: 1_000_000_000,
        T.CACHE_READ: 20_000_000,
        T.CACHE_WRITE_5M: 250_000_000,
        T.CACHE_WRITE_30M: 250_000_000,
        T.CACHE_WRITE_1H: 400_000_000,
        T.CACHE_WRITE_12H: 500_000_000,
        T.REASONING: 2_000_000_000,
    }
    assert price.steps == (PriceStep(1000, {**price.rates, T.INPUT: 400_000_000}),)
    assert price.tier_per_mille == {"standard": 1000, "batch": 500}
    assert price.geo_per_mille == {"us": 1100}
    assert price.tool_fees == {ServerTool.WEB_SEARCH: 10_000_000_000, ServerTool.WEB_FETCH: 0}


def test_an_array_of_tables_is_a_history():
    (listing,) = listings(
        m=[{"input": "1", "output": "2"}, {"from": "2026-11-01", "input": "3", "output": "4"}]
    )
    assert [price.starts for price in listing.prices] == [None, date(2026, 11, 1)]


def test_what_is_not_stated_has_no_rate():
    (listing,) = listings(m={"input": "1", "output": "2"})
    assert set(listing.prices[0].rates) == {T.INPUT, T.OUTPUT}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"input": 0.2, "output": "1"}, 'm.0.input: 0.2 is a binary fraction; quote the number: "0.2"'),
        ({"input": True, "output": "1"}, "m.0.input: True is no exact amount"),
        ({"input": "{x}", "output": "1"}, "m.0.input: '{x}' is no amount of US dollars"),
        ({"input": "-1", "output": "1"}, "m.0.input: '-1' is negative"),
        ({"input": "0.0000000001", "output": "1"}, "finer than a nanodollar"),
        ({"input": "1"}, "m.0.output: Field required"),
        ({"inptu": "1"}, 'm.0: unknown setting "inptu"; did you mean "input"?'),
        ({"input": "1", "output": "1", "zzz": 1}, 'unknown setting "zzz"; known here: from, input, output'),
        ({"input": "1", "output": "1", "tiers": {"batch": 0.5}}, 'quote the factor: "0.5"'),
        ({"input": "1", "output": "1", "tiers": {"batch": "half"}}, "'half' is no factor"),
        ({"input": "1", "output": "1", "tiers": {"batch": "0.5" + "0" * 40 + "1"}}, "is no factor"),
        ({"input": "1", "output": "1", "tiers": {"batch": "1e999999"}}, "is no factor"),
        ({"input": "1", "output": "1", "tiers": {"batch": "0"}}, "out of bounds"),
        ({"input": "1", "output": "1", "tiers": {"batch": "500"}}, "out of bounds"),
        ({"input": "1", "output": "1", "from": "November"}, "'November' is no day"),
        ({"input": "1", "output": "1", "from": 20261101}, "20261101 is no day"),
        ({"input": "1", "output": "1", "steps": [{"above_tokens": 0}]}, "greater than 0"),
        (
            {"input": "1", "output": "1", "steps": [{"above_tokens": 5}] * 2},
            "steps must rise, but 5 follows 5",
        ),
        ([{"input": "1", "output": "1"}] * 2, "`from` dates must rise"),
        ([], "m: has no price"),
        ("cheap", "m: a price is a table of amounts"),
        ([7], "m.0: a price is a table of amounts"),
    ],
)
def test_a_mistake_is_refused_with_its_place(entry, message):
    assert message in refusal(entry)
