"""Finds prices that are probably wrong before they bill anybody.

Providers keep fixed ratios between their rates, so a rate that breaks one is a typing error far more often
than news. Which ratios those are is data (`Norms`); what a finding says is how to mend it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from bursar.domain.money import usd_text
from bursar.domain.price_book import Listing
from bursar.domain.prices import PER_MILLE, Price, PriceStep, Rates
from bursar.domain.usage import TokenClass


class Severity(StrEnum):
    """What a finding means for `bursar prices check`: errors fail it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a price.

    Attributes:
        model: The model's id.
        place: Where in its prices, such as `2026-11-01.cache_read`.
        severity: Whether it is certainly or only probably wrong.
        problem: What is wrong.
        mend: What to do about it.
    """

    model: str
    place: str
    severity: Severity
    problem: str
    mend: str


@dataclass(frozen=True, slots=True)
class Norms:
    """What rates look like when they are right.

    Attributes:
        of_input_per_mille: Factors on the input rate that providers use, in thousandths, by class.
        odd_models: Models whose published rates keep other ratios; these are not compared.
        discounts: Tiers that never cost more than the standard one.
        lowest_nusd: An input or output rate (per million tokens) below this was never charged.
        low_nusd: An input or output rate (per million tokens) below this is hardly ever charged.
        highest_nusd: A rate (per million tokens) above this was never charged.
    """

    of_input_per_mille: Mapping[TokenClass, frozenset[int]]
    odd_models: frozenset[str]
    discounts: frozenset[str]
    lowest_nusd: int
    low_nusd: int
    highest_nusd: int


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a check looks; it turns what it sees into findings."""

    model: str
    path: str

    def error(self, key: str, problem: str, mend: str) -> Finding:
        return Finding(self.model, f"{self.path}.{key}", Severity.ERROR, problem, mend)

    def warning(self, key: str, problem: str, mend: str) -> Finding:
        return Finding(self.model, f"{self.path}.{key}", Severity.WARNING, problem, mend)


def lint(layer: Sequence[Listing], norms: Norms) -> tuple[Finding, ...]:
    """Check one layer of a price book.

    Args:
        layer: Its listings, as they were written.
        norms: What rates look like when they are right.

    Returns:
        Findings in the order of the layer.
    """
    findings: list[Finding] = []
    owners: dict[str, str] = {}
    for listing in layer:
        findings += _check_names(listing, owners)
        findings += _check_dates(listing)
        for price in listing.prices:
            findings += _check_price(price, norms)
    return tuple(findings)


def _check_names(listing: Listing, owners: dict[str, str]) -> Iterator[Finding]:
    """Two listings of one name would make the price depend on their order."""
    for name in (listing.model.lower(), *sorted(listing.names - {listing.model.lower()})):
        if name in owners:
            yield _Spot(listing.model, "names").error(
                name, f'"{name}" already stands for {owners[name]}', "let a name stand for one model only"
            )
        else:
            owners[name] = listing.model


def _check_dates(listing: Listing) -> Iterator[Finding]:
    for earlier, later in pairwise(listing.prices):
        if later.starts is None or (earlier.starts is not None and later.starts <= earlier.starts):
            yield _Spot(listing.model, _day(later)).error(
                "from",
                f"follows a price from {_day(earlier)}, so which of them holds is a matter of order",
                "give each entry a later day than the one before it",
            )


def _check_price(price: Price, norms: Norms) -> Iterator[Finding]:
    spot = _Spot(price.model, _day(price))
    yield from _check_rates(price.rates, norms, spot)
    yield from _check_steps(price.rates, price.steps, norms, spot)
    for tool, fee in price.tool_fees.items():
        if fee < 0:
            yield spot.error(tool, "a negative fee", "write what 1,000 requests cost")
    for tier, per_mille in price.tier_per_mille.items():
        if per_mille <= 0:
            yield spot.error(f"tiers.{tier}", "a factor of zero or less", "leave a tier without a price out")
        elif tier in norms.discounts and per_mille > PER_MILLE:
            yield spot.warning(
                f"tiers.{tier}", f"{tier} costs more than standard", "write the factor, such as 0.5 for half"
            )
    for tier, tariff in price.tariffs.items():
        below = _Spot(price.model, f"{spot.path}.tiers.{tier}")
        yield from _check_bounds(tariff.rates, norms, below)
        yield from _check_thresholds(tariff.steps, below)


def _check_rates(rates: Rates, norms: Norms, spot: _Spot) -> Iterator[Finding]:
    yield from _check_bounds(rates, norms, spot)
    if rates.get(TokenClass.INPUT, 0) > 0 and spot.model not in norms.odd_models:
        yield from _check_ratios(rates, norms, spot)


