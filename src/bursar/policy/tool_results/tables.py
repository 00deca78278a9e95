r"""Arrays of like rows as a table: what the rows share is written once, as a header, and the rest in lines.

    [{"flight":"HAT1","from":"JFK","seats":{"economy":3,"business":1}},
     {"flight":"HAT2","from":"JFK","seats":{"economy":0,"business":2}}]

becomes

    [{"flight","from":"JFK","seats":{"economy","business"}}
    "HAT1",3,1
    "HAT2",0,2]

The header is the shape of a row. A name with a value has that value in every row; a name without one is a
column, and each line gives the columns' values in the header's order, as JSON. `"name"?` is a column that
some rows do not have; their cell is empty (which is not `null`). `*` is a column without a name, in an array.
A line that begins with `+` is one more element, a string, which is no row.

JSON Lines take the same form without the brackets: a header, and one line for each line of the original.
A line break stands nowhere in it but before a row, since JSON writes those of strings as `\n`.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from bursar.policy.tool_results.json_values import (
    DEPTH_MAX,
    Number,
    Value,
    quote,
    write_value,
)
from bursar.policy.tool_results.shapes import Absent, Cells, Elements, Members, Shape, find_shape, measure

_TEXTS = {str}
_NUMBERS = {Number}

# A smaller saving in characters may be none in tokens: `"},{"` is one token, and so is `","`.
_SAVED_CHARS_MIN = 16


def encode_value(value: Value, depth: int = 0) -> str:
    """Write a value without blanks, its arrays as tables where that is shorter.

    Raises:
        NoValue: It is nested deeper than `DEPTH_MAX`.
    """
    return write_value(value, _tabulate, depth)


def encode_lines(documents: Sequence[Value]) -> str | None:
    """Write JSON Lines as a table, or return None where that is not shorter.

    Raises:
        NoValue: A document is nested deeper than `DEPTH_MAX`.
    """
    # A document that is an array opens with a bracket, as an array that is a table does.
    if len(documents) < 2 or not isinstance(documents[0], dict):
        return None
    return _write_rows(documents, 0)


def _tabulate(rows: list[Value], depth: int) -> str | None:
    table = _write_rows(rows, depth + 1)
    return None if table is None else f"[{table}]"


def _write_rows(rows: Sequence[Value], depth: int) -> str | None:
    last = rows[-1]
    if type(last) is not str or len(rows) == 2:
        return _write_table(rows, depth)
    table = _write_table(rows[:-1], depth)
    return None if table is None else f"{table}\n+{quote(last)}"


def _write_table(rows: Sequence[Value], depth: int) -> str | None:
    """Write header and lines; None where there is no shape in common, or no saving."""
    shape = find_shape(rows, DEPTH_MAX - depth)
    if shape is None or _saved_chars(shape, len(rows)) < _SAVED_CHARS_MIN:
        return None
    columns = _write_columns(shape, depth)
    shared = _find_shared(columns)
    header = _write_header(shape, iter(shared))
    varying = [column for column, text in zip(columns, shared, strict=True) if text is None]
    return "\n".join([header, *map(",".join, zip(*varying, strict=True))])


def _write_columns(shape: Shape, depth: int) -> list[list[str]]:
    """Write the cells of each column, from left to right."""
    if isinstance(shape, Cells):
        return [_write_cells(shape, depth)]
    inner_shapes = shape.shapes if isinstance(shape, Elements) else shape.shapes.values()
    columns: list[list[str]] = []
    for inner in inner_shapes:
        columns += _write_columns(inner, depth + 1)
    return columns


def _write_cells(cells: Cells, depth: int) -> list[str]:
    values = cells.values
    kinds = set(map(type, values))
    # Most columns hold one kind of scalar, which takes no call for each of its cells.
    if kinds == _TEXTS:
        return list(map(quote, cast("Sequence[str]", values)))
    if kinds == _NUMBERS:
        return list(cast("Sequence[Number]", values))
    return ["" if isinstance(value, Absent) else encode_value(value, depth) for value in values]


def _find_shared(columns: Sequence[Sequence[str]]) -> list[str | None]:
    """Return for each column the text that all its cells share, or None for one that stays in the rows."""
    # A header holds no line break, so what is a table itself stays in the rows.
    shared = [
        column[0] if column.count(column[0]) == len(column) and "\n" not in column[0] else None
        for column in columns
    ]
    # No row may be empty: one column that some rows do not have is not enough.
    varying = [column for column, text in zip(columns, shared, strict=True) if text is None]
    if not varying or (len(varying) == 1 and "" in varying[0]):
        shared[next(place for place, text in enumerate(shared) if text is not None)] = None
    return shared


def _write_header(shape: Members | Elements, shared: Iterator[str | None]) -> str:
    if isinstance(shape, Elements):
        elements = [
            (next(shared) or "*") if isinstance(inner, Cells) else _write_header(inner, shared)
            for inner in shape.shapes
        ]
        return "[" + ",".join(elements) + "]"
    members: list[str] = []
    for name, inner in shape.shapes.items():
        text = next(shared) if isinstance(inner, Cells) else _write_header(inner, shared)
        if text is not None:
            members.append(f"{name}:{text}")
        else:
            members.append(f"{name}?" if isinstance(inner, Cells) and inner.absent else name)
    return "{" + ",".join(members) + "}"


def _saved_chars(shape: Members | Elements, count: int) -> int:
    """Return by how much a table is shorter than JSON, at least: cells that all rows share save more."""
    extent = measure(shape)
    in_json = count * (extent.json_chars + 1) - 1 - extent.absent_chars
    # Each line has a break before it, and commas between its cells.
    return in_json - extent.header_chars - count * extent.columns
