from datetime import date

import pytest

from bursar.domain.price_book import Listing
from bursar.domain.price_lint import Norms, Severity, lint
from bursar.domain.prices import Price, PriceStep, Tariff
from bursar.domain.usage import ServerTool, TokenClass

T = TokenClass
USD = 1_000_000_000
NORMS = Norms(
    of_input_per_mille={
        T.CACHE_READ: frozenset({25, 50, 100, 250, 500}),
        T.CACHE_WRITE_5M: frozenset({1250}),
        T.CACHE_WRITE_30M: frozenset({1000, 1250}),
        T.CACHE_WRITE_1H: frozenset({2000}),
        T.CACHE_WRITE_12H: frozenset({2000, 2500}),
    },
    odd_models=frozenset({"odd"}),
    discounts=frozenset({"batch", "flex"}),
    lowest_nusd=5_000_000,
    low_nusd=20_000_000,
    highest_nusd=1000 * USD,
)
GOOD = {
    T.INPUT: 3 * USD,
    T.OUTPUT: 15 * USD,
    T.CACHE_READ: 300_000_000,
    T.CACHE_WRITE_5M: 3_750_000_000,
    T.CACHE_WRITE_1H: 6 * USD,
}


def findings(*prices: Price, model: str = "m") -> list[tuple[str, Severity]]:
    return [(f.place, f.severity) for f in lint([Listing(model, prices)], NORMS)]


def test_a_right_price_has_no_findings():
    steps = (PriceStep(200_000, {c: 2 * rate for c, rate in GOOD.items()}),)
    assert findings(Price("m", None, GOOD, steps=steps), Price("m", date(2026, 3, 13), GOOD)) == []


@pytest.mark.parametrize(
    ("token_class", "rate", "severity"),
    [
        (T.CACHE_WRITE_1H, 3_750_000_000, Severity.ERROR),  # A 1 h write at the price of a 5 m one.
        (T.CACHE_WRITE_5M, 6 * USD, Severity.ERROR),
        (T.CACHE_WRITE_5M, 3 * USD, Severity.ERROR),
        (T.CACHE_WRITE_30M, 4 * USD, Severity.ERROR),
        (T.CACHE_WRITE_12H, 3_750_000_000, Severity.ERROR),
        (T.CACHE_READ, 360_000_000, Severity.WARNING),
        (T.CACHE_READ, 3 * USD, Severity.ERROR),  # A read as dear as input.
        (T.OUTPUT, 2 * USD, Severity.WARNING),
        (T.OUTPUT, 1001 * USD, Severity.ERROR),
        (T.OUTPUT, 15_000, Severity.ERROR),  # Per token instead of per million.
        (T.OUTPUT, 15_000_000, Severity.WARNING),  # Per thousand instead of per million.
        (T.OUTPUT, 0, Severity.WARNING),
        (T.CACHE_READ, -1, Severity.ERROR),
    ],
)
def test_a_wrong_rate_is_found_where_it_stands(token_class, rate, severity):
    price = Price("m", date(2026, 11, 1), {**GOOD, token_class: rate})
    assert (f"2026-11-01.{token_class}", severity) in findings(price)


@pytest.mark.parametrize("factor", [25, 50, 100, 250, 500])
def test_a_read_at_any_known_factor_is_right(factor):
    assert findings(Price("m", None, {**GOOD, T.CACHE_READ: 3_000_000 * factor})) == []


def test_one_short_write_for_either_provider_may_be_right_for_one_of_them():
    def shared(rate: int) -> Price:
        return Price("m", None, {**GOOD, T.CACHE_WRITE_5M: rate, T.CACHE_WRITE_30M: rate})

    assert findings(shared(3_750_000_000)) == []
    assert findings(shared(3 * USD)) == []  # Free, as OpenAI's were before 5.6.
    assert findings(shared(4 * USD)) == [("always.cache_write", Severity.ERROR)]


def test_a_price_entered_per_thousand_tokens_is_an_error_at_usual_prices():
    per_thousand = {token_class: rate // 1000 for token_class, rate in GOOD.items()}
    assert ("always.input", Severity.ERROR) in findings(Price("m", None, per_thousand))


def test_ratios_of_a_model_known_to_be_odd_are_not_compared():
    price = Price("odd", None, {**GOOD, T.CACHE_READ: 360_000_000})
    assert findings(price, model="odd") == []


def test_steps_must_rise_and_be_whole():
    dear = {c: 2 * rate for c, rate in GOOD.items()}
    without_output = {c: rate for c, rate in dear.items() if c is not T.OUTPUT}
    assert findings(Price("m", None, GOOD, steps=(PriceStep(5, dear), PriceStep(5, dear)))) == [
        ("always.above_5", Severity.ERROR)
    ]
    assert ("always.above_5.output", Severity.ERROR) in findings(
        Price("m", None, GOOD, steps=(PriceStep(5, without_output),))
    )
    assert ("always.above_9.input", Severity.WARNING) in findings(
        Price("m", None, GOOD, steps=(PriceStep(5, dear), PriceStep(9, GOOD)))
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (date(2026, 11, 2), date(2026, 11, 1)),
        (date(2026, 11, 1), date(2026, 11, 1)),
        (date(2026, 11, 1), None),
        (None, None),
    ],
)
def test_dates_must_rise(first, second):
    place = "always.from" if second is None else f"{second}.from"
    assert findings(Price("m", first, GOOD), Price("m", second, GOOD)) == [(place, Severity.ERROR)]


def test_a_name_stands_for_one_model_only():
    layer = [
        Listing("first", (Price("first", None, GOOD),), names=frozenset({"shared"})),
        Listing("second", (Price("second", None, GOOD),), names=frozenset({"shared"})),
        Listing("First", (Price("First", None, GOOD),)),
    ]
    assert [(f.model, f.place) for f in lint(layer, NORMS)] == [
        ("second", "names.shared"),
        ("First", "names.first"),
    ]


def test_factors_fees_and_tariffs_are_checked_too():
    price = Price(
        "m",
        None,
        GOOD,
        tier_per_mille={"standard": 1000, "batch": 1500, "free": 0},
        tariffs={"priority": Tariff({T.INPUT: 15_000})},
        tool_fees={ServerTool.WEB_SEARCH: -1, ServerTool.WEB_FETCH: 0},
    )
    assert sorted(findings(price)) == [
        ("always.tiers.batch", Severity.WARNING),
        ("always.tiers.free", Severity.ERROR),
        ("always.tiers.priority.input", Severity.ERROR),
        ("always.web_search", Severity.ERROR),
    ]


def test_a_finding_says_what_the_rate_would_be():
    price = Price("m", None, {**GOOD, T.CACHE_WRITE_1H: 3_750_000_000})
    (finding,) = lint([Listing("m", (price,))], NORMS)
    assert finding.problem == "3.75 USD is 1.25x the input rate"
    assert finding.mend == "providers charge 2x; 2x would be 6 USD"
