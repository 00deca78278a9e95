"""The shape that the rows of an array have in common, and what writing it once saves.

A shape is found by names and lengths alone, before any cell is written, so that a value is written once
however deeply it is nested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeGuard

from bursar.policy.tool_results.json_values import Value, quote

# A header of more names than this is no table that anybody reads.
_NAMES_MAX = 200


@dataclass(frozen=True, slots=True)
class Cells:
    """A column: what stands here differs from row to row, and is written in the row.

    Attributes:
        absent: How many rows do not have it; their cell is empty.
    """

    absent: int = 0


@dataclass(frozen=True, slots=True)
class Members:
    """Objects with the same members in the same order, optional ones aside."""

    shapes: "dict[str, Shape]"


@dataclass(frozen=True, slots=True)
class Elements:
    """Arrays of the same length, of which at least one element is an object in all of them."""

    shapes: "list[Shape]"


Shape: TypeAlias = Cells | Members | Elements

_COLUMN = Cells()


def find_shape(rows: Sequence[Value], depth: int) -> Members | Elements | None:
    """Return the shape that all rows have in common, or None where there is none worth a header.

    Args:
        rows: At least one value.
        depth: How many more levels of objects and arrays may be looked into.
    """
    if depth <= 0:
        return None
    if _are_objects(rows):
        return _find_members(rows, depth)
    if _are_arrays(rows):
        length = len(rows[0])
        if not 0 < length <= _NAMES_MAX or any(len(row) != length for row in rows):
            return None
        shapes = [_find_column([row[place] for row in rows], depth) for place in range(length)]
        return None if all(isinstance(shape, Cells) for shape in shapes) else Elements(shapes)
    return None


def _are_objects(rows: Sequence[Value]) -> TypeGuard[Sequence[dict[str, Value]]]:
    return set(map(type, rows)) == {dict}


def _are_arrays(rows: Sequence[Value]) -> TypeGuard[Sequence[list[Value]]]:
    return set(map(type, rows)) == {list}


def _find_column(values: Sequence[Value], depth: int) -> Shape:
    return find_shape(values, depth - 1) or _COLUMN


def _find_members(rows: Sequence[dict[str, Value]], depth: int) -> Members | None:
    layouts = dict.fromkeys(map(tuple, rows))
    if len(layouts) > 1:
        return _merge_members(rows, list(layouts), depth)
    (names,) = layouts
    if not 0 < len(names) <= _NAMES_MAX:
        return None
    columns = zip(*[row.values() for row in rows], strict=True)
    return Members({name: _find_column(column, depth) for name, column in zip(names, columns, strict=True)})


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
            name: _find_column([row[name] for row in rows], depth)
            if name in required
            else Cells(absent=sum(name not in row for row in rows))
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


@dataclass(frozen=True, slots=True)
class Extent:
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


def measure(shape: Shape) -> Extent:
    """Measure a shape, every column taken to differ from row to row."""
    match shape:
        case Cells():
            return Extent(0, 0, 1, 0)
        case Members(shapes):
            parts = [_measure_member(len(quote(name)), inner) for name, inner in shapes.items()]
        case Elements(shapes):
            parts = [_measure_element(inner) for inner in shapes]
    punctuation = len(parts) + 1
    return Extent(
        punctuation + sum(part.json_chars for part in parts),
        punctuation + sum(part.header_chars for part in parts),
        sum(part.columns for part in parts),
        sum(part.absent_chars for part in parts),
    )


def _measure_member(name_chars: int, shape: Shape) -> Extent:
    if isinstance(shape, Cells):
        # A column that some rows do not have takes a question mark; its absence spares name, colon, comma.
        sign = 1 if shape.absent else 0
        return Extent(name_chars + 1, name_chars + sign, 1, shape.absent * (name_chars + 2))
    inner = measure(shape)
    return replace(
        inner,
        json_chars=inner.json_chars + name_chars + 1,
        header_chars=inner.header_chars + name_chars + 1,
    )


def _measure_element(shape: Shape) -> Extent:
    # A column in an array takes an asterisk.
    return replace(measure(shape), header_chars=1) if isinstance(shape, Cells) else measure(shape)
