"""What items would have cost one by one: an estimate, from what their common call was billed.

One by one, each item's call would have held the instructions, the item, and its answer alone. How the call's
tokens are shared out between these is estimated by their bytes; the sum is the provider's own. Prompts are
taken to be read without a cache, as the common call's baseline is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bursar.domain.money import divide_half_even, share_out
from bursar.domain.prices import Price, Terms, cost, total_nusd
from bursar.domain.usage import Usage
from bursar.errors import UnpricedClass


@dataclass(frozen=True, slots=True)
class Lengths:
    """What a call was made of, in bytes.

    Attributes:
        instruction: The instructions.
        items: Each item of the call, in order.
        answers: Each item's answer, in the same order; 0 for one that has no good answer, and so counts for
            nothing.
        text: All that was answered.
    """

    instruction: int
    items: Sequence[int]
    answers: Sequence[int]
    text: int


def alone_nusd(usage: Usage, price: Price, lengths: Lengths) -> int | None:
    """Return what the answered items of a call would have cost in calls of their own.

    Args:
        usage: What the call used.
        price: The model's, when it was made.
        lengths: What the call was made of.

    Returns:
        Nanodollars at the standard tier, or None where the price says nothing about it.
    """
    instruction, *items = share_out(usage.prompt_tokens, (lengths.instruction, *lengths.items))
    total = 0
    for item_tokens, answer in zip(items, lengths.answers, strict=True):
        if not answer:
            continue
        # Ids and brackets between the answers would not have been written.
        written = divide_half_even(usage.output_tokens * answer, lengths.text)
        try:
            total += total_nusd(cost(Usage(input=instruction + item_tokens, output=written), price, Terms()))
        except UnpricedClass:
            return None
    return total
