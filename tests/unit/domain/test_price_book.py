from datetime import UTC, date, datetime

import pytest

from bursar.domain.price_book import Listing, PriceBook
from bursar.domain.prices import Price
from bursar.domain.usage import TokenClass


def price(model: str, nusd: int, starts: date | None = None) -> Price:
    return Price(model=model, starts=starts, rates={TokenClass.INPUT: nusd})


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW_S = at("2026-11-23T12:00:00")
PUBLIC = (
    Listing(
        model="claude-sonnet-4-6",
        prices=(price("claude-sonnet-4-6", 1), price("claude-sonnet-4-6", 2, date(2026, 3, 13))),
        names=frozenset({"claude-sonnet-4.6"}),
        snapshots_of=frozenset({"claude-sonnet-4-6", "claude-sonnet-4.6"}),
        provider="anthropic",
    ),
    Listing(
        model="gpt-4o",
        prices=(price("gpt-4o", 10),),
        names=frozenset({"gpt-4o-2024-08-06"}),
        provider="openai",
    ),
    Listing(model="gpt-4o-2024-05-13", prices=(price("gpt-4o-2024-05-13", 11),), provider="openai"),
)


def rate(book: PriceBook, model: str, at_s: float = NOW_S) -> int | None:
    found = book.price(model, at_s)
    return None if found is None else found.rates[TokenClass.INPUT]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet-4-6", 2),
        ("Claude-Sonnet-4-6", 2),
        ("claude-sonnet-4.6", 2),
        ("claude-sonnet-4-6-20260101", 2),
        ("claude-sonnet-4-6@20260101", 2),
        ("claude-sonnet-4-6-2026-01-01", 2),
        ("claude-sonnet-4-6-latest", 2),
        ("anthropic/claude-sonnet-4-6", 2),
        ("anthropic/claude-sonnet-4.6-20260101", 2),
        ("gpt-4o-2024-08-06", 10),
        ("gpt-4o-20240806", 10),
        ("gpt-4o-2024-05-13", 11),
        ("gpt-4o-20240513", 11),
        ("openai/gpt-4o", 10),
    ],
)
def test_a_name_in_any_of_its_spellings_finds_its_model(model, expected):
    assert rate(PriceBook(PUBLIC), model) == expected


@pytest.mark.parametrize(
    "model",
    [
        "",
        "/",
        "claude",
        "claude-sonnet-4",
        "claude-sonnet-4-7",
        "claude-sonnet-4-6-turbo",
        "claude-sonnet-4-6-20261",
        "my-claude-sonnet-4-6",
        "gpt-4o-mini",
        "gpt-4o-2024-12-31",  # Not every snapshot of gpt-4o has its price, so an unknown one has none.
        "openai/claude-sonnet-4-6",
        "bedrock/claude-sonnet-4-6",
        "openrouter/anthropic/claude-sonnet-4-6",
        "anthropic/",
        "claude-sonnet-4-6\n",
    ],
)
def test_a_name_that_is_not_known_has_no_price_however_near_it_is(model):
    assert rate(PriceBook(PUBLIC), model) is None


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-12T23:59:59.999", 1),
        ("2026-03-13T00:00:00", 2),
        ("1969-12-31T23:59:59", 1),
        ("2030-01-01T00:00:00", 2),
    ],
)
def test_the_day_in_utc_decides_which_price_is_in_force(moment, expected):
    assert rate(PriceBook(PUBLIC), "claude-sonnet-4-6", at(moment)) == expected


@pytest.mark.parametrize(("at_s", "expected"), [(-1e15, 1), (1e15, 2)])
def test_a_time_outside_the_calendar_has_the_first_or_the_last_price(at_s, expected):
    assert rate(PriceBook(PUBLIC), "claude-sonnet-4-6", at_s) == expected


def test_the_first_layer_wins_for_every_name_of_a_model():
    operator = (Listing("claude-sonnet-4-6", (price("claude-sonnet-4-6", 7),)),)
    book = PriceBook(operator, PUBLIC)
    names = (
        "claude-sonnet-4-6",
        "claude-sonnet-4.6",
        "anthropic/claude-sonnet-4-6",
        "claude-sonnet-4-6-20260101",
    )
    assert [rate(book, name) for name in names] == [7, 7, 7, 7]


def test_a_layer_below_holds_until_the_price_above_it_starts():
    operator = (Listing("gpt-4o", (price("gpt-4o", 7, date(2026, 11, 1)),)),)
    book = PriceBook(operator, PUBLIC)
    assert rate(book, "gpt-4o", at("2026-10-31T23:00:00")) == 10
    assert rate(book, "gpt-4o", at("2026-11-01T00:00:00")) == 7


def test_a_price_for_one_snapshot_leaves_the_others_alone():
    operator = (Listing("gpt-4o-2024-08-06", (price("gpt-4o-2024-08-06", 7),)),)
    book = PriceBook(operator, PUBLIC)
    assert (rate(book, "gpt-4o-2024-08-06"), rate(book, "gpt-4o")) == (7, 10)


def test_an_operators_own_model_may_have_a_slash_and_capitals_in_its_name():
    book = PriceBook((Listing("Qwen/Qwen3-8B", (price("Qwen/Qwen3-8B", 7),)),), PUBLIC)
    assert rate(book, "Qwen/Qwen3-8B") == 7
    assert rate(book, "openai/Qwen/Qwen3-8B") is None


def test_a_price_that_starts_in_the_future_is_no_price_yet():
    book = PriceBook((Listing("new", (price("new", 7, date(2027, 1, 1)),)),))
    assert rate(book, "new") is None


def test_invented_names_do_not_fill_the_memory():
    book = PriceBook(PUBLIC)
    for number in range(10_000):
        book.price(f"invented-{number}", NOW_S)
    assert len(book._memo) <= 4096
    assert rate(book, "gpt-4o") == 10


def test_models_and_names_are_listed():
    book = PriceBook(PUBLIC)
    assert book.models() == ("claude-sonnet-4-6", "gpt-4o", "gpt-4o-2024-05-13")
    assert "claude-sonnet-4.6" in book.names()
