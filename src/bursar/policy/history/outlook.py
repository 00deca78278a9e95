"""What a thread's next calls will cost, with a prompt of this length or that."""

from collections.abc import Callable

import msgspec

from bursar.domain.prices import Rates
from bursar.domain.usage import TokenClass

# Longer threads than this are no more certain to pay, only longer to add up.
_CALLS_MAX = 200

MILLIONTHS = 1_000_000
"""A sum of tokens times rates, divided by this, is in nusd."""


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """What is expected of a thread.

    Attributes:
        calls: Calls to come, this one included; at least 1.
        growth_tokens: What each adds to the prompt.
        output_tokens: What each generates. It matters where a longer prompt reprices the output.
    """

    calls: int
    growth_tokens: int = 0
    output_tokens: int = 0

    def until(self, prompt_tokens: int, bound_tokens: int) -> "Outlook":
        """Return the outlook up to the call at which a prompt, now of this length, outgrows a bound."""
        calls = min(self.calls, _CALLS_MAX)
        if self.growth_tokens > 0:
            calls = min(calls, 1 + (bound_tokens - prompt_tokens) // self.growth_tokens)
        return Outlook(max(calls, 1), self.growth_tokens, self.output_tokens)


class Pricing(msgspec.Struct, frozen=True, gc=False):
    """The model's prices, as far as a thread's calls are concerned.

    Attributes:
        rates_for: Returns the rates for a prompt of so many tokens, in nusd per million tokens
            (`Price.rates_for`): a tier for long prompts reprices the whole call.
        write_class: How a cache write is billed, `INPUT` where writes are free; None where the model is
            taken to have no cache.
    """

    rates_for: Callable[[int], Rates]
    write_class: TokenClass | None

    def this_call(self, prompt_tokens: int, read_tokens: int, output_tokens: int) -> int | None:
        """Price a call: what cannot be read from the cache is written to it.

        Returns:
            Millionths of nusd; None where a rate is unknown.
        """
        rates = self._rates(self.rates_for(prompt_tokens), output_tokens)
        if rates is None:
            return None
        read, write, output = rates
        return read_tokens * read + (prompt_tokens - read_tokens) * write + output_tokens * output

    def later_calls(self, prompt_tokens: int, outlook: Outlook) -> int | None:
        """Price the calls after this one: each reads the prompt of the one before it, and adds to it.

        Args:
            prompt_tokens: Length of this call's prompt.
            outlook: What is expected.

        Returns:
            Millionths of nusd; None where a rate is unknown.
        """
        growth, left, length = outlook.growth_tokens, outlook.calls - 1, prompt_tokens
        cost = 0
        while left:
            calls = self._calls_at_equal_rates(length, growth, left)
            rates = self._rates(self.rates_for(length + growth), outlook.output_tokens)
            if rates is None:
                return None
            read, write, output = rates
            # They read length, length + growth, length + 2 growth, and so on.
            read_tokens = calls * length + growth * (calls * (calls - 1) // 2)
            cost += read_tokens * read + calls * (growth * write + outlook.output_tokens * output)
            length += calls * growth
            left -= calls
        return cost

    def _calls_at_equal_rates(self, length: int, growth: int, calls: int) -> int:
        """Return how many of the next calls are billed as the next one is."""
        rates = self.rates_for(length + growth)
        if self.rates_for(length + calls * growth) == rates:
            return calls
        same, other = 1, calls
        while other - same > 1:
            middle = (same + other) // 2
            if self.rates_for(length + middle * growth) == rates:
                same = middle
            else:
                other = middle
        return same

    def _rates(self, rates: Rates, output_tokens: int) -> tuple[int, int, int] | None:
        """Return the rates of reading, of writing and of output; None where one that is needed is unknown."""
        write = rates.get(TokenClass.INPUT if self.write_class is None else self.write_class)
        read = write if self.write_class is None else rates.get(TokenClass.CACHE_READ)
        output = rates.get(TokenClass.OUTPUT) if output_tokens else 0
        if read is None or write is None or output is None:
            return None
        return read, write, output
