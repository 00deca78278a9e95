"""How long a model's prompts and answers may be, and by what else a request may limit its answers."""

from collections.abc import Iterable

import msgspec

from bursar.domain.model_ids import ModelTable

# What servers of open models speak, too.
_OPENAI = "openai.chat"


class Window(msgspec.Struct, frozen=True, gc=False):
    """What one API says about the length of one model's prompts and answers, and how they may be limited.

    Attributes:
        model: Its id; dated releases of it match, too.
        dialect: The API that serves it, such as `anthropic.messages`.
        context_tokens: The longest prompt.
        output_tokens_max: The largest output limit that a request may ask for.
        reasons: Whether it always reasons, and so takes no `max_tokens` (OpenAI).
        efforts: The levels of effort that it takes, rising; None where nobody knows.
        stops: Whether it takes stop sequences.
    """

    model: str
    dialect: str
    context_tokens: int
    output_tokens_max: int
    reasons: bool = False
    efforts: tuple[str, ...] | None = None
    stops: bool = True


class WindowBook:
    """The windows of all models that are known.

    Args:
        windows: Them. A model that several APIs serve has one for each.
    """

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        rows: dict[str, list[tuple[str, Window]]] = {}
        for window in windows:
            rows.setdefault(window.dialect, []).append((window.model, window))
        self._tables = {dialect: ModelTable(each) for dialect, each in rows.items()}

    def find(self, dialect: str, model: str) -> Window | None:
        """Return a model's window, or None where it is unknown."""
        table = self._tables.get(dialect)
        return table.find(model) if table is not None else None

    def dialect_of(self, model: str) -> str:
        """Return the API that serves a model; a model that nobody knows speaks as OpenAI's do."""
        return next((name for name, table in self._tables.items() if table.find(model)), _OPENAI)

    def may_serve(self, dialect: str, model: str) -> bool:
        """Whether an API may have a model: it is known to, or no other API is (an operator's own model)."""
        if self.find(dialect, model) is not None:
            return True
        return all(table.find(model) is None for table in self._tables.values())
