"""What tokens that could have been read from the cache were billed at instead."""

from collections.abc import Mapping

import msgspec

from bursar.domain.money import divide_half_even
from bursar.domain.prices import PER_MILLE, Price, Rates, Terms, rates_under
from bursar.domain.usage import PROMPT_CLASSES, TokenClass
from bursar.errors import UnpricedClass

_DENOMINATOR = 1_000_000 * PER_MILLE * PER_MILLE
WRITE_CLASSES = tuple(c for c in PROMPT_CLASSES if c not in {TokenClass.INPUT, TokenClass.CACHE_READ})


class Tariff(msgspec.Struct, frozen=True):
    """What one call's tokens cost.

    Attributes:
        rates: Nanodollars per million tokens, by class.
        factor: What they are multiplied by, in millionths.
    """

    rates: Rates
    factor: int

    def cost_nusd(self, tokens: Mapping[TokenClass, int]) -> int | None:
        """Return what tokens cost, rounded half-even once per class; None where a class has no rate."""
        total_nusd = 0
        for token_class, count in tokens.items():
            rate = self.rates.get(token_class)
            if rate is None:
                return None
            total_nusd += divide_half_even(count * rate * self.factor, _DENOMINATOR)
        return total_nusd

    def premium_nusd(self, token_class: TokenClass, tokens: int) -> int:
        """Return by how much writing tokens is dearer than sending them plainly; 0 where that is unknown."""
        written = self.rates.get(token_class)
        plain = self.rates.get(TokenClass.INPUT)
        if written is None or plain is None:
            return 0
        return divide_half_even(tokens * (written - plain) * self.factor, _DENOMINATOR)


def tariff_of(price: Price | None, terms: Terms, prompt_tokens: int) -> Tariff | None:
    """Return what a call's tokens cost, or None where that is unknown."""
    if price is None:
        return None
    try:
        return Tariff(*rates_under(price, terms, prompt_tokens))
    except UnpricedClass:
        return None


def loss_nusd(billed: Mapping[TokenClass, int], lost_tokens: int, tariff: Tariff) -> int | None:
    """Return what tokens cost above a read, where they were billed otherwise.

    They stand before whatever else a prompt holds, and what stands in front is written rather than plain.

    Args:
        billed: Tokens of the prompt by class, as they were billed.
        lost_tokens: How many of them could have been read and were not.
        tariff: What they cost.

    Returns:
        Nanodollars; None where a rate is unknown.
    """
    taken: dict[TokenClass, int] = {}
    left = lost_tokens
    for token_class in (*WRITE_CLASSES, TokenClass.INPUT):
        count = min(left, billed.get(token_class, 0))
        if count:
            taken[token_class] = count
            left -= count
    paid_nusd = tariff.cost_nusd(taken)
    read_nusd = tariff.cost_nusd({TokenClass.CACHE_READ: lost_tokens - left})
    return None if paid_nusd is None or read_nusd is None else paid_nusd - read_nusd
