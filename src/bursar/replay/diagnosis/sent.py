"""What the provider's cache made of recorded calls, as they were sent."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import msgspec
import orjson

from bursar.cachemodel.openai import routing_scope
from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions, Prefixes
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheKind, CacheRuleBook, CacheRules
from bursar.domain.layout import Layout, lay_out
from bursar.domain.price_book import PriceBook
from bursar.domain.tokens import RatioBook
from bursar.domain.usage import TokenClass
from bursar.double.fine_prefixes import Cut, FinePrefixes
from bursar.ports import Tokenizer
from bursar.replay.calls import RecordedCall
from bursar.replay.diagnosis.losses import Tariff, tariff_of
from bursar.wire.dialect import Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo


@dataclass(frozen=True, slots=True)
class Books:
    """What is known of models.

    Attributes:
        prices: What they cost.
        rules: How their caches behave.
        ratios: How they count.
    """

    prices: PriceBook
    rules: CacheRuleBook
    ratios: RatioBook


@dataclass(frozen=True, slots=True)
class SentCall:
    """One call as its provider took it.

    Attributes:
        layout: Its prompt.
        cache_key: Its `prompt_cache_key`; empty where it has none.
        rules: How the model's cache behaves; None where it is taken to have none.
        outcome: What the cache made of the prompt.
        tariff: What its tokens cost; None where that is unknown.
    """

    layout: Layout
    cache_key: str
    rules: CacheRules | None
    outcome: CacheOutcome
    tariff: Tariff | None

    @property
    def billed(self) -> Mapping[TokenClass, int]:
        """The prompt's tokens by class, as they were billed."""
        outcome = self.outcome
        return {
            TokenClass.CACHE_READ: outcome.read_tokens,
            **outcome.writes,
            # Free writes are billed as input, too.
            TokenClass.INPUT: outcome.input_tokens + outcome.writes.get(TokenClass.INPUT, 0),
        }

    @property
    def kept_tokens(self) -> int:
        """Tokens up to which the cache holds the prompt once its answer begins."""
        kept = self.outcome.kept
        ends = self.outcome.read_tokens + self.outcome.write_tokens
        automatic = self.rules is not None and self.rules.kind is CacheKind.OPENAI_AUTOMATIC
        return self.layout.total_tokens if kept and automatic else ends

    @property
    def life_s(self) -> int:
        """How long what it left can be read, in seconds: by its own marks, else by the model's default."""
        rules = self.rules
        if rules is None:
            return 0
        lives = [rules.ttls_s[ttl] for _, ttl in self.outcome.kept if ttl in rules.ttls_s]
        return max(lives, default=rules.ttls_s[rules.default_ttl])


class SentCache:
    """The provider's cache over recorded calls, which come in order of time.

    All accounts are taken to be one: recordings do not name them. An answer is taken to begin when it is
    complete, which is the dearer reading.

    Args:
        books: What is known of models.
        tokenizer: Counts by o200k.
    """

    def __init__(self, books: Books, tokenizer: Tokenizer) -> None:
        self._books = books
        self._tokenizer = tokenizer
        self._memo = PieceMemo()
        self._fine = FinePrefixes()
        self._cache = ProviderCache()
        self._beginning: list[tuple[float, int, Prefixes, CacheOutcome, CacheRules | None]] = []
        self._numbers = count()

    def read(self, call: RecordedCall) -> Request:
        """Read a call's request.

        Raises:
            BadRequest: No provider could take it.
        """
        return DIALECTS[call.dialect].read(call.body, self._memo).counted(self._tokenizer.count)

    def send(self, call: RecordedCall, request: Request, known: Layout | None) -> SentCall:
        """Send a call.

        Args:
            call: The call.
            request: What `read` made of it.
            known: A prompt that it is likely to begin as.
        """
        self._begin(call.at_s)
        fields = _CACHE_FIELDS.decode(call.body)
        rules = self._books.rules.rules(request.model, call.at_s)
        scope = routing_scope(
            f"{call.dialect}\0{request.model}".encode("utf-8", "surrogatepass"), fields.cache_key
        )
        layout = lay_out(
            request.prompt, scope=scope, ratios=self._books.ratios.ratios(request.model), known=known
        )
        prefixes = self._prefixes(call, request, layout, rules)
        outcome = self._cache.look(prefixes, layout.marks, rules, call.at_s, fields.options)
        begins_at_s = call.at_s + call.duration_s
        heapq.heappush(self._beginning, (begins_at_s, next(self._numbers), prefixes, outcome, rules))
        price = self._books.prices.price(request.model, call.at_s)
        return SentCall(
            layout=layout,
            cache_key=fields.cache_key,
            rules=rules,
            outcome=outcome,
            tariff=tariff_of(price, request.terms, layout.total_tokens),
        )

    def _begin(self, now_s: float) -> None:
        """Let the answers begin that are due."""
        while self._beginning and self._beginning[0][0] <= now_s:
            at_s, _, prefixes, outcome, rules = heapq.heappop(self._beginning)
            self._cache.keep(prefixes, outcome, rules, at_s)

    def _prefixes(
        self, call: RecordedCall, request: Request, layout: Layout, rules: CacheRules | None
    ) -> Prefixes:
        """Cut a prompt as the provider's cache does."""
        if rules is None or rules.kind is not CacheKind.OPENAI_AUTOMATIC:
            return layout
        blocks = Cut(layout.chain, layout.ends, layout.message_ends)
        return self._fine.cut(blocks, request.prompt, orjson.loads(call.body), layout.scope)


class _CacheFields(msgspec.Struct):
    """What a request says about caching. What is malformed says nothing."""

    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    prompt_cache_key: Any = None

    @property
    def cache_key(self) -> str:
        return self.prompt_cache_key if isinstance(self.prompt_cache_key, str) else ""

    @property
    def options(self) -> CacheOptions:
        options: Any = self.prompt_cache_options
        said = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
        ttl = said.get("ttl") or self.prompt_cache_retention
        return CacheOptions(
            implicit=said.get("mode") != "explicit", ttl=ttl if isinstance(ttl, str) else None
        )


_CACHE_FIELDS = msgspec.json.Decoder(_CacheFields)
