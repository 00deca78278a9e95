"""What a decision about a call's history hangs on: limits, prices, the cache, and what is to come."""

from bisect import bisect_right
from collections.abc import Callable

import msgspec

from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout
from bursar.domain.prices import Rates
from bursar.domain.prompt import ContentClass, Role
from bursar.domain.tokens import PER_MILLE
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.versions import Version
from bursar.policy.history.outlook import Outlook, Pricing

# By how much the provider may count more than we do.
_MARGIN_PER_MILLE = 1_100

# How a thread grows, its last messages tell.
_GROWN_MESSAGES = 40

# Of its own growth, a thread's answers are half at most.
_ANSWERS_OF_GROWTH = 2


class Sight:
    """What is seen of one call.

    Args:
        engine: What is known.
        call: The call.
        version: It, with its whole history.
        rules: How the model's cache behaves; None where it has none, or it is not used.
        provider: What the provider's cache holds.
    """

    def __init__(
        self, engine: Engine, call: Call, version: Version, rules: CacheRules | None, provider: ProviderCache
    ) -> None:
        self._engine = engine
        self._call = call
        self._version = version
        self._rules = rules
        self._cache = provider
        arrival, request, options = call.arrival, version.request, call.policy.history
        factor = engine.calibration.factor_per_mille(arrival.upstream, request.model)
        if options.limit is not None and factor != PER_MILLE:
            # The operator speaks of the provider's tokens, layouts of ours.
            options = msgspec.structs.replace(options, limit=options.limit * PER_MILLE // factor)
        self.options = options
        self.window_tokens = self._window_tokens(factor)
        self._limit = options.limit_for(self.window_tokens)

    def is_long(self, layout: Layout) -> bool:
        """Whether a prompt is long enough for a step to be considered."""
        tokens = self.options.tokens
        return not self.fits(layout) or (tokens is not None and layout.total_tokens >= tokens)

    def fits(self, layout: Layout) -> bool:
        """Whether a prompt is within its limit."""
        return self._limit is None or layout.total_tokens <= self._limit

    @property
    def may_have_step(self) -> bool:
        """Whether the conversation is long enough for a step to have been taken before.

        Another model may have counted more tokens then.
        """
        tokens, limit = self.options.tokens, self._limit
        twice = 2 * self._version.layout.total_tokens
        return (tokens is not None and twice >= tokens) or (limit is not None and twice >= limit)

    def pricing(self) -> Pricing:
        """Return the model's prices; where they are unknown, no saving can be worked out."""
        price, rules = self._call.price, self._rules
        write_class = rules.write_classes[rules.default_ttl] if rules is not None else None
        return Pricing(price.rates_for if price is not None else _unknown, write_class)

    def readable_in(self, layout: Layout) -> Callable[[int], int]:
        """Return what says how many of a prompt's first so many tokens the cache holds now."""
        ends, now_s = layout.ends, self._call.arrival.at_s

        known: dict[int, int] = {}

        def readable(tokens: int) -> int:
            found = known.get(tokens)
            if found is None:
                block = self._cache.deepest(layout, bisect_right(ends, tokens), now_s)
                known[tokens] = found = 0 if block is None else ends[block]
            return found

        return readable if self._rules is not None else _nothing

    def outlook(self) -> Outlook:
        """Return what is expected of the thread: calls as its kind has, and growth as it had so far."""
        call, layout, engine = self._call, self._version.layout, self._engine
        start = max(len(layout.message_ends) - _GROWN_MESSAGES, 0)
        before = layout.message_ends[start - 1] if start else layout.system_end
        tokens = layout.total_tokens - (layout.ends[before - 1] if before else 0)
        answers = sum([message.role is Role.ASSISTANT for message in layout.prompt.messages[start:]])
        growth_tokens = tokens // max(answers, 1)
        output_tokens = growth_tokens // _ANSWERS_OF_GROWTH
        if call.request.max_tokens is not None:
            output_tokens = min(output_tokens, call.request.max_tokens)
        kind = (call.attribution.tenant, call.attribution.agent)
        return Outlook(engine.lengths.expect(kind, call.place.turn), growth_tokens, output_tokens)

    def tokens_of(self, base_tokens: int) -> int:
        """Return the model's tokens of a text of so many o200k tokens."""
        return self._version.layout.ratios.convert(base_tokens, ContentClass.CHAT)

    def _window_tokens(self, factor: int) -> int | None:
        """Return what a prompt may have beside its answer, in our count; None where the model is unknown."""
        request = self._version.request
        window = self._engine.windows.find(self._call.dialect.name, request.model)
        if window is None:
            return None
        output_tokens = min(request.max_tokens or window.output_tokens_max, window.output_tokens_max)
        # An answer may be allowed to fill the window, but none does.
        tokens = max(window.context_tokens - output_tokens, window.context_tokens // 2)
        return tokens * PER_MILLE * PER_MILLE // (factor * _MARGIN_PER_MILLE)


def _unknown(_: int) -> Rates:
    return {}


def _nothing(_: int) -> int:
    return 0
