"""Which models the double serves, and their limits. The numbers are data; they arrive as arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bursar.domain.model_ids import ModelTable


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a provider says about one model.

    Attributes:
        model: Its id; dated releases of it match, too.
        dialect: The API that serves it, such as `anthropic.messages`.
        context_tokens: The longest prompt.
        output_tokens_max: The largest output limit that a request may ask for.
        reasons: Whether it always reasons (OpenAI), so that sampling parameters are refused.
        breakpoints: Whether it takes `prompt_cache_options` and breakpoints (OpenAI from 5.6).
        system_messages: Whether `role: "system"` may stand among the messages (Anthropic).
        forced_tools: Whether `tool_choice` may force a tool.
        efforts: The levels of effort that it takes, rising; None where nobody knows, and all are taken.
        stops: Whether it takes stop sequences.
        assumed: Whether a number is assumed, because no source was found.
        source: Where the numbers come from.
        checked: When somebody last looked.
    """

    model: str
    dialect: str
    context_tokens: int
    output_tokens_max: int
    reasons: bool = False
    breakpoints: bool = False
    system_messages: bool = False
    forced_tools: bool = True
    efforts: tuple[str, ...] | None = None
    stops: bool = True
    assumed: bool = False
    source: str = ""
    checked: date | None = None


class ModelCatalogue:
    """The models that the double serves.

    Args:
        models: Their limits.
    """

    def __init__(self, models: Sequence[ModelLimits]) -> None:
        self._models = tuple(models)
        self._tables = {
            dialect: ModelTable([(m.model, m) for m in models if m.dialect == dialect])
            for dialect in {m.dialect for m in models}
        }

    def find(self, dialect: str, model: str) -> ModelLimits | None:
        """Return a model's limits, or None where the API has no such model."""
        # A provider's name in front of the id, which the table would skip, is a router's custom.
        if "/" in model or dialect not in self._tables:
            return None
        return self._tables[dialect].find(model)

    def served(self, dialect: str) -> tuple[ModelLimits, ...]:
        """Return an API's models, in the order of the data."""
        return tuple(m for m in self._models if m.dialect == dialect)
