"""What reports look like on a terminal; made for 100 columns, and readable at 80.

Amounts in one column share their number of decimal places, so that they line up at the point. An amount
that is not known is a dash, never a zero.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bursar.domain.ledger import ACTING_ORDER
from bursar.domain.money import NUSD_PER_USD, divide_half_even
from bursar.domain.report import Report, Row, Tally
from bursar.domain.usage import PROMPT_CLASSES, TokenClass

UNKNOWN = "–"

# Where output goes into a file or a pipe nothing needs to be cut, whatever it holds.
_WIDTH_WITHOUT_TERMINAL = 200
_BAR_CELLS = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"
# Decimal places by what the largest amount of a column reaches: four to six places that say something.
_PLACES = ((1_000 * NUSD_PER_USD, 2), (NUSD_PER_USD, 4), (NUSD_PER_USD // 1_000, 6))
_FINEST_PLACES = 9


def console() -> Console:
    """Return a console on standard output, wide enough for our tables where output goes into a file."""
    made = Console(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _WIDTH_WITHOUT_TERMINAL
    return made


def places_for(amounts_nusd: Iterable[int | None]) -> int:
    """Return how many decimal places suit a column of amounts."""
    largest = max((abs(amount) for amount in amounts_nusd if amount), default=NUSD_PER_USD)
    return next((places for least, places in _PLACES if largest >= least), _FINEST_PLACES)


def usd(nusd: int | None, places: int) -> str:
    """Write an amount for people: rounded half-even, thousands grouped.

    Args:
        nusd: The amount; None shows as unknown.
        places: Decimal places, 2 to 9. An amount that is too small for them shows as such, not as zero.
    """
    if nusd is None:
        return UNKNOWN
    step = Decimal(1).scaleb(-places)
    rounded = Decimal(abs(nusd)).scaleb(-9).quantize(step, rounding=ROUND_HALF_EVEN)
    sign = "-" if nusd < 0 else ""
    if nusd and not rounded:
        return f"{sign}<${step:,f}"
    return f"{sign}${rounded:,f}"


def percent(part: int | None, whole: int | None) -> str:
    """Write a part of a whole in percent with one place; unknown where either is, or the whole is zero."""
    if part is None or whole is None or whole <= 0:
        return UNKNOWN
    per_mille = divide_half_even(1_000 * part, whole)
    sign = "-" if per_mille < 0 else ""
    return f"{sign}{abs(per_mille) // 10:,}.{abs(per_mille) % 10} %"


def bar(part: int, whole: int) -> str:
    """Draw a part of a whole as a bar, to an eighth of a cell."""
    if whole <= 0 or part <= 0:
        return ""
    eighths = min(divide_half_even(part * _BAR_CELLS * 8, whole), _BAR_CELLS * 8)
    cells, rest = divmod(max(eighths, 1), 8)
    return "█" * cells + (_EIGHTHS[rest] if rest else "")


def headline(total: Tally) -> RenderableType:
    """Say in a line or four what calls cost, what they would have cost, and how sure that is."""
    places = places_for((total.cost_nusd, total.baseline_nusd))
    first = Text.assemble(
        (_calls(total.calls), "bold"),
        ", cost ",
        (usd(total.known_cost_nusd, places), "bold"),
        "; as sent they would have cost ",
        (usd(total.known_baseline_nusd, places), "bold"),
        "; saved ",
        (usd(total.known_saved_nusd, places), "bold green" if total.saved_nusd >= 0 else "bold red"),
        f" ({percent(total.known_saved_nusd, total.baseline_nusd)})",
    )
    return Group(first, *(Text(note, style="yellow") for note in _notes(total, places)))


def _notes(total: Tally, places: int) -> list[str]:
    notes: list[str] = []
    if total.estimated_nusd or total.estimated_max_nusd:
        notes.append(
            f"Estimated, of the cost: {usd(total.estimated_nusd, places)}, "
            f"at most {usd(total.estimated_max_nusd, places)} (no usage was reported)."
        )
    if total.unknown_calls:
        notes.append(f"Unknown cost: {_calls(total.unknown_calls)}, in no amount.")
    without_baseline = total.uncompared_calls - total.unknown_calls
    if without_baseline:
        notes.append(f"Unknown baseline: {_calls(without_baseline)}, not in what was saved.")
    return notes


def component_table(total: Tally) -> Table:
    """Show where tokens and cost went, by component of the prompt."""
    all_tokens = sum(total.component_tokens.values())
    all_nusd = sum(total.component_nusd.values())
    places = places_for((all_nusd,))
    table = titled_table("Where the tokens went")
    table.add_column("component", no_wrap=True)
    for name in ("tokens", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", width=_BAR_CELLS, no_wrap=True, style="cyan")
    for name in ("cost", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for component, tokens in total.component_tokens.items():
        cost_nusd = total.component_nusd[component]
        if tokens or cost_nusd:
            table.add_row(
                _words(component),
                f"{tokens:,}",
                percent(tokens, all_tokens),
                bar(tokens, all_tokens),
                usd(cost_nusd, places),
                percent(cost_nusd, all_nusd),
            )
    return table


def technique_table(total: Tally) -> Table:
    """Show what each technique saved, or would have where it only watched. It may be less than nothing."""
    watched = any(total.would_save.values())
    places = places_for((total.baseline_nusd, *total.would_save.values()))
    table = titled_table("What saved it")
    table.add_column("technique", no_wrap=True)
    for name in ("saved", "of as sent", *(("would have saved",) if watched else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for technique in ACTING_ORDER:
        saved_nusd, would_save_nusd = total.techniques[technique], total.would_save[technique]
        if saved_nusd or would_save_nusd:
            table.add_row(
                _words(technique),
                Text(usd(saved_nusd, places), style="red" if saved_nusd < 0 else "green"),
                percent(saved_nusd, total.known_baseline_nusd),
                *((usd(would_save_nusd, places),) if watched else ()),
            )
    return table


def row_table(report: Report, width: int) -> Table:
    """Show a report's groups, dearest first.

    Args:
        report: With at least one key.
        width: Cells there are. Where the table needs more, columns that say least are left out, so that
            keys and amounts stay whole.
    """
    keys = [key.value for key in report.by]
    table = titled_table(f"By {', '.join(keys)}")
    places = places_for(amount for row in report.rows for amount in (row.cost_nusd, row.baseline_nusd))
    rows = [[*map(_key_cell, row.keys), *_number_cells(row, places)] for row in report.rows]
    names = [*keys, *_NUMBER_COLUMNS]
    widths = [
        max(len(name), *(cells[at].cell_len for cells in rows), 0) + _CELL_PADDING
        for at, name in enumerate(names)
    ]
    left_out: set[str] = set()
    for name in _LEFT_OUT_FIRST:
        if sum(w for n, w in zip(names, widths, strict=True) if n not in left_out) <= width:
            break
        left_out.add(name)
    for name, natural in zip(names, widths, strict=True):
        if name in keys:
            table.add_column(name, overflow="fold", min_width=min(natural - _CELL_PADDING, _KEY_WIDTH_MIN))
        elif name not in left_out:
            table.add_column(name, justify="right", no_wrap=True)
    for cells in rows:
        table.add_row(*(cell for name, cell in zip(names, cells, strict=True) if name not in left_out))
    return table


_NUMBER_COLUMNS = ("calls", "prompt", "cached", "output", "cost", "as sent", "saved", "%")
_LEFT_OUT_FIRST = ("output", "prompt", "as sent", "cached", "saved", "calls")
_CELL_PADDING = 3
_KEY_WIDTH_MIN = 16


def _key_cell(key: str) -> Text:
    return Text(printable(key)) if key else Text("(none)", style="dim")


def _number_cells(row: Row, places: int) -> list[Text]:
    """Write a row's numbers, in the order of `_NUMBER_COLUMNS`."""
    cost = Text(usd(row.cost_nusd, places), style="bold")
    # What stands after the amount is as wide in every row, so that the amounts still line up.
    cost.append("*" if row.unknown_calls else " ", style="yellow")
    saved = (
        usd(row.baseline_nusd, places),
        usd(row.saved_nusd, places),
        percent(row.saved_nusd, row.baseline_nusd),
    )
    return [Text(f"{row.calls:,}"), *map(Text, _token_cells(row)), cost, *map(Text, saved)]


