"""Tables whose cells stay whole on a narrow terminal: columns that say least make room for the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from bursar.cli.tables import printable, titled_table

_CELL_PADDING = 3


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        is_number: Whether its cells line up on the right.
        folds_to: Cells to which it may be folded, into more lines; None for never.
    """

    name: str
    is_number: bool = False
    folds_to: int | None = None


def show_fitted(
    screen: Console,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[tuple[Sequence[str | Text], str | None]],
    *,
    left_out_first: Sequence[str],
) -> None:
    """Print a table that fits the terminal, and say which columns had to be left out for that.

    Args:
        screen: Where to.
        title: What stands above it.
        columns: All that there are.
        rows: Cells in their order, and the style of the row. Text is spelt out where it is not printable.
        left_out_first: Names of columns that may be left out, in the order in which they are.
    """
    cells = [[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row] for row, _ in rows]
    natural = {
        column.name: max(len(column.name), *(_width(row[at]) for row in cells), 0)
        for at, column in enumerate(columns)
    }
    kept, left_out = list(columns), list[str]()
    for name in left_out_first:
        if _needed(kept, natural) <= screen.width:
            break
        kept = [column for column in kept if column.name != name]
        left_out.append(name)
    table = titled_table(title)
    spare = screen.width - _needed(kept, natural)
    for column in kept:
        least = _least(column, natural)
        width = least + max(0, min(spare, natural[column.name] - least))
        spare -= width - least
        table.add_column(
            column.name, width=width, overflow="fold", justify="right" if column.is_number else "left"
        )
    for row, (_, style) in zip(cells, rows, strict=True):
        shown = (cell for cell, column in zip(row, columns, strict=True) if column in kept)
        table.add_row(*shown, style=style)
    screen.print(table)
    if left_out:
        said = f"Left out, since the terminal is narrow: {', '.join(left_out)}; --json has all."
        screen.print(said, style="dim")


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _needed(columns: Sequence[Column], natural: dict[str, int]) -> int:
    return sum(_least(column, natural) + _CELL_PADDING for column in columns)


def _least(column: Column, natural: dict[str, int]) -> int:
    width = natural[column.name]
    return width if column.folds_to is None else min(width, max(column.folds_to, len(column.name)))
