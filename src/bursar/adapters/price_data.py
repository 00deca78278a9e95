"""Loads the layers of the price book: our own data file over the public price data.

`data/prices.toml` says how the public data is read, what it lacks, which prices we hold ourselves, and what
rates look like when they are right.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from bursar.adapters.public_prices import PublicProvider, load_public_listings
from bursar.domain.price_book import Listing, PriceBook
from bursar.domain.price_lint import Norms
from bursar.domain.prices import PER_MILLE, Price, PriceStep, Rates
from bursar.domain.usage import ServerTool, TokenClass
from bursar.settings.prices import Factor, PriceSection, Usd


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Public(_Table):
    """How one provider's section of the public data is read."""

    provider: str
    short_write: TokenClass | None = None
    prefix: str = ""
    checked: date


class _Amendment(_Table):
    """What the public data lacks for some models. It fills in; it never replaces."""

    provider: str = ""
    models: frozenset[str] = frozenset()
    tiers: dict[str, Factor] = Field(default_factory=dict)
    geos: dict[str, Factor] = Field(default_factory=dict)
    web_fetch: Usd | None = None
    write_12h_of_input: Factor | None = None
    free_short_write: bool = False
    backdated_tiers: tuple[str, ...] = ()
    source: str
    checked: date


class _Norms(_Table):
    """What rates look like when they are right."""

    odd_models: frozenset[str]
    discounts: frozenset[str]
    lowest_usd: Usd
    low_usd: Usd
    highest_usd: Usd
    of_input: dict[TokenClass, frozenset[Factor]]
    source: str
    checked: date


class _PriceData(_Table):
    """All of data/prices.toml."""

    public: tuple[_Public, ...]
    aliases: dict[str, str]
    amendments: tuple[_Amendment, ...]
    prices: PriceSection
    served_by: dict[str, str]
    norms: _Norms


def load_price_book(operator: Sequence[Listing] = ()) -> PriceBook:
    """Return the price book: the operator's prices, over ours, over the public data.

    Args:
        operator: Listings of the operator's settings (`PriceSection.listings`).
    """
    return PriceBook(operator, load_own_listings(), load_amended_listings())


@cache
def load_own_listings() -> tuple[Listing, ...]:
    """Return the prices that we hold ourselves, where the public data is wrong."""
    data = _read()
    return tuple(
        replace(listing, provider=data.served_by[listing.model]) for listing in data.prices.listings()
    )


@cache
def load_amended_listings() -> tuple[Listing, ...]:
    """Return the public price data, with what it lacks filled in."""
    data = _read()
    providers = [PublicProvider(p.provider, p.short_write, p.prefix, p.checked) for p in data.public]
    names_by_model: dict[str, set[str]] = {}
    for name, model in data.aliases.items():
        names_by_model.setdefault(model, set()).add(name)
    return tuple(
        replace(
            _amend(listing, data.amendments),
            names=listing.names | names_by_model.get(listing.model, set()),
        )
        for listing in load_public_listings(providers)
    )


def load_norms() -> Norms:
    """Return what rates look like when they are right, for `bursar.domain.price_lint`."""
    norms = _read().norms
    return Norms(
        of_input_per_mille=norms.of_input,
        odd_models=norms.odd_models,
        discounts=norms.discounts,
        lowest_nusd=norms.lowest_usd,
        low_nusd=norms.low_usd,
        highest_nusd=norms.highest_usd,
    )


@cache
def _read() -> _PriceData:
    text = files("bursar.data").joinpath("prices.toml").read_text(encoding="utf-8")
    return _PriceData.model_validate(tomllib.loads(text))


def _amend(listing: Listing, amendments: Iterable[_Amendment]) -> Listing:
    prices = listing.prices
    for amendment in amendments:
        if listing.provider == amendment.provider or listing.model in amendment.models:
            amended = tuple(_fill(price, amendment) for price in prices)
            amended = _backdate(amended, amendment.backdated_tiers)
            prices = tuple(
                new if new == old else replace(new, source=f"{new.source}; {amendment.source}")
                for old, new in zip(prices, amended, strict=True)
            )
    return replace(listing, prices=_without_repeats(prices))


def _fill(price: Price, amendment: _Amendment) -> Price:
    fees = {} if amendment.web_fetch is None else {ServerTool.WEB_FETCH: amendment.web_fetch}
    absent_tiers = {tier: f for tier, f in amendment.tiers.items() if tier not in price.tariffs}
    return replace(
        price,
        rates=_fill_rates(price.rates, amendment),
        steps=tuple(PriceStep(step.above_tokens, _fill_rates(step.rates, amendment)) for step in price.steps),
        tariffs={
            tier: replace(
                tariff,
                rates=_fill_rates(tariff.rates, amendment),
                steps=tuple(
                    PriceStep(step.above_tokens, _fill_rates(step.rates, amendment)) for step in tariff.steps
                ),
            )
            for tier, tariff in price.tariffs.items()
        },
        tool_fees=fees | dict(price.tool_fees),
        tier_per_mille=absent_tiers | dict(price.tier_per_mille),
        geo_per_mille=amendment.geos | dict(price.geo_per_mille),
    )


def _fill_rates(rates: Rates, amendment: _Amendment) -> Rates:
    filled: dict[TokenClass, int] = {}
    input_nusd = rates[TokenClass.INPUT]
    if amendment.write_12h_of_input is not None:
        filled[TokenClass.CACHE_WRITE_12H] = input_nusd * amendment.write_12h_of_input // PER_MILLE
    if amendment.free_short_write and TokenClass.CACHE_READ in rates:
        filled[TokenClass.CACHE_WRITE_30M] = input_nusd
    return filled | dict(rates)


def _backdate(prices: tuple[Price, ...], tiers: Iterable[str]) -> tuple[Price, ...]:
    """Let a tier's first known price hold before it was known.

    A factor holds on other rates too; rates of the tier's own only hold where the standard ones are equal.
    """
    for tier in tiers:
        first = next((p for p in prices if tier in p.tier_per_mille or tier in p.tariffs), None)
        if first is not None:
            prices = tuple(_with_tier(price, tier, first) for price in prices)
    return prices


def _with_tier(price: Price, tier: str, first: Price) -> Price:
    if tier in price.tier_per_mille or tier in price.tariffs:
        return price
    if tier in first.tier_per_mille:
        return replace(price, tier_per_mille={**price.tier_per_mille, tier: first.tier_per_mille[tier]})
    if (price.rates, price.steps) == (first.rates, first.steps):
        return replace(price, tariffs={**price.tariffs, tier: first.tariffs[tier]})
    return price


def _without_repeats(prices: tuple[Price, ...]) -> tuple[Price, ...]:
    kept: list[Price] = []
    for price in prices:
        if not kept or replace(price, starts=kept[-1].starts, source=kept[-1].source) != kept[-1]:
            kept.append(price)
    return tuple(kept)
