"""The items of a batch: JSON objects, each with an id of its own."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec
import orjson

from bursar.errors import BadLine

_SHOWN_CHARS_MAX = 60


class Item(msgspec.Struct, frozen=True, gc=False):
    """One item.

    Attributes:
        id: As the caller wrote it, a text or a whole number.
        line: Its line in the caller's file, from 1.
        text: Its JSON, id included, as it goes to the model.
    """

    id: str | int
    line: int
    text: str

    @property
    def name(self) -> str:
        """Its id as text: 7 and "7" are one id, since a model may answer with either."""
        return str(self.id)


def read_items(lines: Iterable[bytes], file: str) -> list[Item]:
    """Read items, a line each; empty lines are skipped.

    Args:
        lines: What the caller gave.
        file: Its name, for error messages.

    Raises:
        BadLine: A line is no JSON object, has no id or nothing but an id, or an id comes twice.
    """
    items: list[Item] = []
    lines_by_name: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item = _read(line.strip(), file, number)
        first = lines_by_name.setdefault(item.name, number)
        if first != number:
            raise BadLine(
                f'the id "{item.name}" stands in line {first} already; give each item an id of its own',
                file=file,
                line=number,
            )
        items.append(item)
    return items


def _read(line: bytes, file: str, number: int) -> Item:
    try:
        found: Any = orjson.loads(line)
        text = line.decode()
    except ValueError as error:
        raise BadLine(f"is no JSON: {error}", file=file, line=number) from None
    if not isinstance(found, dict):
        raise BadLine(
            f'an item is a JSON object such as {{"id": "a1", "text": "…"}}, not {text[:_SHOWN_CHARS_MAX]}',
            file=file,
            line=number,
        )
    members = cast("dict[str, Any]", found)
    name = members.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise BadLine(
            'has no "id"; give each item one, a text or a whole number, by which it is answered',
            file=file,
            line=number,
        )
    if len(members) == 1:
        raise BadLine(
            'has nothing but an id; put what is to be answered beside it, such as "text"',
            file=file,
            line=number,
        )
    return Item(name, number, text)
