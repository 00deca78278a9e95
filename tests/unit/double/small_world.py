"""A provider double with prices and rules so small that a bill can be worked out by hand."""

from collections.abc import Sequence
from typing import Any

import orjson

from bursar.cachemodel.rules import CacheKind, CacheRuleBook, CacheRules
from bursar.domain.price_book import Listing, PriceBook
from bursar.domain.prices import Price
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import Basis, RatioBook, TokenRatios
from bursar.domain.usage import ServerTool, TokenClass
from bursar.double.bill import BillRow
from bursar.double.calls import DoubleAnswer, DoubleCall, DoubleOptions
from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.double.provider import ProviderDouble, Provisions
from bursar.double.transcripts import TranscriptBook

NOW_S = 1_790_000_000.0
USD = 1_000_000_000


class WordTokenizer:
    """A token is a word."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def _price(model: str, write: TokenClass | None = None, **more: Any) -> Listing:
    rates = {
        TokenClass.INPUT: 3 * USD,
        TokenClass.OUTPUT: 15 * USD,
        TokenClass.CACHE_READ: 3 * USD // 10,
    }
    if write is not None:
        rates[write] = 15 * USD // 4
        rates[TokenClass.CACHE_WRITE_1H] = 6 * USD
    price = Price(model, None, rates, **more)
    return Listing(model, (price,))


PRICES = PriceBook(
    [
        _price(
            "claude-test",
            TokenClass.CACHE_WRITE_5M,
            tool_fees={ServerTool.WEB_SEARCH: 10 * USD},
            tier_per_mille={"standard": 1000, "fast": 2000},
            geo_per_mille={"us": 1100},
        ),
        _price("claude-unforced"),
        _price("gpt-test", tier_per_mille={"standard": 1000, "flex": 500, "priority": 2000}),
        _price("gpt-reasoner", TokenClass.CACHE_WRITE_30M),
    ]
)
RULES = CacheRuleBook(
    [
        CacheRules(
            model="claude-test",
            kind=CacheKind.ANTHROPIC,
            minimum_tokens=100,
            minimum_assumed=False,
            ttls_s={"5m": 300, "1h": 3600},
            write_classes={"5m": TokenClass.CACHE_WRITE_5M, "1h": TokenClass.CACHE_WRITE_1H},
            default_ttl="5m",
            marks_max=4,
            lookback_blocks=20,
        ),
        CacheRules(
            model="gpt-test",
            kind=CacheKind.OPENAI_AUTOMATIC,
            minimum_tokens=1024,
            minimum_assumed=False,
            ttls_s={"in_memory": 300},
            write_classes={"in_memory": TokenClass.INPUT},
            default_ttl="in_memory",
            step_tokens=128,
        ),
        CacheRules(
            model="gpt-reasoner",
            kind=CacheKind.OPENAI_MARKS,
            minimum_tokens=100,
            minimum_assumed=False,
            ttls_s={"30m": 1800},
            write_classes={"30m": TokenClass.CACHE_WRITE_30M},
            default_ttl="30m",
            marks_max=4,
            matching_marks=80,
        ),
    ]
)
RATIOS = RatioBook([], TokenRatios("words", dict.fromkeys(ContentClass, 1000), Basis.EXACT))
MODELS = ModelCatalogue(
    [
        ModelLimits("claude-test", "anthropic.messages", 10_000, 4_096),
        ModelLimits("claude-unforced", "anthropic.messages", 10_000, 4_096, forced_tools=False),
        ModelLimits("claude-unpriced", "anthropic.messages", 10_000, 4_096),
        ModelLimits("gpt-test", "openai.chat", 10_000, 4_096),
        ModelLimits("gpt-reasoner", "openai.chat", 10_000, 4_096, reasons=True, breakpoints=True),
    ]
)

ANTHROPIC_HEADERS = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
OPENAI_HEADERS = {"authorization": "Bearer key"}


def words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def claude(**fields: Any) -> dict[str, Any]:
    body = {"model": "claude-test", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}]}
    return {**body, **fields}


def gpt(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-test", "messages": [{"role": "user", "content": "Hello"}], **fields}


def anthropic_call(body: object, **headers: str) -> DoubleCall:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return DoubleCall("/v1/messages", ANTHROPIC_HEADERS | headers, raw)


def openai_call(body: object, **headers: str) -> DoubleCall:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return DoubleCall("/v1/chat/completions", OPENAI_HEADERS | headers, raw)


def play(double: ProviderDouble, call: DoubleCall, now_s: float = NOW_S) -> tuple[dict[str, Any], BillRow]:
    answer, row = double.play(call, now_s)
    return orjson.loads(answer.body), row


def event_data(answer: DoubleAnswer) -> list[Any]:
    """The decoded data of a stream's events; `[DONE]` stays text."""
    found: list[Any] = []
    for event in answer.events:
        data = event.data.split(b"data: ", 1)[1].strip()
        found.append("[DONE]" if data == b"[DONE]" else orjson.loads(data))
    return found


def make_double(transcripts: TranscriptBook | None = None, **options: Any) -> ProviderDouble:
    has = Provisions(PRICES, RULES, RATIOS, MODELS, WordTokenizer(), transcripts or TranscriptBook())
    return ProviderDouble(has, DoubleOptions(**options))
