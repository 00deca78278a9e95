"""How many tokens a model sees in a text, and how sure we are.

The base count is o200k's, which is exact for current OpenAI models. Other tokenizers are estimated from
it by a ratio per content class and model era, and the estimate is corrected per model from the usage
that the provider reports (`Calibration`). All ratios are data with a source; they arrive as arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bursar.domain.prompt import Block, ContentClass

PER_MILLE = 1000


class Basis(StrEnum):
    """How sure a count is."""

    EXACT = "exact"
    CALIBRATED = "calibrated"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class TokenRatios:
    """One model era's tokens per thousand o200k tokens, by content class.

    Attributes:
        name: The era, such as `claude-4.7`.
        per_mille: Model tokens per 1,000 o200k tokens.
        basis: `EXACT` where the model's tokenizer is o200k itself.
    """

    name: str
    per_mille: Mapping[ContentClass, int]
    basis: Basis

    def tokens(self, block: Block) -> int:
        """Return the model's tokens of a block, rounded up."""
        return -(-block.base_tokens * self.per_mille[block.content_class] // PER_MILLE)
