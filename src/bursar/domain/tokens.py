"""How many tokens a model sees in a text, and how sure we are.

The base count is o200k's, which is exact for current OpenAI models. Other tokenizers are estimated from
it by a ratio per content class and model era, and the estimate is corrected per model from the usage
that the provider reports (`Calibration`). All ratios are data with a source; they arrive as arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bursar.domain.model_ids import ModelTable
from bursar.domain.prompt import Block, ContentClass

PER_MILLE = 1000


class Basis(StrEnum):
    """How sure a count is."""

    EXACT = "exact"
    CALIBRATED = "calibrated"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of tokens.

    Attributes:
        tokens: The number.
        basis: `EXACT`: the model's own tokenizer counted. `CALIBRATED`: a ratio, near the truth on
            average. `BOUND`: the truth is hardly ever more.
    """

    tokens: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class Overhead:
    """Tokens that a provider adds to what the client wrote.

    `lay_out` adds each to the block that brings it about, so that a prefix keeps its count whatever
    follows it.

    Attributes:
        request_tokens: Once, to the prompt's first block.
        tools_tokens: Once, to the first tool: the provider's own instructions on tool use.
        system_tokens: To the first block of each system piece.
        message_tokens: To the first block of each message: its role and its delimiters.
    """

    request_tokens: int = 0
    tools_tokens: int = 0
    system_tokens: int = 0
    message_tokens: int = 0


_NOTHING_ADDED = Overhead()


@dataclass(frozen=True, slots=True)
class TokenRatios:
    """One model era's tokens per thousand o200k tokens, by content class.

    Attributes:
        name: The era, such as `claude-4.7`.
        per_mille: Model tokens per 1,000 o200k tokens; every content class has one.
        basis: `EXACT` where the model's tokenizer is o200k itself.
        overhead: What the provider adds to the prompt.
        byte_per_mille: The most that a thousand bytes can have: a token stands for at least one, and where a
            ratio stands in for the tokenizer, what it makes of such tokens is bounded as well.
    """

    name: str
    per_mille: Mapping[ContentClass, int]
    basis: Basis
    overhead: Overhead = _NOTHING_ADDED
    byte_per_mille: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out what is asked of it at every call."""
        ratios = () if self.basis is Basis.EXACT else self.per_mille.values()
        object.__setattr__(self, "byte_per_mille", max(PER_MILLE, *ratios, PER_MILLE))

    def tokens(self, block: Block) -> int:
        """Return the model's tokens of a block, rounded up, without overhead."""
        return self.convert(block.base_tokens, block.content_class)

    def convert(self, base_tokens: int, content_class: ContentClass) -> int:
        """Return the model's tokens of o200k tokens of a class, rounded up: for output, say."""
        return -(-base_tokens * self.per_mille[content_class] // PER_MILLE)


class RatioBook:
    """Which era's ratios hold for a model.

    Args:
        rows: Pairs of model name (see `ModelTable`) and ratios.
        unknown: Ratios for any other model: a cautious bound.
    """

    def __init__(self, rows: Iterable[tuple[str, TokenRatios]], unknown: TokenRatios) -> None:
        self._table = ModelTable(rows)
        self._unknown = unknown

    def ratios(self, model: str) -> TokenRatios:
        """Return the ratios for a model; the bound where it is unknown."""
        return self._table.find(model) or self._unknown


def byte_bound(text_bytes: int, overhead: Overhead, *, messages: int) -> Estimate:
    """Bound the tokens of a prompt without counting it.

    Every tokenizer in question encodes bytes: each token stands for at least one byte of UTF-8, so a
    text has at most as many tokens as bytes. A request's JSON holds its texts, escaped, and an escape
    is never shorter than what it stands for; therefore the length of the body bounds all its texts,
    and the names and braces around them are to spare. Images and files that a body names by URL or id
    are not in its bytes: the caller adds them.

    Args:
        text_bytes: Bytes of the texts, or of the whole body.
        overhead: What the provider adds.
        messages: Number of messages, and system pieces, in the prompt.
    """
    each = max(overhead.message_tokens, overhead.system_tokens)
    added = overhead.request_tokens + overhead.tools_tokens + each * messages
    return Estimate(text_bytes + added, Basis.BOUND)
