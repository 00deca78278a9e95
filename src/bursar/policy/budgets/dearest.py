"""What a token can cost at most."""

from bursar.domain.bounded import BoundedDict
from bursar.domain.money import divide_up
from bursar.domain.prices import STANDARD, Price, PriceStep, Terms, rates_under
from bursar.domain.usage import TokenClass
from bursar.errors import UnpricedClass

BATCH = "batch"

# Rates are per million tokens, factors in millionths.
_RATE_DENOMINATOR = 10**12

_Key = tuple[int, Terms, tuple[TokenClass, ...], int]


class DearestTokens:
    """What a token of a prompt, and one of an answer, can cost at most: worked out once per price and terms.

    Args:
        kept_max: How many are remembered.
    """

    def __init__(self, kept_max: int = 4_096) -> None:
        # A price is kept with what came of it, so that its identity is nobody else's meanwhile.
        self._known: BoundedDict[_Key, tuple[Price, tuple[int, int]]] = BoundedDict(kept_max)

    def of(
        self, price: Price, terms: Terms, prompt_tokens: int, writes: tuple[TokenClass, ...]
    ) -> tuple[int, int]:
        """Return the most that a token of the prompt, and one of the answer, can cost, in whole nusd.

        Args:
            price: The model's.
            terms: What the request is billed under.
            prompt_tokens: The most that the prompt can have.
            writes: The classes under which it may be written to the cache.

        Raises:
            UnpricedClass: The tier or geography has no price, or plain input or output has none.
        """
        # Between two steps it does not matter how long the prompt is.
        passed = sum([step.above_tokens < prompt_tokens for step in _steps(price, terms)])
        key = (id(price), terms, writes, passed)
        known = self._known.get(key)
        if known is None:
            known = price, _work_out(price, terms, prompt_tokens, writes)
            self._known.keep(key, known)
        return known[1]


def _work_out(
    price: Price, terms: Terms, prompt_tokens: int, writes: tuple[TokenClass, ...]
) -> tuple[int, int]:
    """Return the most that a token of the prompt, and one of the answer, can cost, in whole nusd.

    A shorter prompt than the bound may lie below a step, and a tier that was asked for may not be given.
    """
    prompt_nusd, output_nusd = _dearest_at(price, terms, prompt_tokens, writes)
    for step in _steps(price, terms):
        if step.above_tokens < prompt_tokens:
            lower = _dearest_at(price, terms, step.above_tokens, writes)
            prompt_nusd, output_nusd = max(prompt_nusd, lower[0]), max(output_nusd, lower[1])
    if terms.tier not in {STANDARD, BATCH}:
        standard = _work_out(price, Terms(geo=terms.geo), prompt_tokens, writes)
        prompt_nusd, output_nusd = max(prompt_nusd, standard[0]), max(output_nusd, standard[1])
    return prompt_nusd, output_nusd


def _dearest_at(
    price: Price, terms: Terms, prompt_tokens: int, writes: tuple[TokenClass, ...]
) -> tuple[int, int]:
    rates, factor = rates_under(price, terms, prompt_tokens)
    get = rates.get
    # What lacks a price here may never be used; plain input and output always are.
    prompt_rate, output_rate = get(TokenClass.INPUT), get(TokenClass.OUTPUT)
    if prompt_rate is None or output_rate is None:
        missing = TokenClass.INPUT if prompt_rate is None else TokenClass.OUTPUT
        raise UnpricedClass(price.model, missing.value)
    prompt_rate = max(prompt_rate, get(TokenClass.CACHE_READ, 0))
    for token_class in writes:
        prompt_rate = max(prompt_rate, get(token_class, 0))
    output_rate = max(output_rate, get(TokenClass.REASONING, 0))
    return divide_up(prompt_rate * factor, _RATE_DENOMINATOR), divide_up(
        output_rate * factor, _RATE_DENOMINATOR
    )


def _steps(price: Price, terms: Terms) -> tuple[PriceStep, ...]:
    """Return the steps of a tier, and those of the standard tier, which may be given instead."""
    tariff = price.tariffs.get(terms.tier)
    return price.steps if tariff is None else tariff.steps + price.steps
