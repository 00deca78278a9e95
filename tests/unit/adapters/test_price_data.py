import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as PublicUsage
from genai_prices.data import providers
from genai_prices.types import ModelInfo

from bursar.adapters.price_data import (
    load_amended_listings,
    load_norms,
    load_own_listings,
    load_price_book,
)
from bursar.domain.money import nusd_from_usd
from bursar.domain.price_lint import lint
from bursar.domain.prices import Terms, cost
from bursar.domain.usage import ServerTool, TokenClass, Usage
from bursar.settings.prices import PriceSection

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
SECTIONS = {section.id: section for section in providers}
BOOK = load_price_book()
LISTINGS = [listing for listing in load_amended_listings() if listing.provider in ("anthropic", "openai")]
CONTEXTS = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
DAYS = [datetime(2026, 3, 12, 12, tzinfo=UTC), datetime(2026, 8, 20, 12, tzinfo=UTC), NOW]
USAGES = [
    Usage(input=1),
    Usage(input=1201, output=333),
    Usage(input=7, cache_read=18_431, output=211, reasoning=89),
    Usage(input=50_000, cache_read=50_000, output=10),
    Usage(input=50_001, cache_read=50_000, output=10),
    Usage(input=1, cache_read=271_999, output=1),
    Usage(input=1, cache_read=272_000, output=1),
    Usage(input=1, output=1, web_search=3),
]


def public_model(provider: str, model: str) -> ModelInfo:
    return next(info for info in SECTIONS[provider].models if info.id == model)


def public_cost_usd(provider: str, model: str, usage: Usage, at: datetime, tier: str) -> Decimal:
    """What genai-prices makes of the same usage; its counts are totals with everything inside."""
    writes = usage.cache_write_5m + usage.cache_write_30m + usage.cache_write_1h
    info = public_model(provider, model)
    context = {
        key: value
        for key, value in CONTEXTS[tier].items()
        if any(variant.when == {key: value} for variant in info.price_variants or ())
    }
    counts = PublicUsage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=writes,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.reasoning,
        web_searches=usage.web_search,
    )
    result = info.calc_price(
        counts, SECTIONS[provider], genai_request_timestamp=at, price_context=context or None
    )
    return result.total_price


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.model)
def test_costs_equal_those_of_the_public_data_on_any_day(listing):
    for at in DAYS:
        price = BOOK.price(listing.model, at.timestamp())
        assert price is not None
        for usage in USAGES:
            if usage.cache_read and TokenClass.CACHE_READ not in price.rates:
                continue
            if usage.web_search and ServerTool.WEB_SEARCH not in price.tool_fees:
                continue
            lines = cost(usage, price, Terms())
            exact = public_cost_usd(listing.provider, listing.model, usage, at, "standard") * 10**9
            assert abs(sum(line.cost_nusd for line in lines) - exact) <= Decimal(len(lines)) / 2


@pytest.mark.parametrize("tier", ["batch", "flex", "priority", "fast"])
def test_tiers_cost_what_the_variants_of_the_public_data_say(tier):
    compared = 0
    for listing in LISTINGS:
        variants = public_model(listing.provider, listing.model).price_variants or ()
        if not any(variant.when.items() <= CONTEXTS[tier].items() for variant in variants):
            continue
        price = BOOK.price(listing.model, NOW_S)
        assert price is not None
        for usage in USAGES[:7]:
            if usage.cache_read and TokenClass.CACHE_READ not in price.rates:
                continue
            lines = cost(usage, price, Terms(tier))
            exact = public_cost_usd(listing.provider, listing.model, usage, NOW, tier) * 10**9
            assert abs(sum(line.cost_nusd for line in lines) - exact) <= Decimal(len(lines)) / 2
            compared += 1
    assert compared >= 40


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("claude-sonnet-4-6", Usage(input=3, cache_read=5, cache_write_5m=700, cache_write_1h=900, output=1)),
        ("claude-haiku-5-5", Usage(input=3, cache_write_5m=70_000, cache_write_1h=90_000, output=1)),
        ("claude-fable-5-2", Usage(cache_write_5m=11, cache_write_1h=13)),
    ],
)
def test_both_writes_of_anthropic_cost_what_the_public_data_says(model, usage):
    price = BOOK.price(model, NOW_S)
    assert price is not None
    total_nusd = sum(line.cost_nusd for line in cost(usage, price, Terms()))
    assert total_nusd == public_cost_usd("anthropic", model, usage, NOW, "standard") * 10**9


