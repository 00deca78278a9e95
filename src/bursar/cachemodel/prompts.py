"""What a cache looks at: prefixes, marks, and what a request says about caching."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from bursar.domain.prompt import Mark


class Prefixes(Protocol):
    """The prefixes of one prompt. A `Layout` is one; a finer cut of the same prompt may be another."""

    @property
    def chain(self) -> Sequence[bytes]:
        """Names of the prefixes, shortest first."""
        ...

    @property
    def ends(self) -> Sequence[int]:
        """Tokens of each prefix, never falling."""
        ...

    @property
    def message_ends(self) -> Sequence[int]:
        """For each message, the number of prefixes up to its end."""
        ...


class CacheOptions(msgspec.Struct, frozen=True, gc=False):
    """What a request says about caching as a whole. Anthropic's requests say nothing.

    Attributes:
        implicit: Whether the provider sets a breakpoint of its own (`prompt_cache_options.mode`;
            OpenAI from GPT-5.6).
        ttl: Time to live where a mark states none (`prompt_cache_options.ttl`), or that of the whole
            prompt (`prompt_cache_retention`, before GPT-5.6). None: the provider's default.
    """

    implicit: bool = True
    ttl: str | None = None


class CacheRequest(msgspec.Struct, frozen=True, gc=False):
    """One prompt as a cache sees it.

    Attributes:
        prefixes: Its prefixes.
        marks: Marks, by index of the prefix that they end.
        options: What it says besides.
    """

    prefixes: Prefixes
    marks: Mapping[int, Mark]
    options: CacheOptions
