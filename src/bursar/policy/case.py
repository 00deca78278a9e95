"""What the techniques see of one call."""

import msgspec

from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout
from bursar.domain.prices import Rates
from bursar.view.rhythm import Return


class SharedStart(msgspec.Struct, frozen=True, gc=False):
    """A prefix of a prompt that ends within a text, as the client wrote it, and that may come again.

    Attributes:
        end_tokens: Its tokens.
        coming: How likely a new thread begins with it.
    """

    end_tokens: int
    coming: Return


class Case(msgspec.Struct, frozen=True, gc=False):
    """One call, as the techniques see it.

    Attributes:
        layout: Its prompt.
        options: What the client said about caching as a whole.
        rules: How the model's cache behaves.
        rates: The model's rates, in nusd per million tokens.
        thread: How likely the thread's next call is.
        prefix: How likely a new thread with the same tools and system text is.
        system_varies: Whether the same tools come with other system texts too.
        agent: The agent that makes it.
        has_cache_key: Whether the client set a cache key of its own.
        cache: The provider's cache, by our model of it; only looked at.
        now_s: The time.
        starts: Prefixes that end within a text and that new threads may bring. Those who bring a longer one
            are among those who bring a shorter one, and among those of `prefix` where that is shorter.
        split: Number of the block with which the text is split at the end of one; None where it is whole.
    """

    layout: Layout
    options: CacheOptions
    rules: CacheRules
    rates: Rates
    thread: Return
    prefix: Return
    system_varies: bool
    agent: str
    has_cache_key: bool
    cache: ProviderCache
    now_s: float
    starts: tuple[SharedStart, ...] = ()
    split: int | None = None
