"""What a provider's cache makes of one prompt."""

from collections.abc import Mapping

import msgspec

from bursar.domain.money import share_out
from bursar.domain.usage import TokenClass, Usage


class CacheOutcome(msgspec.Struct, frozen=True, gc=False):
    """How the tokens of a prompt are billed, and which entries live on.

    Attributes:
        read_tokens: Read from the cache.
        writes: Written to it, by token class; no zeros.
        input_tokens: Neither: billed as plain input. The three add up to the prompt.
        hit: Number of the block with which the longest prefix read ends; None for a miss.
        kept: Entries that live anew once the response begins, as pairs of block number and time to
            live: what was read, what other marks found, and what is written. In prompt order.
    """

    read_tokens: int
    writes: Mapping[TokenClass, int]
    input_tokens: int
    hit: int | None
    kept: tuple[tuple[int, str], ...]

    @property
    def write_tokens(self) -> int:
        """Tokens written, of all classes."""
        return sum(self.writes.values())

    @property
    def total_tokens(self) -> int:
        """All tokens of the prompt."""
        return self.read_tokens + self.write_tokens + self.input_tokens

    def scaled(self, total_prompt_tokens: int) -> Mapping[TokenClass, int]:
        """Share a total out in these proportions: the provider's own count, say.

        Returns:
            Tokens by class, without zeros, adding up to the total exactly.
        """
        # Input comes last: where our own count is zero, `share_out` gives everything to the last.
        classes = (TokenClass.CACHE_READ, *self.writes, TokenClass.INPUT)
        weights = (self.read_tokens, *self.writes.values(), self.input_tokens)
        shares = share_out(total_prompt_tokens, weights)
        return {c: tokens for c, tokens in zip(classes, shares, strict=True) if tokens}

    def usage(self, total_prompt_tokens: int, output: int, reasoning: int = 0) -> Usage:
        """Return the usage that a provider would report.

        Args:
            total_prompt_tokens: Its count of the prompt.
            output: Its count of the answer, without reasoning.
            reasoning: Its count of the reasoning.
        """
        if not self.read_tokens and not self.writes:
            return Usage(input=total_prompt_tokens, output=output, reasoning=reasoning)
        tokens = self.scaled(total_prompt_tokens)
        return Usage(
            input=tokens.get(TokenClass.INPUT, 0),
            cache_read=tokens.get(TokenClass.CACHE_READ, 0),
            cache_write_5m=tokens.get(TokenClass.CACHE_WRITE_5M, 0),
            cache_write_30m=tokens.get(TokenClass.CACHE_WRITE_30M, 0),
            cache_write_1h=tokens.get(TokenClass.CACHE_WRITE_1H, 0),
            cache_write_12h=tokens.get(TokenClass.CACHE_WRITE_12H, 0),
            output=output,
            reasoning=reasoning,
        )


def uncached(total_tokens: int) -> CacheOutcome:
    """Return the outcome where there is no cache, or nothing in the prompt concerns it."""
    return CacheOutcome(read_tokens=0, writes={}, input_tokens=total_tokens, hit=None, kept=())
