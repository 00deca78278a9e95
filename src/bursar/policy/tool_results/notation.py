"""Reading tables back: the inverse of `tables`.

A header is read into the row that it describes, with a `_Column` wherever a line is to fill something in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

from bursar.policy.tool_results.json_values import DEPTH_MAX, NoValue, Value, read_value


@dataclass(frozen=True, slots=True)
class _Column:
    optional: bool


_Pattern: TypeAlias = "Value | _Column | list[_Pattern] | dict[str, _Pattern]"

_ABSENT = _Column(optional=True)


def read_encoded(text: str, start: int) -> tuple[list[Value], int]:
    """Read what `tables` wrote, from `start`.

    Returns:
        The value that begins there, or the documents of a table of JSON Lines; and where it ends.

    Raises:
        NoValue: Nothing that `tables` writes begins there.
    """
    return _Reader(text).read_documents(start)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        # The columns of headers that were read, but whose lines are still to come.
        self._columns: list[_Column] = []

    def read_documents(self, place: int) -> tuple[list[Value], int]:
        pattern, place = self._read(place, 0)
        if not self._columns:
            return [cast("Value", pattern)], place
        if not isinstance(pattern, dict):
            raise NoValue
        columns, self._columns = self._columns, []
        documents: list[Value] = []
        while self._text.startswith("\n", place) and self._text[place + 1 : place + 2].strip():
            if self._text.startswith("+", place + 1):
                last, place = self._read_string(place + 2)
                documents.append(last)
                break
            document, place = self._read_line(place + 1, pattern, columns, 0)
            documents.append(document)
        # A table of one line would be longer than its JSON: it is no table of ours.
        if len(documents) < 2:
            raise NoValue
        return documents, place

    def _read(self, place: int, depth: int) -> tuple[_Pattern, int]:
        sign = self._text[place : place + 1]
        if sign in {"{", "["} and depth > DEPTH_MAX:
            raise NoValue
        if sign == "{":
            return self._read_object(place + 1, depth + 1)
        if sign == "[":
            return self._read_array(place + 1, depth + 1)
        if sign == "*" and depth:
            return self._open_column(optional=False), place + 1
        return read_value(self._text, place)

    def _open_column(self, *, optional: bool) -> _Column:
        column = _Column(optional)
        self._columns.append(column)
        return column

    def _read_object(self, place: int, depth: int) -> tuple[_Pattern, int]:
        members: dict[str, _Pattern] = {}
        if self._text.startswith("}", place):
            return members, place + 1
        while True:
            name, place = self._read_string(place)
            if name in members:
                raise NoValue
            if self._text.startswith(":", place):
                members[name], place = self._read(place + 1, depth)
            else:
                optional = self._text.startswith("?", place)
                members[name] = self._open_column(optional=optional)
                place += optional
            if self._text.startswith("}", place):
                return members, place + 1
            place = self._skip(",", place)

    def _read_array(self, place: int, depth: int) -> tuple[_Pattern, int]:
        elements: list[_Pattern] = []
        if self._text.startswith("]", place):
            return elements, place + 1
        outer = len(self._columns)
        while True:
            element, place = self._read(place, depth)
            if not elements and len(self._columns) > outer and self._text.startswith("\n", place):
                columns = self._columns[outer:]
                del self._columns[outer:]
                return self._read_lines(place, element, columns, depth)
            elements.append(element)
            if self._text.startswith("]", place):
                return elements, place + 1
            place = self._skip(",", place)

    def _read_lines(
        self, place: int, row: _Pattern, columns: list[_Column], depth: int
    ) -> tuple[_Pattern, int]:
        elements: list[_Pattern] = []
        while not self._text.startswith("]", place):
            place = self._skip("\n", place)
            if self._text.startswith("+", place):
                last, place = self._read_string(place + 1)
                return [*elements, last], self._skip("]", place)
            element, place = self._read_line(place, row, columns, depth)
            elements.append(element)
        return elements, place + 1

    def _read_line(self, place: int, row: _Pattern, columns: list[_Column], depth: int) -> tuple[Value, int]:
        cells: list[_Pattern] = []
        outer = len(self._columns)
        for column in columns:
            if cells:
                place = self._skip(",", place)
            if column.optional and self._text[place : place + 1] in {",", "\n", "]", ""}:
                cells.append(_ABSENT)
                continue
            cell, place = self._read(place, depth)
            if len(self._columns) > outer:
                raise NoValue
            cells.append(cell)
        return _fill(row, iter(cells)), place

    def _read_string(self, place: int) -> tuple[str, int]:
        text, place = read_value(self._text, place)
        if type(text) is not str:
            raise NoValue
        return text, place

    def _skip(self, sign: str, place: int) -> int:
        if not self._text.startswith(sign, place):
            raise NoValue
        return place + len(sign)


def _fill(pattern: _Pattern, cells: Iterator[_Pattern]) -> Value:
    """Put a line's cells in the places of its header's columns."""
    if isinstance(pattern, _Column):
        return cast("Value", next(cells))
    if isinstance(pattern, dict):
        members = {name: _fill(inner, cells) for name, inner in pattern.items()}
        return {name: member for name, member in members.items() if member is not _ABSENT}
    if isinstance(pattern, list):
        return [_fill(inner, cells) for inner in pattern]
    return pattern
