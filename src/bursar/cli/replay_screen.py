"""What a replay has found, on the terminal and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bursar.cli.holdout_screen import show_holdout
from bursar.cli.tables import component_table, headline, percent, places_for, row_table, titled_table, usd
from bursar.domain.ledger import Technique
from bursar.domain.money import divide_half_even, usd_text
from bursar.domain.report import Report
from bursar.replay.impact import impact

_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay has found, ready to be shown.

    Attributes:
        report: What the calls cost.
        mode: The mode in which they were played.
        without: Techniques that were left out.
        gap_s: Seconds between calls whose times are made up.
        conversations: Conversations of transcripts.
        made_up_times: Calls whose times are made up.
        late_calls: Logged calls that stood too far behind later ones.
        refused_calls: Calls that were refused, and are in no amount.
        refused: Why, with the place of the first of each kind.
        skipped_lines: Lines that could not be read.
        empty_calls: Calls without an input.
        failed_calls: Calls that had failed when they were recorded.
        bound_nusd: The least that the calls can cost; None where not asked for.
    """

    report: Report
    mode: str
    without: Sequence[Technique]
    gap_s: float
    conversations: int
    made_up_times: int
    late_calls: int
    refused_calls: int
    refused: Mapping[str, str]
    skipped_lines: int
    empty_calls: int
    failed_calls: int
    bound_nusd: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as `bursar report` gives it, with what is a replay's own beside it."""
        result = self.report.as_json()
        total: dict[str, Any] = result["total"]
        if self.bound_nusd is not None:
            total["bound_usd"] = usd_text(self.bound_nusd)
        result["replay"] = {
            "mode": self.mode,
            "without": [technique.value for technique in self.without],
            "conversations": self.conversations,
            "made_up_times": self.made_up_times,
            "late_calls": self.late_calls,
            "refused_calls": self.refused_calls,
            "skipped_lines": self.skipped_lines,
            "empty_calls": self.empty_calls,
            "failed_calls": self.failed_calls,
        }
        return result


def show(screen: Console, outcome: Outcome) -> None:
    """Print what was found: headline, impact, components, groups, the optimum, and what was made up."""
    total = outcome.report.total
    if not total.calls:
        screen.print("No calls.")
        return
    for part in (headline(total), _impact_table(outcome), component_table(total)):
        screen.print(part)
        screen.print()
    if outcome.report.rows:
        screen.print(row_table(outcome.report, screen.width))
    show_holdout(screen, outcome.report.holdout)
    if outcome.bound_nusd is not None:
        _show_bound(screen, total.cost_nusd, outcome.bound_nusd)
    for note in _notes(outcome):
        screen.print(note, style="dim")


def _impact_table(outcome: Outcome) -> Table:
    """Show the bill before and after each technique, down to the final one."""
    total = outcome.report.total
    watched = outcome.mode == "observe"
    left_out = ", ".join(technique.replace("_", " ") for technique in outcome.without)
    steps = impact(total, watched=watched)
    first_nusd = total.cost_nusd if watched else total.baseline_nusd
    last_nusd = steps[-1].after_nusd if steps else first_nusd
    places = places_for((first_nusd, last_nusd))
    table = titled_table(
        ("What it would save" if watched else "What it saves")
        + (f", without {left_out}" if left_out else ""),
        footer=True,
    )
    table.add_column("technique", "all", no_wrap=True)
    table.add_column("before", usd(first_nusd, places), justify="right", no_wrap=True)
    table.add_column("after", Text(usd(last_nusd, places), style="bold"), justify="right", no_wrap=True)
    table.add_column("saved", usd(first_nusd - last_nusd, places), justify="right", no_wrap=True)
    table.add_column("%", percent(first_nusd - last_nusd, first_nusd), justify="right", no_wrap=True)
    for step in steps:
        table.add_row(
            step.technique.replace("_", " "),
            usd(step.before_nusd, places),
            usd(step.after_nusd, places),
            Text(usd(step.saved_nusd, places), style="green" if step.saved_nusd >= 0 else "red"),
            percent(step.saved_nusd, step.before_nusd),
        )
    return table


def _show_bound(screen: Console, cost_nusd: int, bound_nusd: int) -> None:
    places = places_for((cost_nusd, bound_nusd))
    screen.print(
        Text.assemble(
            "With all of the future known, caching these prompts would cost no less than ",
            (usd(bound_nusd, places), "bold"),
            "; the bill is ",
            (_ratio(cost_nusd, bound_nusd), "bold"),
            " of that.",
        )
    )
    screen.print()


def _ratio(part: int, whole: int) -> str:
    if whole <= 0:
        return "–"
    thousandths = divide_half_even(1_000 * part, whole)
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _notes(outcome: Outcome) -> list[str]:
    notes: list[str] = []
    calls = outcome.report.total.calls
    if outcome.made_up_times:
        notes.append(
            f"Times are made up for {outcome.made_up_times:,} of {calls + outcome.refused_calls:,} calls: "
            f"{outcome.gap_s:g} s apart (--gap)."
        )
    if outcome.conversations:
        notes.append("When conversations begin is made up; --concurrency plays several side by side.")
    if outcome.empty_calls:
        notes.append(f"Skipped: {outcome.empty_calls:,} calls without an input.")
    if outcome.failed_calls:
        notes.append(f"Skipped: {outcome.failed_calls:,} calls that had failed when they were recorded.")
    return notes


def warn(screen: Console, outcome: Outcome) -> None:
    """Say on standard error what the amounts do not hold."""
    if outcome.skipped_lines:
        _say(screen, f"{outcome.skipped_lines:,} lines could not be read and were skipped")
    if outcome.late_calls:
        _say(
            screen,
            f"{outcome.late_calls:,} logged calls stood far behind later ones and were played after them; "
            "sort the log by `at`",
        )
    if outcome.refused_calls:
        _say(screen, f"{outcome.refused_calls:,} calls were refused and are in no amount:")
        for reason, place in list(outcome.refused.items())[:_REASONS_SHOWN]:
            _say(screen, f"  {place}: {reason}")


def _say(screen: Console, text: str) -> None:
    screen.print(f"bursar: {text}", markup=False, soft_wrap=True)
