"""Dated prices, and the one function that turns usage into money.

A rate is an integer of nanodollars per million tokens, so that 0.30 USD per million is 300_000_000. The
same `cost` prices what was billed, what a reservation must hold, and the baseline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from bursar.domain.usage import ServerTool, TokenClass, Usage


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request is billed under, beyond its tokens.

    Attributes:
        tier: `standard`, `batch`, `flex`, `priority` or `fast`.
        geo: Where inference must run, as the request or response says; empty where unsaid.
    """

    tier: str = "standard"
    geo: str = ""


@dataclass(frozen=True, slots=True)
class CostLine:
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
    """Rates that apply to the *whole* request once its prompt is longer than `above_tokens`."""

    above_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """One model's price, in force from a date.

    Attributes:
        model: The model's id in the price book.
        starts: First day (UTC) on which it holds; None for always.
        rates: Nanodollars per million tokens, by class. A class that is absent has no price.
        steps: Longer prompts' rates, by rising threshold.
        tool_fees: Nanodollars per thousand requests to the provider's own tools.
        tier_per_mille: Factor on all token rates per tier, in thousandths; an absent tier has no price.
        geo_per_mille: Factor on all token rates per inference geography, in thousandths.
        source: Where the numbers come from.
        checked: When somebody last looked.
    """

    model: str
    starts: date | None
    rates: Rates
    steps: tuple[PriceStep, ...] = ()
    tool_fees: Mapping[ServerTool, int] = field(default_factory=dict[ServerTool, int])
    tier_per_mille: Mapping[str, int] = field(default_factory=lambda: {"standard": 1000})
    geo_per_mille: Mapping[str, int] = field(default_factory=dict[str, int])
    source: str = ""
    checked: date | None = None


def cost(usage: Usage, price: Price, terms: Terms) -> tuple[CostLine, ...]:
    """Price each disjoint token class once. (Interface: see docs/architecture.md.)"""
    raise NotImplementedError
