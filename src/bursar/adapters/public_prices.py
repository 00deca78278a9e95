"""Reads the public price data that genai-prices carries into our own values.

Its traps, and how they are met here: a context that it does not know returns its standard price, so each of
its variants becomes a tier of its own, and a tier that it lacks has no price; its tiers and its
`input_tokens` mean the whole prompt, cache included, as ours do; a model whose price depends on the time of
day, or on units that we cannot bill, is left out rather than priced wrongly.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from bursar.domain.money import nusd_from_usd
from bursar.domain.price_book import Listing
from bursar.domain.prices import PER_MILLE, STANDARD, Price, PriceStep, Rates, Tariff
from bursar.domain.usage import ServerTool, TokenClass

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, TieredPrices

    Amounts = dict[str, Decimal | TieredPrices]

_RATES: Mapping[str, TokenClass] = {
    "input_mtok": TokenClass.INPUT,
    "output_mtok": TokenClass.OUTPUT,
    "cache_read_mtok": TokenClass.CACHE_READ,
    "cache_write_5m_mtok": TokenClass.CACHE_WRITE_5M,
    "cache_write_1h_mtok": TokenClass.CACHE_WRITE_1H,
    "output_reasoning_mtok": TokenClass.REASONING,
}
_SHORT_WRITE = "cache_write_mtok"
_FEES: Mapping[str, ServerTool] = {"web_searches_kcount": ServerTool.WEB_SEARCH}

# These bill quantities that a response reports apart, which a dialect hands on as `Usage.other`: they never
# hide inside a count that we price.
_REPORTED_APART = frozenset({"storage_searches_kcount", "input_audio_mtok", "cache_audio_read_mtok"})

# How the data names the circumstances of a variant, and what we call the tier.
_TIERS: Mapping[tuple[str, str], str] = {
    ("processing", "batch"): "batch",
    ("speed", "fast"): "fast",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
}

# A beginning such as `claude-sonnet-4-2025` is no name by itself.
_PARTIAL = re.compile(r"-(?:20\d\d)?$")
_SNAPSHOTS = ("-20260101", "-2026-01-01", "@20260101")


@dataclass(frozen=True, slots=True)
class PublicProvider:
    """How one provider's section of the data is read.

    Attributes:
        provider: Its id in the data, which is also the prefix of its models' names.
        short_write: Which write its plain `cache_write` rate is for; None where it has none.
        prefix: Only models whose ids begin so are its own.
        checked: When somebody last compared the data with the provider's list.
    """

    provider: str
    short_write: TokenClass | None = None
    prefix: str = ""
    checked: date | None = None


class _Inexpressible(Exception):
    """A price in terms that we cannot bill by."""


def load_public_listings(providers: Iterable[PublicProvider]) -> tuple[Listing, ...]:
    """Return the models of these providers. No network is used.

    Args:
        providers: Whose models to read; a name belongs to the first model that has it.
    """
    # The data is 1.6 MB of Python; whoever never prices anything shall not wait for it.
    from genai_prices.data import providers as sections  # noqa: PLC0415

    source = f"genai-prices {version('genai-prices')}"
    models_by_provider = {section.id: section.models for section in sections}
    listings: list[Listing] = []
    taken: set[str] = set()
    for provider in providers:
        for model in models_by_provider.get(provider.provider, ()):
            if not model.id.startswith(provider.prefix):
                continue
            try:
                prices = tuple(_prices(model, provider, source))
            except _Inexpressible:
                continue
            names = _names(model) - taken
            taken |= names
            listings.append(
                Listing(
                    model=model.id,
                    prices=prices,
                    names=names - {model.id.lower()},
                    snapshots_of=frozenset(name for name in names if _has_snapshots(model, name)),
                    provider=provider.provider,
                )
            )
    return tuple(listings)


def _names(model: "ModelInfo") -> frozenset[str]:
    """Return the whole names among what a model is matched by.

    The data matches by beginnings and parts, so that `gemini-1.5-flash-8b` would be billed as
    `gemini-1.5-flash`. We take what it looks for as a name, never as a part of one.
    """
    wholes = {text for text in _literals(model.match) if not _PARTIAL.search(text) and model.is_match(text)}
    return frozenset(name.lower() for name in (model.id, *wholes))


def _literals(clause: "MatchLogic") -> Iterator[str]:
    parts = vars(clause)
    for key in ("or_", "and_"):
        for part in parts.get(key, ()):
            yield from _literals(part)
    for key in ("equals", "starts_with", "contains", "ends_with"):
        if key in parts:
            yield parts[key]


def _has_snapshots(model: "ModelInfo", name: str) -> bool:
    return any(model.is_match(name + snapshot) for snapshot in _SNAPSHOTS)


def _prices(model: "ModelInfo", provider: PublicProvider, source: str) -> Iterator[Price]:
    """Yield a price for each span of days between which nothing changes."""
    last: Price | None = None
    for starts in (None, *sorted(_days(model))):
        amounts = _standard(model, starts)
        if amounts is None:
            continue
        standard = _tariff(amounts, provider)
        factors, tariffs = {STANDARD: PER_MILLE}, dict[str, Tariff]()
        for tier, changes in _variants(model, starts).items():
            tariff = _tariff({**amounts, **changes}, provider)
            per_mille = _factor_between(standard, tariff)
            if per_mille is None:
                tariffs[tier] = tariff
            else:
                factors[tier] = per_mille
        price = Price(
            model=model.id,
            starts=starts,
            rates=standard.rates,
            steps=standard.steps,
            tool_fees={
                tool: nusd_from_usd(cast("Decimal", amounts[key]))
                for key, tool in _FEES.items()
                if key in amounts
            },
            tier_per_mille=factors,
            tariffs=tariffs,
            source=source,
            checked=provider.checked,
        )
        if last is None or replace(last, starts=starts) != price:
            yield price
        last = price


def _days(model: "ModelInfo") -> set[date]:
    """Return the days on which something changes."""
    from genai_prices.types import ModelPrice, StartDateConstraint  # noqa: PLC0415 - see above

    dated = [] if isinstance(model.prices, ModelPrice) else list(model.prices)
    days: set[date] = set()
    for constraint in [entry.constraint for entry in (*dated, *(model.price_variants or ()))]:
        if isinstance(constraint, StartDateConstraint):
            days.add(constraint.start_date)
        elif constraint is not None:
            raise _Inexpressible
    return days


def _standard(model: "ModelInfo", day: date | None) -> "Amounts | None":
    """Return the standard amounts on a day (None: before any change), or None where there are none."""
    from genai_prices.types import ModelPrice  # noqa: PLC0415 - see above

    if isinstance(model.prices, ModelPrice):
        return _amounts(model.prices)
    # The data lets the last entry that has started win.
    for entry in reversed(model.prices):
        if _has_started(entry.constraint, day):
            return _amounts(entry.prices)
    return None


def _variants(model: "ModelInfo", day: date | None) -> "dict[str, Amounts]":
    """Return what each tier changes; the first variant that states an amount wins."""
    changes: dict[str, Amounts] = {}
    for variant in model.price_variants or ():
        circumstances = tuple(variant.when.items())
        tier = _TIERS.get(circumstances[0]) if len(circumstances) == 1 else None
        if tier is not None and _has_started(variant.constraint, day):
            changes[tier] = {**_amounts(variant.prices), **changes.get(tier, {})}
    return changes


def _has_started(constraint: object, day: date | None) -> bool:
    starts: date | None = getattr(constraint, "start_date", None)
    return starts is None or (day is not None and starts <= day)


def _amounts(price: "ModelPrice") -> "Amounts":
    stated = cast("Mapping[str, Decimal | TieredPrices | None]", vars(price))
    return {key: amount for key, amount in stated.items() if amount is not None}


def _tariff(amounts: "Amounts", provider: PublicProvider) -> Tariff:
    by_class: dict[TokenClass, Decimal | TieredPrices] = {}
    for key, amount in amounts.items():
        token_class = provider.short_write if key == _SHORT_WRITE else _RATES.get(key)
        if token_class is not None:
            by_class[token_class] = amount
        elif key not in _FEES and key not in _REPORTED_APART:
            raise _Inexpressible
    if not by_class.keys() >= {TokenClass.INPUT, TokenClass.OUTPUT}:
        raise _Inexpressible
    thresholds = {tier.start for amount in by_class.values() for tier in getattr(amount, "tiers", ())}
    tariff = Tariff(
        rates=_rates_above(by_class, -1),
        steps=tuple(PriceStep(start, _rates_above(by_class, start)) for start in sorted(thresholds)),
    )
    if not all(rate > 0 for rates in _all_rates(tariff) for rate in rates.values()):
        # A zero in a list of prices is a gap more often than a gift.
        raise _Inexpressible
    return tariff


def _rates_above(amounts: "Mapping[TokenClass, Decimal | TieredPrices]", threshold: int) -> Rates:
    rates: dict[TokenClass, int] = {}
    for token_class, amount in amounts.items():
        usd = amount if isinstance(amount, Decimal) else amount.base
        for tier in getattr(amount, "tiers", ()):
            if tier.start <= threshold:
                usd = cast("Decimal", tier.price)
        rates[token_class] = nusd_from_usd(usd)
    return rates


def _all_rates(tariff: Tariff) -> tuple[Rates, ...]:
    return (tariff.rates, *(step.rates for step in tariff.steps))


def _factor_between(standard: Tariff, other: Tariff) -> int | None:
    """Return the factor in thousandths that turns one tariff into the other, or None."""
    if [step.above_tokens for step in standard.steps] != [step.above_tokens for step in other.steps]:
        return None
    per_mille, rest = divmod(other.rates[TokenClass.INPUT] * PER_MILLE, standard.rates[TokenClass.INPUT])
    same = all(
        rates.keys() == changed.keys() and all(changed[c] * PER_MILLE == rates[c] * per_mille for c in rates)
        for rates, changed in zip(_all_rates(standard), _all_rates(other), strict=True)
    )
    return per_mille if same and not rest else None
