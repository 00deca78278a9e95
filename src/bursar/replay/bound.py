"""The least that recorded calls can cost: their prompts at the optimum, their answers as they are."""

import orjson

from bursar.cachemodel.prompts import Prefixes
from bursar.cachemodel.rules import CacheKind, CacheRuleBook, CacheRules
from bursar.domain.layout import lay_out
from bursar.domain.ledger import Entry
from bursar.domain.price_book import PriceBook
from bursar.domain.prices import rates_under
from bursar.domain.tokens import RatioBook
from bursar.domain.usage import PROMPT_CLASSES
from bursar.double.fine_prefixes import Cut, FinePrefixes
from bursar.ports import Tokenizer
from bursar.replay.calls import RecordedCall
from bursar.replay.optimum import Optimum, PromptCall
from bursar.wire.dialect import Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

_PROMPT_ITEMS = frozenset(token_class.value for token_class in PROMPT_CLASSES)


class Bound:
    """Follows a replay: each call when it is answered, and each ledger entry.

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
        self._fine = FinePrefixes()
        self._optimum = Optimum()
        self._answers_nusd = 0

    def answered(self, call: RecordedCall, at_s: float, begins_at_s: float) -> None:
        """Take in a call that the provider answers, as it was recorded. Calls come in order of time."""
        reading = DIALECTS[call.dialect].read(call.body, self._memo)
        request = reading.finish(self._tokenizer.count(reading.texts) if reading.texts else ())
        price = self._prices.price(request.model, at_s)
        if price is None:
            return
        rules = self._rules.rules(request.model, at_s)
        prefixes = self._prefixes(call, request, rules)
        tokens = prefixes.ends[-1] if prefixes.ends else 0
        rates, factor = rates_under(price, request.terms, tokens)
        self._optimum.add(PromptCall(at_s, begins_at_s, prefixes, rules, rates, factor))

    def _prefixes(self, call: RecordedCall, request: Request, rules: CacheRules | None) -> Prefixes:
        """Cut a prompt as the provider's cache does."""
        # All accounts are one in a replay, and a routing key would be ours to choose.
        scope = f"{call.dialect}\0{request.model}".encode("utf-8", "surrogatepass")
        layout = lay_out(request.prompt, scope=scope, ratios=self._ratios.ratios(request.model))
        if rules is None or rules.kind is not CacheKind.OPENAI_AUTOMATIC:
            return layout
        blocks = Cut(layout.chain, layout.ends, layout.message_ends)
        return self._fine.cut(blocks, request.prompt, orjson.loads(call.body), scope)

    def record(self, entry: Entry) -> None:
        """Take in what a call cost beside its prompt: that is the same however it is cached."""
        for attempt in entry.attempts:
            self._answers_nusd += sum(
                line.cost_nusd for line in attempt.lines if line.item not in _PROMPT_ITEMS
            )

    def total_nusd(self) -> int:
        """Return the bound."""
        return self._optimum.total_nusd() + self._answers_nusd