def test_every_name_is_a_name_of_the_same_model_in_the_public_data():
    for listing in load_amended_listings():
        section = SECTIONS[listing.provider]
        for name in listing.names:
            found = section.find_model(name)
            assert found is not None, name
            assert found.id == listing.model, name


def test_every_snapshot_that_we_accept_is_one_of_the_same_model_in_the_public_data():
    for listing in load_amended_listings():
        section = SECTIONS[listing.provider]
        for stem in listing.snapshots_of:
            found = [section.find_model(stem + day) for day in ("-20260101", "-2026-01-01", "@20260101")]
            assert listing.model in [model.id for model in found if model is not None], stem


# The providers' lists as of 23 November 2026, in USD per million: model, input, output, cache read, short
# write, long write.
TABLE = [
    ("claude-fable-5-2", "8", "40", "0.20", "10", "16"),
    ("claude-opus-5-5", "4", "20", "0.20", "5", "8"),
    ("claude-opus-5", "5", "25", "0.50", "6.25", "10"),
    ("claude-opus-4-8", "5", "25", "0.50", "6.25", "10"),
    ("claude-sonnet-5-5", "2", "10", "0.10", "2.5", "4"),
    ("claude-sonnet-5", "2", "10", "0.20", "2.5", "4"),
    ("claude-sonnet-4-6", "3", "15", "0.30", "3.75", "6"),
    ("claude-haiku-5-5", "0.10", "0.50", "0.01", "0.125", "0.20"),
    ("claude-haiku-4-5", "1", "5", "0.10", "1.25", "2"),
    ("gpt-6-astra", "10", "50", "1", "12.5", "25"),
    ("gpt-6.1-sol", "2", "10", "0.10", "2.5", "5"),
    ("gpt-6.1-terra", "1", "5", "0.05", "1.25", "2.5"),
    ("gpt-6-luna", "0.10", "0.50", "0.01", "0.125", "0.25"),
    ("gpt-5.6-sol", "4", "20", "0.40", "5", "10"),
    ("gpt-5.6-terra", "2", "12", "0.20", "2.5", "5"),
    ("gpt-5.6-luna", "0.20", "1.20", "0.02", "0.25", "0.50"),
    ("gpt-5", "1.25", "10", "0.125", "1.25", None),
    ("gpt-5-mini", "0.25", "2", "0.025", "0.25", None),
    ("gpt-5-nano", "0.05", "0.4", "0.005", "0.05", None),
    ("gpt-4.1", "2", "8", "0.5", "2", None),
    ("gpt-4.1-mini", "0.4", "1.6", "0.1", "0.4", None),
    ("gpt-4.1-nano", "0.1", "0.4", "0.025", "0.1", None),
    ("gpt-4o", "2.5", "10", "1.25", "2.5", None),
    ("gpt-4o-mini", "0.15", "0.6", "0.075", "0.15", None),
    ("gemini-2.5-pro", "1.25", "10", "0.125", None, None),
    ("gemini-2.5-flash", "0.3", "2.5", "0.03", None, None),
    ("gemini-2.5-flash-lite", "0.1", "0.4", "0.01", None, None),
    ("claude-3-5-haiku-20241022", "1", "5", "0.10", "1.25", "2"),
    ("claude-sonnet-4-20250514", "3", "15", "0.30", "3.75", "6"),
    ("claude-opus-4-20250514", "15", "75", "1.50", "18.75", "30"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_prices_are_those_of_the_providers_lists(row):
    model, *amounts = row
    price = BOOK.price(model, NOW_S)
    assert price is not None
    of_claude = model.startswith("claude")
    classes = (
        TokenClass.INPUT,
        TokenClass.OUTPUT,
        TokenClass.CACHE_READ,
        TokenClass.CACHE_WRITE_5M if of_claude else TokenClass.CACHE_WRITE_30M,
        TokenClass.CACHE_WRITE_1H if of_claude else TokenClass.CACHE_WRITE_12H,
    )
    expected = {
        token_class: nusd_from_usd(amount)
        for token_class, amount in zip(classes, amounts, strict=True)
        if amount is not None
    }
    assert {c: price.rates[c] for c in classes if c in price.rates} == expected


def test_a_long_prompt_to_haiku_5_5_has_the_dearer_row():
    price = BOOK.price("claude-haiku-5-5", NOW_S)
    assert price is not None
    assert [price.rates_for(100_001)[c] for c in (TokenClass.INPUT, TokenClass.OUTPUT)] == [
        500_000_000,
        2_500_000_000,
    ]
    assert price.rates_for(100_001)[TokenClass.CACHE_WRITE_1H] == 1_000_000_000


@pytest.mark.parametrize(
    ("model", "tier", "per_mille"),
    [
        ("claude-opus-4-8", "fast", 2000),
        ("claude-3-5-haiku-20241022", "batch", 500),
        ("claude-opus-4-20250514", "batch", 500),
        ("gpt-6-astra", "flex", 500),
        ("gpt-6-astra", "batch", 500),
        ("gpt-6-astra", "priority", 2000),
        ("gpt-6-astra", "fast", 2000),
    ],
)
def test_tiers_have_their_factors(model, tier, per_mille):
    price = BOOK.price(model, NOW_S)
    assert price is not None
    assert price.tier_per_mille[tier] == per_mille


def test_a_tier_that_a_model_does_not_have_has_no_price():
    for model, tier in [("claude-sonnet-4-6", "fast"), ("gpt-4.1", "flex"), ("claude-opus-5", "priority")]:
        price = BOOK.price(model, NOW_S)
        assert price is not None
        assert tier not in price.tier_per_mille
        assert tier not in price.tariffs


def test_us_only_inference_costs_a_tenth_more_from_the_4_6_era_on():
    per_mille = {
        model: price.geo_per_mille.get("us")
        for model in ("claude-sonnet-4-6", "claude-opus-5-5", "claude-haiku-5-5", "claude-haiku-4-5")
        if (price := BOOK.price(model, NOW_S)) is not None
    }
    assert per_mille == {
        "claude-sonnet-4-6": 1100,
        "claude-opus-5-5": 1100,
        "claude-haiku-5-5": 1100,
        "claude-haiku-4-5": None,
    }


@pytest.mark.parametrize(
    "model",
    [
        "deepseek-chat",  # Costs more at some hours of the day.
        "gemini-1.5-flash-8b",  # The public data would bill it as gemini-1.5-flash.
        "gpt-image-2",  # Image tokens hide among its output.
        "text-embedding-3-small",  # Has no output rate.
        "gemma-3",  # Its price is not known, which is not free.
        "claude-sonnet-4-7",
    ],
)
def test_what_cannot_be_priced_rightly_has_no_price(model):
    assert BOOK.price(model, NOW_S) is None


def test_an_operators_price_lies_over_all_others():
    section = PriceSection.model_validate({"gpt-5": {"from": "2026-11-01", "input": "1", "output": "2"}})
    book = load_price_book(section.listings())
    assert book.price("openai/gpt-5", NOW_S).source == "operator"
    assert book.price("gpt-5", datetime(2026, 10, 31, tzinfo=UTC).timestamp()).source != "operator"


def test_our_own_data_and_the_public_data_pass_the_lint():
    norms = load_norms()
    assert lint(load_own_listings(), norms) == ()
    assert lint(load_amended_listings(), norms) == ()


def test_dates_rise_and_every_price_names_its_source_and_day():
    for listing in (*load_own_listings(), *load_amended_listings()):
        starts = [price.starts or date.min for price in listing.prices]
        assert starts == sorted(set(starts))
        assert all(price.source and price.checked for price in listing.prices)


def test_importing_bursar_loads_no_price_data():
    script = "import bursar, bursar.adapters.price_data, sys; assert 'genai_prices' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