def show(screen: Console, report: Report) -> None:
    """Print a report: headline, components, techniques, groups."""
    total = report.total
    parts: list[RenderableType] = [headline(total)]
    if any(total.component_tokens.values()):
        parts.append(component_table(total))
    if any(total.techniques.values()) or any(total.would_save.values()):
        parts.append(technique_table(total))
    if report.rows:
        parts.append(row_table(report, screen.width))
    for part in parts:
        screen.print(part)
        screen.print()
    if report.rows_left:
        screen.print(f"Rows left out: {report.rows_left:,}; --limit shows more.")
    if any(row.unknown_calls for row in report.rows):
        screen.print("* Some of its calls are of unknown cost and not in the amount.", style="yellow")


def _token_cells(row: Row) -> Sequence[str]:
    prompt_tokens = sum(row.tokens.get(c.value, 0) for c in PROMPT_CLASSES)
    output_tokens = row.tokens.get(TokenClass.OUTPUT.value, 0) + row.tokens.get(TokenClass.REASONING.value, 0)
    cached = percent(row.tokens.get(TokenClass.CACHE_READ.value, 0), prompt_tokens)
    return (f"{prompt_tokens:,}", cached, f"{output_tokens:,}")


def printable(key: str) -> str:
    """Spell out what is not printable: a key comes from a client, and must not steer the terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in key
    )


def minute(at: str | float | None) -> str:
    """Write a moment for people, to the minute: in UTC unless it says its zone.

    Args:
        at: RFC 3339, or seconds since the epoch; None for never.
    """
    if at is None:
        return "never"
    moment = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    offset = "" if not moment.utcoffset() else f"{moment:%z}"
    return f"{moment:%Y-%m-%d %H:%M}{offset}"


def titled_table(title: str | Text, *, footer: bool = False) -> Table:
    """Return an empty table in the style of all commands."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_footer=footer,
    )


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _words(name: str) -> str:
    return name.replace("_", " ")
