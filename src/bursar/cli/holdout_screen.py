"""Conversations that were held out, beside the others, on the terminal."""

from collections.abc import Callable
from fractions import Fraction

from rich.console import Console

from bursar.cli.tables import UNKNOWN, places_for, titled_table, usd
from bursar.domain.holdout import CONVERSATIONS_MIN, Comparison, decimal_text
from bursar.domain.money import divide_half_even


def show_holdout(screen: Console, compared: Comparison | None) -> None:
    """Print both groups side by side, and whether they can be compared; without a holdout, nothing."""
    if compared is None:
        return
    groups = (compared.optimised, compared.held_out)
    table = titled_table("Conversations left as they came, beside the others")
    table.add_column("", no_wrap=True)
    for name in ("optimised", "held out", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for title, counts in (
        ("conversations", [group.conversations for group in groups]),
        ("calls", [group.calls for group in groups]),
    ):
        table.add_row(title, *(f"{count:,}" for count in counts), "")
    differences = compared.differences()
    values = [group.measures() for group in groups]
    for measure, write in _MEASURES.items():
        cells = write([value[measure] for value in values])
        table.add_row(measure.replace("_", " "), *cells, _signed_percent(differences[measure]))
    screen.print(table)
    for note in _notes(compared):
        screen.print(note, style="yellow")
    screen.print()


def _notes(compared: Comparison) -> list[str]:
    notes: list[str] = []
    if not compared.is_large_enough:
        notes.append(f"Too small to compare: below {CONVERSATIONS_MIN} conversations, chance alone differs.")
    unknown_calls = compared.optimised.unknown_calls + compared.held_out.unknown_calls
    if unknown_calls:
        notes.append(f"Unknown cost: {unknown_calls:,} of the calls, in no amount.")
    return notes


def _numbers(values: list[Fraction | None]) -> list[str]:
    return [decimal_text(value, 2) or UNKNOWN for value in values]


def _amounts(values: list[Fraction | None]) -> list[str]:
    amounts = [None if v is None else divide_half_even(v.numerator, v.denominator) for v in values]
    return [usd(amount, places_for(amounts)) for amount in amounts]


def _percents(values: list[Fraction | None]) -> list[str]:
    return [UNKNOWN if value is None else f"{decimal_text(100 * value, 1)} %" for value in values]


def _signed_percent(value: Fraction | None) -> str:
    if value is None:
        return UNKNOWN
    shown = decimal_text(100 * value, 1) or ""
    return f"{shown} %" if shown.startswith("-") else f"+{shown} %"


_MEASURES: dict[str, Callable[[list[Fraction | None]], list[str]]] = {
    "calls_per_conversation": _numbers,
    "cost_per_conversation": _amounts,
    "cost_per_call": _amounts,
    "failed_share": _percents,
}
