"""Prompts as the provider counts and caches them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bursar.cachemodel.prompts import Prefixes
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.layout import lay_out
from bursar.domain.money import divide_up
from bursar.domain.prompt import ContentClass, Mark, digest
from bursar.domain.tokens import RatioBook
from bursar.double.fine_prefixes import Cut, FinePrefixes
from bursar.double.shapes import JsonObject
from bursar.ports import Tokenizer
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class CountedPrompt:
    """A prompt, laid out.

    Attributes:
        tokens: Its tokens, as the provider counts.
        prefixes: What the cache matches, with the provider's counts: whole blocks, or a finer cut.
        marks: Its cache marks, by index of the prefix that they end.
        name: 16 bytes that stand for its content whatever the account, the model and the marks.
    """

    tokens: int
    prefixes: Prefixes
    marks: Mapping[int, Mark]
    name: bytes


class PromptCounter:
    """Reads prompts, and counts prompts and answers as the provider would.

    Args:
        tokenizer: Counts by o200k.
        ratios: Each model's tokens per o200k token.
        token_skew: The provider's counts over those of Bursar's estimate.
    """

    def __init__(self, tokenizer: Tokenizer, ratios: RatioBook, token_skew: float) -> None:
        self._tokenizer = tokenizer
        self._ratios = ratios
        self._skew_ppm = round(token_skew * _PPM)
        self._memo = PieceMemo()
        self._fine = FinePrefixes()

    def read(
        self, dialect: str, raw: bytes, body: JsonObject, scope: bytes, rules: CacheRules | None
    ) -> CountedPrompt:
        """Read a request's prompt.

        Args:
            dialect: Its dialect.
            raw: Its body.
            body: The same, decoded.
            scope: What separates caches: account, model, routing key.
            rules: The model's cache rules.

        Raises:
            BadRequest: The dialect cannot read it.
        """
        prompt = DIALECTS[dialect].read(raw, self._memo).counted(self._tokenizer.count).prompt
        layout = lay_out(prompt, scope=scope, ratios=self._ratios.ratios(body["model"]))
        # Scaling ends, not blocks, keeps a prefix's count what it is whatever follows.
        ends = tuple([self._skewed(end) for end in layout.ends])
        prefixes = Cut(layout.chain, ends, layout.message_ends)
        if rules is not None and rules.kind is CacheKind.OPENAI_AUTOMATIC:
            prefixes = self._fine.cut(prefixes, prompt, body, scope)
        name = digest(b"".join([block.digest for block in layout.blocks]))
        return CountedPrompt(ends[-1] if ends else 0, prefixes, layout.marks, name)

    def answer_tokens(self, model: str, text: str, calls: Sequence[str]) -> tuple[int, int]:
        """Count an answer.

        Returns:
            Tokens of its text, and of its tool calls.
        """
        ratios = self._ratios.ratios(model)
        counts = self._tokenizer.count((text, *calls))
        return (
            self._skewed(ratios.convert(counts[0], ContentClass.ASSISTANT)),
            self._skewed(ratios.convert(sum(counts[1:]), ContentClass.JSON)),
        )

    def _skewed(self, tokens: int) -> int:
        return divide_up(tokens * self._skew_ppm, _PPM)
