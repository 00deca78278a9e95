"""What the techniques see of one call."""

import msgspec

from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout
from bursar.domain.prices import Rates
from bursar.view.rhythm import Return


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