def _check_ratios(rates: Rates, norms: Norms, spot: _Spot) -> Iterator[Finding]:
    input_nusd = rates[TokenClass.INPUT]
    if 0 < rates.get(TokenClass.OUTPUT, input_nusd) < input_nusd:
        yield spot.warning(
            TokenClass.OUTPUT, "output is cheaper than input", "check that the two are not exchanged"
        )
    for place, rate, factors in _ratios(rates, norms):
        if rate <= 0 or any(rate * PER_MILLE == input_nusd * factor for factor in factors):
            continue
        problem = f"{_usd(rate)} is {_factor(rate * PER_MILLE // input_nusd)} the input rate"
        nearest = min(factors, key=lambda factor: abs(rate * PER_MILLE - input_nusd * factor))
        known = ", ".join(_factor(factor) for factor in sorted(factors))
        mend = (
            f"providers charge {known}; {_factor(nearest)} would be {_usd(input_nusd * nearest // PER_MILLE)}"
        )
        # What a write costs has hardly ever varied; what a read costs does, from model to model.
        is_certain = place != TokenClass.CACHE_READ or rate >= input_nusd
        yield (spot.error if is_certain else spot.warning)(place, problem, mend)


def _ratios(rates: Rates, norms: Norms) -> Iterator[tuple[str, int, frozenset[int]]]:
    """Yield the rates to compare with input: where each stands, what it is, and its known factors."""
    known = norms.of_input_per_mille
    short, other = TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_30M
    is_shared = short in rates and rates[short] == rates.get(other)
    for token_class, factors in known.items():
        if token_class in rates and not (is_shared and token_class in (short, other)):
            yield token_class.value, rates[token_class], factors
    if is_shared:
        # An operator writes one rate for either provider's short write, so either's factors will do.
        yield "cache_write", rates[short], known.get(short, frozenset()) | known.get(other, frozenset())


def _check_bounds(rates: Rates, norms: Norms, spot: _Spot) -> Iterator[Finding]:
    """Rates are per million tokens; lists per token or per thousand are the usual way to be wrong."""
    for token_class, rate in rates.items():
        if rate < 0:
            yield spot.error(token_class, "a negative rate", "write what a million tokens cost")
        elif rate == 0:
            yield spot.warning(
                token_class, "a rate of zero makes these tokens free", "leave out a class without a price"
            )
        elif rate > norms.highest_nusd:
            yield spot.error(
                token_class,
                f"{_usd(rate)} per million tokens is dearer than anything sold",
                "write USD per million tokens, not per thousand million, and not in cents",
            )
        elif token_class in (TokenClass.INPUT, TokenClass.OUTPUT) and rate < norms.low_nusd:
            yield (spot.error if rate < norms.lowest_nusd else spot.warning)(
                token_class,
                f"{_usd(rate)} per million tokens is cheaper than what is sold",
                "write USD per million tokens, not per token (x 1,000,000) or per thousand (x 1,000)",
            )


def _check_steps(base: Rates, steps: tuple[PriceStep, ...], norms: Norms, spot: _Spot) -> Iterator[Finding]:
    yield from _check_thresholds(steps, spot)
    lower = base
    for step in steps:
        above = _Spot(spot.model, f"{spot.path}.above_{step.above_tokens}")
        yield from _check_rates(step.rates, norms, above)
        for token_class, rate in step.rates.items():
            if rate < lower.get(token_class, rate):
                yield above.warning(
                    token_class,
                    f"a longer prompt is cheaper ({_usd(rate)})",
                    "steps of real prices rise; check the order",
                )
        for token_class in lower.keys() - step.rates.keys():
            yield above.error(token_class, "has no rate above the step", "give a step every rate")
        lower = step.rates


def _check_thresholds(steps: tuple[PriceStep, ...], spot: _Spot) -> Iterator[Finding]:
    for lower, higher in pairwise(steps):
        if higher.above_tokens <= lower.above_tokens:
            yield spot.error(
                f"above_{higher.above_tokens}",
                f"follows a step above {lower.above_tokens} tokens",
                "write steps by rising threshold",
            )


def _day(price: Price) -> str:
    return "always" if price.starts is None else price.starts.isoformat()


def _usd(rate_nusd: int) -> str:
    return f"{usd_text(rate_nusd).rstrip('0').rstrip('.')} USD"


def _factor(per_mille: int) -> str:
    whole, thousandths = divmod(per_mille, PER_MILLE)
    return f"{whole}.{thousandths:03d}".rstrip("0").rstrip(".") + "x"
