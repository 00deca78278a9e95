"""The shape that the rows of an array have in common, and what writing it once saves.

A shape is found by names and lengths alone, before any cell is written, so that a value is written once
however deeply it is nested.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, TypeGuard

import msgspec

from bursar.policy.tool_results.json_values import Value, quote

# A header of more names than this is no table that anybody reads.
_NAMES_MAX = 200
# The same for arrays in rows: what a header says of each of their elements.
_ELEMENTS_MAX = 8


class Absent(msgspec.Struct, frozen=True):
    """Stands for a member that a row does not have, which is not null."""


ABSENT = Absent()


class Cells(msgspec.Struct, frozen=True):
    """A column: what stands here is written in each row.

    Attributes:
        values: One for each row; `ABSENT` where a row does not have it.
        absent: How many rows do not have it.
    """

    values: "Sequence[Value | Absent]"
    absent: int = 0


class Members(msgspec.Struct, frozen=True):
    """Objects with the same members in the same order, optional ones aside.

    Attributes:
        shapes: By name, as JSON writes it.
    """

    shapes: "dict[str, Shape]"


class Elements(msgspec.Struct, frozen=True):
    """Arrays of the same length, of which at least one element is an object in all of them."""

    shapes: "list[Shape]"


Shape: TypeAlias = Cells | Members | Elements


def find_shape(rows: Sequence[Value], depth: int) -> Members | Elements | None:
    """Return the shape that all rows have in common, or None where there is none worth a header.

    Args:
        rows: At least two values.
        depth: How many more levels of objects and arrays may be looked into.
    """
    if depth <= 0:
        return None
    if _are_objects(rows):
        return _find_members(rows, depth)
    if _are_arrays(rows):
        return _find_elements(rows, depth)
    return None


def _are_objects(rows: Sequence[Value]) -> TypeGuard[Sequence[dict[str, Value]]]:
    return type(rows[0]) is dict and set(map(type, rows)) == {dict}


def _are_arrays(rows: Sequence[Value]) -> TypeGuard[Sequence[list[Value]]]:
    return type(rows[0]) is list and set(map(type, rows)) == {list}


def _find_column(values: Sequence[Value], depth: int) -> Shape:
    if type(values[0]) is dict or type(values[0]) is list:
        return find_shape(values, depth - 1) or Cells(values)
    return Cells(values)


def _find_elements(rows: Sequence[list[Value]], depth: int) -> Elements | None:
    # A header says the names once for each element; tables in the rows would say them once for each row.
    length = len(rows[0])
    if not 0 < length <= min(_ELEMENTS_MAX, len(rows)) or any(len(row) != length for row in rows):
        return None
    shapes = [_find_column([row[place] for row in rows], depth) for place in range(length)]
    return None if all(isinstance(shape, Cells) for shape in shapes) else Elements(shapes)


def _find_members(rows: Sequence[dict[str, Value]], depth: int) -> Members | None:
    layouts = dict.fromkeys(map(tuple, rows))
    if len(layouts) > 1:
        return _merge_members(rows, list(layouts), depth)
    (names,) = layouts
    if not 0 < len(names) <= _NAMES_MAX:
        return None
    columns = zip(*[row.values() for row in rows], strict=True)
    return Members(
        {quote(name): _find_column(column, depth) for name, column in zip(names, columns, strict=True)}
    )


def _merge_members(
    rows: Sequence[dict[str, Value]], layouts: Sequence[Sequence[str]], depth: int
) -> Members | None:
    """Find an order of names of which every layout is a part."""
    places: dict[str, int] = {}
    for layout in layouts:
        merged = _insert_names(list(places), places, layout)
        if merged is None or len(merged) > _NAMES_MAX:
            return None
        if len(merged) > len(places):
            places = {name: place for place, name in enumerate(merged)}
    required = set(places).intersection(*layouts)
    # A row may not be empty: nobody sees an empty line.
    if not required:
        return None
    return Members(
        {
            quote(name): _find_column([row[name] for row in rows], depth)
            if name in required
            else Cells([row.get(name, ABSENT) for row in rows], sum(name not in row for row in rows))
            for name in places
        }
    )


def _insert_names(names: list[str], places: dict[str, int], layout: Sequence[str]) -> list[str] | None:
    """Return the names with those of one more layout among them, or None where the orders conflict."""
    place = inserted = 0
    for name in layout:
        known = places.get(name)
        if known is None:
            names.insert(place, name)
            inserted += 1
        elif known + inserted < place:
            return None
        else:
            place = known + inserted
        place += 1
    return names


class Extent(NamedTuple):
    """What a shape takes in characters, its cells aside.

    Attributes:
        json_chars: In each row as JSON.
        header_chars: In a header.
        columns: How many columns it has.
        absent_chars: What JSON saves, over all rows, by members that are not there; at most.
    """

    json_chars: int
    header_chars: int
    columns: int
    absent_chars: int


def measure(shape: Members | Elements) -> Extent:
    """Measure a shape, every column taken to differ from row to row."""
    # Brackets, and commas between the parts.
    json_chars = header_chars = len(shape.shapes) + 1
    columns = absent_chars = 0
    if isinstance(shape, Members):
        parts = [(len(name), inner) for name, inner in shape.shapes.items()]
    else:
        parts = [(0, inner) for inner in shape.shapes]
    for name_chars, inner in parts:
        colon = 1 if name_chars else 0
        if isinstance(inner, Cells):
            json_chars += name_chars + colon
            # A column without a name has an asterisk, an optional one a question mark.
            header_chars += name_chars + (1 if inner.absent or not name_chars else 0)
            columns += 1
            absent_chars += inner.absent * (name_chars + 2)
        else:
            extent = measure(inner)
            json_chars += name_chars + colon + extent.json_chars
            header_chars += name_chars + colon + extent.header_chars
            columns += extent.columns
            absent_chars += extent.absent_chars
    return Extent(json_chars, header_chars, columns, absent_chars)
