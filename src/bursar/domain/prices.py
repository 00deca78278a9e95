"""Dated prices, and the one function that turns usage into money.

A rate is an integer of nanodollars per million tokens, so that 0.30 USD per million is 300_000_000. The
same `cost` prices what was billed, what a reservation must hold, and the baseline.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter

import msgspec

from bursar.domain.money import divide_half_even
from bursar.domain.usage import ServerTool, TokenClass, Usage
from bursar.errors import UnpricedClass

PER_MILLE = 1000
STANDARD = "standard"

_TOKENS_PER_RATE = 1_000_000
_REQUESTS_PER_FEE = 1000
_LINE_DENOMINATOR = _TOKENS_PER_RATE * PER_MILLE * PER_MILLE

# Reading all counts at once keeps the hot path free of one attribute look-up per class.
_TOKEN_CLASSES = tuple((token_class, token_class.value) for token_class in TokenClass)
_token_counts = attrgetter(*(token_class.value for token_class in TokenClass))


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a request is billed under, beyond its tokens.

    Attributes:
        tier: `standard`, `batch`, `flex`, `priority` or `fast`.
        geo: Where inference must run, as the request or response says; empty where unsaid.
    """

    tier: str = STANDARD
    geo: str = ""


class CostLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a bill.

    Attributes:
        item: A token class, or a server tool.
        quantity: Tokens or requests.
        cost_nusd: Rounded half-even once.
    """

    item: str
    quantity: int
    cost_nusd: int


Rates = Mapping[TokenClass, int]


@dataclass(frozen=True, slots=True)
class PriceStep:
    """Rates that apply to the *whole* request once its prompt is longer than `above_tokens`.

    The prompt is everything the model reads, cached or not. A prompt of exactly `above_tokens` is still
    below the step. The rates are complete: a class that is absent has no price above the step either.
    """

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tier's own rates, where no single factor on the standard rates gives them.

    Attributes:
        rates: Nanodollars per million tokens, by class.
        steps: Longer prompts' rates, by rising threshold.
    """

    rates: Rates
    steps: tuple[PriceStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Price:
    """One model's price, in force from a date.

    Attributes:
        model: The model's id in the price book.
        starts: First day (UTC) on which it holds; None for always.
        rates: Nanodollars per million tokens, by class. A class that is absent has no price; reasoning
            without a rate of its own is billed as output.
        steps: Longer prompts' rates, by rising threshold.
        tool_fees: Nanodollars per thousand requests to the provider's own tools.
        tier_per_mille: Factor on all token rates per tier, in thousandths; an absent tier has no price.
        tariffs: Tiers with rates of their own; these win over a factor for the same tier.
        geo_per_mille: Factor on all token rates per inference geography, in thousandths. A geography
            that is named but absent here has no price.
        source: Where the numbers come from.
        checked: When somebody last looked.
    """

    model: str
    starts: date | None
    rates: Rates
    steps: tuple[PriceStep, ...] = ()
    tool_fees: Mapping[ServerTool, int] = field(default_factory=dict[ServerTool, int])
    tier_per_mille: Mapping[str, int] = field(default_factory=lambda: {STANDARD: PER_MILLE})
    tariffs: Mapping[str, Tariff] = field(default_factory=dict[str, Tariff])
    geo_per_mille: Mapping[str, int] = field(default_factory=dict[str, int])
    source: str = ""
    checked: date | None = None

    def rates_for(self, prompt_tokens: int) -> Rates:
        """Return the standard tier's rates for a prompt of this length, steps included."""
        return _step_rates(self.rates, self.steps, prompt_tokens)


def cost(usage: Usage, price: Price, terms: Terms) -> tuple[CostLine, ...]:
    """Price each disjoint token class once, and each request to a server tool.

    Tier and geography multiply token rates; they touch no tool fee.

    Args:
        usage: Disjoint token classes of one response, in tokens.
        price: Nanodollars per million tokens, in force on the day (UTC) on which the request started.
        terms: What the request is billed under.

    Returns:
        One line per non-zero class and tool, in nanodollars, rounded half-even once per line.

    Raises:
        UnpricedClass: A non-zero class or tool has no rate, the tier or geography has no factor, or the
            provider reported a quantity that no class holds. Unknown is never free.
    """
    if usage.other:
        raise UnpricedClass(price.model, ", ".join(usage.other))
    geo_per_mille = _geo_per_mille(price, terms.geo) if terms.geo else PER_MILLE
    rates, steps, tier_per_mille = _tier(price, terms.tier)
    if steps:
        rates = _step_rates(rates, steps, usage.prompt_tokens)
    factor = tier_per_mille * geo_per_mille
    lines: list[CostLine] = []
    for number, quantity in enumerate(_token_counts(usage)):
        if quantity:
            token_class, item = _TOKEN_CLASSES[number]
            rate = rates.get(token_class)
            if rate is None and token_class is TokenClass.REASONING:
                rate = rates.get(TokenClass.OUTPUT)
            if rate is None:
                raise UnpricedClass(price.model, item)
            lines.append(
                CostLine(item, quantity, divide_half_even(quantity * rate * factor, _LINE_DENOMINATOR))
            )
    if usage.web_search or usage.web_fetch:
        lines += _tool_lines(usage, price)
    return tuple(lines)


def total_nusd(lines: Iterable[CostLine]) -> int:
    """Return the sum of cost lines."""
    return sum([line.cost_nusd for line in lines])


def rates_under(price: Price, terms: Terms, prompt_tokens: int) -> tuple[Rates, int]:
    """Return what a token costs under terms, for a prompt of this length.

    Returns:
        Nanodollars per million tokens by class, and the factor on all of them, in millionths.

    Raises:
        UnpricedClass: The tier or geography has no factor.
    """
    geo_per_mille = _geo_per_mille(price, terms.geo)
    rates, steps, tier_per_mille = _tier(price, terms.tier)
    return _step_rates(rates, steps, prompt_tokens), tier_per_mille * geo_per_mille


def _geo_per_mille(price: Price, geo: str) -> int:
    per_mille = price.geo_per_mille.get(geo) if geo else PER_MILLE
    if per_mille is None:
        raise UnpricedClass(price.model, f'inference geography "{geo}"')
    return per_mille


def _tier(price: Price, tier: str) -> tuple[Rates, tuple[PriceStep, ...], int]:
    """Return a tier's rates, its steps, and the factor on both in thousandths."""
    tariff = price.tariffs.get(tier)
    if tariff is not None:
        return tariff.rates, tariff.steps, PER_MILLE
    per_mille = price.tier_per_mille.get(tier)
    if per_mille is None:
        raise UnpricedClass(price.model, f'tier "{tier}"')
    return price.rates, price.steps, per_mille


def _step_rates(rates: Rates, steps: tuple[PriceStep, ...], prompt_tokens: int) -> Rates:
    for step in steps:
        if prompt_tokens <= step.above_tokens:
            break
        rates = step.rates
    return rates


def _tool_lines(usage: Usage, price: Price) -> list[CostLine]:
    lines: list[CostLine] = []
    for tool in ServerTool:
        requests: int = getattr(usage, tool.value)
        if requests:
            fee = price.tool_fees.get(tool)
            if fee is None:
                raise UnpricedClass(price.model, tool.value)
            lines.append(CostLine(tool.value, requests, divide_half_even(requests * fee, _REQUESTS_PER_FEE)))
    return lines
