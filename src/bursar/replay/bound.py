"""The least that recorded calls can cost without loss: prompts at the optimum, answers as they are."""

import orjson

from bursar.cachemodel.prompts import Prefixes
from bursar.cachemodel.rules import CacheKind, CacheRuleBook, CacheRules
from bursar.domain.bounded import WeighedDict
from bursar.domain.layout import lay_out
from bursar.domain.ledger import Entry
from bursar.domain.price_book import PriceBook
from bursar.domain.prices import rates_under
from bursar.domain.prompt import digest
from bursar.domain.tokens import RatioBook
from bursar.domain.usage import PROMPT_CLASSES
from bursar.double.fine_prefixes import Cut, FinePrefixes
from bursar.policy.tool_results.codec import encode
from bursar.ports import Tokenizer
from bursar.replay.calls import RecordedCall
from bursar.replay.optimum import Optimum, PromptCall
from bursar.wire import raw_json
from bursar.wire.dialect import Edits, Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from bursar.wire.results import read_result_texts, write_result_texts

_PROMPT_ITEMS = frozenset(token_class.value for token_class in PROMPT_CLASSES)


# Messages that were written shorter, since every turn holds those of the turns before.
_SHORTER_BYTES_MAX = 64 << 20


class Bound:
    """Follows a replay: each call when it is answered, and each ledger entry.

    Prompts count with their tool results written as short as they can be without loss.

    Args:
        prices: What models cost.
        rules: How their caches behave.
        ratios: How they count.
        tokenizer: Counts by o200k.
    """

    def __init__(
        self, prices: PriceBook, rules: CacheRuleBook, ratios: RatioBook, tokenizer: Tokenizer
    ) -> None:
        self._prices = prices
        self._rules = rules
        self._ratios = ratios
        self._tokenizer = tokenizer
        self._memo = PieceMemo()
        self._shorter: WeighedDict[bytes, bytes] = WeighedDict(_SHORTER_BYTES_MAX, len)
        self._fine = FinePrefixes()
        self._optimum = Optimum()
        self._answers_nusd = 0

    def answered(self, call: RecordedCall, at_s: float, begins_at_s: float) -> None:
        """Take in a call that the provider answers, as it was recorded. Calls come in order of time."""
        request = self._read(call.dialect, call.body)
        body = self._shorten(request)
        if body is not None:
            request = self._read(call.dialect, body)
        price = self._prices.price(request.model, at_s)
        if price is None:
            return
        rules = self._rules.rules(request.model, at_s)
        prefixes = self._prefixes(call.dialect, request, rules)
        tokens = prefixes.ends[-1] if prefixes.ends else 0
        rates, factor = rates_under(price, request.terms, tokens)
        self._optimum.add(PromptCall(at_s, begins_at_s, prefixes, rules, rates, factor))

    def _read(self, dialect: str, body: bytes) -> Request:
        return DIALECTS[dialect].read(body, self._memo).counted(self._tokenizer.count)

    def _shorten(self, request: Request) -> bytes | None:
        """Return a request's body with its tool results written shorter without loss; None for no change."""
        messages = raw_json.read_array(request.fields["messages"], "messages")
        shorter = [self._shorten_message(request.dialect, bytes(message)) for message in messages]
        if all(one == bytes(other) for one, other in zip(shorter, messages, strict=True)):
            return None
        edits = Edits(fields={"messages": raw_json.join_array(shorter)})
        return DIALECTS[request.dialect].write(request, edits)

    def _shorten_message(self, dialect: str, message: bytes) -> bytes:
        name = digest(message) + dialect.encode()
        shorter = self._shorter.get(name)
        if shorter is None:
            texts = [encode(result.text) for result in read_result_texts(dialect, message)]
            shorter = write_result_texts(dialect, message, texts) if texts else message
            self._shorter.keep(name, shorter)
        return shorter

    def _prefixes(self, dialect: str, request: Request, rules: CacheRules | None) -> Prefixes:
        """Cut a prompt as the provider's cache does."""
        # All accounts are one in a replay, and a routing key would be ours to choose.
        scope = f"{dialect}\0{request.model}".encode("utf-8", "surrogatepass")
        layout = lay_out(request.prompt, scope=scope, ratios=self._ratios.ratios(request.model))
        if rules is None or rules.kind is not CacheKind.OPENAI_AUTOMATIC:
            return layout
        blocks = Cut(layout.chain, layout.ends, layout.message_ends)
        return self._fine.cut(
            blocks, request.prompt, orjson.loads(raw_json.join_object(request.fields)), scope
        )

    def record(self, entry: Entry) -> None:
        """Take in what a call cost beside its prompt: that is the same however it is cached."""
        for attempt in entry.attempts:
            self._answers_nusd += sum(
                line.cost_nusd for line in attempt.lines if line.item not in _PROMPT_ITEMS
            )

    def total_nusd(self) -> int:
        """Return the bound."""
        return self._optimum.total_nusd() + self._answers_nusd
