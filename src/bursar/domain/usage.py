"""What a response used, in token classes that never overlap.

Providers count differently: Anthropic's `input_tokens` leaves cached tokens out, OpenAI's
`prompt_tokens` holds them (PROVIDERS.md). A dialect turns either into the disjoint classes below, so
that the sum of the classes is the total and no token is paid for twice.
"""

from enum import StrEnum

import msgspec

from bursar.errors import BadUsage


class TokenClass(StrEnum):
    """How tokens are billed. Every token of a call is in exactly one class."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_30M = "cache_write_30m"
    CACHE_WRITE_1H = "cache_write_1h"
    CACHE_WRITE_12H = "cache_write_12h"
    OUTPUT = "output"
    REASONING = "reasoning"


PROMPT_CLASSES = (
    TokenClass.INPUT,
    TokenClass.CACHE_READ,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_30M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_WRITE_12H,
)


class ServerTool(StrEnum):
    """Tools that the provider runs and bills per request."""

    WEB_SEARCH = "web_search"
    WEB_FETCH = "web_fetch"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Disjoint token classes of one attempt, in tokens, and requests to the provider's own tools.

    Field names of tokens are the values of `TokenClass`. `other` names quantities that the provider
    reported and that no class holds (audio tokens, say): their cost is unknown, so the call's is too.

    Raises:
        BadUsage: A count is negative.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_30m: int = 0
    cache_write_1h: int = 0
    cache_write_12h: int = 0
    output: int = 0
    reasoning: int = 0
    web_search: int = 0
    web_fetch: int = 0
    other: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # An integer's sign survives a bitwise or: of all of them together, at a fraction of the time.
        if (
            self.input
            | self.cache_read
            | self.cache_write_5m
            | self.cache_write_30m
            | self.cache_write_1h
            | self.cache_write_12h
            | self.output
            | self.reasoning
            | self.web_search
            | self.web_fetch
        ) < 0:
            counts = msgspec.structs.asdict(self)
            negative = [name for name, n in counts.items() if name != "other" and n < 0]
            raise BadUsage(f"negative count of {', '.join(negative)} in {self}")

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_30m
            + self.cache_write_1h
            + self.cache_write_12h
        )

    @property
    def output_tokens(self) -> int:
        """All tokens that the model made, reasoning included."""
        return self.output + self.reasoning

    @property
    def total_tokens(self) -> int:
        """All tokens, of every class."""
        return self.prompt_tokens + self.output_tokens

    def of(self, token_class: TokenClass) -> int:
        """Return the tokens of one class."""
        count: int = getattr(self, token_class.value)
        return count

    def tokens(self) -> dict[str, int]:
        """Return the non-zero classes by name, in the order of `TokenClass`."""
        return {c.value: n for c in TokenClass if (n := self.of(c))}
