"""A batch on the terminal: how far it is, and what it came to."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from bursar.cli.progress import progress_bar
from bursar.cli.tables import places_for, usd
from bursar.domain.money import usd_text
from bursar.drivers.batch.state import BatchState
from bursar.wiring.batching import BatchResult, Watch

_ERRORS_SHOWN = 5


@contextmanager
def batch_progress(total: int) -> Generator[Watch]:
    """Show on a terminal how many items are answered, and what that has cost and saved so far."""
    columns = MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with progress_bar("Answering", total, *columns) as (shown, task):

        def watch(state: BatchState) -> None:
            done = len(state.work.answers) + len(state.work.failed)
            shown.update(task, completed=done, description=_standing(state))

        yield watch


def _standing(state: BatchState) -> str:
    tally = state.tally
    parts = [f"{usd(tally.spent_nusd, 4)} spent"]
    if tally.saved_nusd is not None:
        parts.append(f"{usd(tally.saved_nusd, 4)} saved")
    if tally.unknown_costs:
        parts.append(f"{tally.unknown_costs:,} calls of unknown cost")
    if state.work.failed:
        parts.append(f"{len(state.work.failed):,} failed")
    return ", ".join([*parts, *([state.job_note] if state.job_note else [])])


def batch_json(result: BatchResult, files: dict[str, str]) -> dict[str, Any]:
    """Return what a batch came to, for `--json`."""
    return {
        "items": len(result.answers) + len(result.errors),
        "answered": len(result.answers),
        "failed": len(result.errors),
        "calls": result.calls,
        "resumed_calls": result.resumed_calls,
        "retries": result.retries,
        "extras": result.extras,
        "spent_usd": usd_text(result.spent_nusd),
        "unknown_costs": result.unknown_costs,
        "asked_twice": result.asked_twice,
        "saved_usd_estimated": None if result.saved_nusd is None else usd_text(result.saved_nusd),
        **files,
    }


def show_batch(screen: Console, result: BatchResult, files: dict[str, str]) -> None:
    """Print what a batch came to."""
    count = len(result.answers) + len(result.errors)
    saved = result.saved_nusd or 0
    places = places_for((result.spent_nusd, saved))
    screen.print(f"{len(result.answers):,} of {count:,} items answered by {result.calls:,} calls.")
    money = f"Spent {usd(result.spent_nusd, places)}"
    if result.saved_nusd is not None:
        money += f"; one call an item would have been about {usd(result.spent_nusd + saved, places)}"
    if result.unknown_costs:
        money += f"; {result.unknown_costs:,} calls are of unknown cost, and in no amount"
    screen.print(f"{money}.")
    if result.resumed_calls:
        screen.print(f"{result.resumed_calls:,} calls were answered in earlier runs and paid for then.")
    if result.asked_twice:
        screen.print(
            f"{result.asked_twice:,} calls were asked again, since their first answers were lost; if there "
            "were such answers, those were paid for too."
        )
    if result.retries:
        screen.print(f"{result.retries:,} items were asked again.")
    for name, path in files.items():
        screen.print(f"{name}: {path}", markup=False, soft_wrap=True)
    for error in result.errors[:_ERRORS_SHOWN]:
        text = f"bursar: item {error.id} (line {error.line}): {error.kind}: {error.reason}"
        print(text, file=sys.stderr)  # noqa: T201 - this is the terminal
