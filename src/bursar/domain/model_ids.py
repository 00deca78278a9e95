"""Finding what is known of a model by its id."""

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

FAMILY = "*"

# A release of the very same model: `-20250514`, `-2024-08-06`, `@20250219`, `-latest`.
_RELEASE = re.compile(r"[-@](latest|\d{8}|\d{4}-\d{2}-\d{2})")
_REMEMBERED_MAX = 4_096


class ModelTable(Generic[T]):
    """Values by model id; the longest name that matches wins.

    A name such as `claude-opus-4` matches that id and its dated releases, but not `claude-opus-4-9`:
    what is known of one model says nothing about the next. A name that ends in `*` stands for a whole
    family: `claude-*` matches everything that begins with `claude-`. A provider's name in front of the
    id (`anthropic/claude-opus-4`) is not part of it.

    Args:
        rows: Pairs of name and value. Of equal names the first one counts.
    """

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        # An exact name outranks a family's of equal length: it says more.
        named = [(name.removesuffix(FAMILY), name.endswith(FAMILY), value) for name, value in rows]
        self._rows = sorted(named, key=lambda row: (-len(row[0]), row[1]))
        self._found: dict[str, T | None] = {}

    def find(self, model: str) -> T | None:
        """Return what is known of a model, or None."""
        try:
            return self._found[model]
        except KeyError:
            value = self._search(model)
        if len(self._found) >= _REMEMBERED_MAX:
            # Ids come from clients; a stream of made-up ones must not fill the memory.
            self._found.clear()
        self._found[model] = value
        return value

    def _search(self, model: str) -> T | None:
        bare = model.rpartition("/")[2]
        for name, is_family, value in self._rows:
            if bare.startswith(name) and (is_family or bare == name or _RELEASE.fullmatch(bare[len(name) :])):
                return value
        return None
