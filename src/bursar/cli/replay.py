"""`bursar replay`: what recorded traffic costs, and would cost under other settings."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from bursar.cli.report import read_keys
from bursar.cli.tables import component_table, console, headline, percent, places_for, row_table, usd
from bursar.domain.money import divide_half_even, usd_text
from bursar.domain.report import Report
from bursar.errors import BadLine, BadSetting
from bursar.settings import Settings, load

_ROWS_SHOWN = 40
_REASONS_SHOWN = 5


def replay(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="JSONL: transcripts or traffic logs, line by line.")
    ],
    *,
    config: Annotated[str | None, typer.Option(help="bursar.toml; without one, the defaults hold.")] = None,
    model: Annotated[str, typer.Option(help="Model that transcripts ask.")] = "claude-sonnet-4-6",
    tools: Annotated[Path | None, typer.Option(help="JSON array of the transcripts' tools.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Output limit of transcripts' calls.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Let transcripts ask for streams.")] = False,
    mode: Annotated[str | None, typer.Option(help="observe, optimise or passthrough.")] = None,
    bound: Annotated[
        bool, typer.Option("--bound", help="Show the least that any caching of these prompts can cost.")
    ] = False,
    gap: Annotated[float, typer.Option(min=0, help="Seconds between calls where no time is known.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Transcripts played side by side.")] = 1,
    by: Annotated[str, typer.Option(help="Keys to group by, with commas between, as in bursar report.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")] = False,
) -> None:
    """Replay recorded traffic through the engine, at zero provider cost, and show what that changes.

    A traffic log's calls keep their model, times, answers and output tokens. A transcript's conversations
    are played one after another. What the prompts cost is worked out anew, by a model of the provider.
    """
    settings = _settings(config, mode)
    keys = read_keys(by)
    asked = read_tools(tools)
    # What plays calls is imported here: `bursar --help` should not wait for it.
    from bursar.domain.report import report_of
    from bursar.replay.files import Skipped, Watching, open_recordings
    from bursar.replay.timeline import Pace, Timeline
    from bursar.replay.transcripts import Asking
    from bursar.wiring.replay import build_replay

    skipped = Skipped()
    with _progress(files) as (screen, advance):

        def tell(bad: BadLine) -> None:
            screen.print(f"bursar: {bad}; skipped", markup=False, soft_wrap=True)

        recordings = open_recordings(files, Watching(skipped, tell, advance))
        timeline = Timeline(
            recordings,
            Asking(model, asked, max_tokens, stream),
            Pace(gap_s=gap, concurrency=concurrency, start_s=float(int(time.time()))),
        )
        runner, least = build_replay(settings, bounded=bound)
        found = report_of(runner.play(timeline), keys, None if as_json else _ROWS_SHOWN)
    outcome = Outcome(
        report=found,
        mode=settings.mode,
        gap_s=gap,
        conversations=timeline.conversations,
        made_up_times=runner.run.made_up_times,
        late_calls=timeline.late_calls,
        refused_calls=runner.run.refused_calls,
        refused=runner.run.refused,
        skipped_lines=skipped.lines,
        empty_calls=skipped.empty_calls,
        failed_calls=skipped.failed_calls,
        bound_nusd=None if least is None else least.total_nusd(),
    )
    if as_json:
        typer.echo(orjson.dumps(outcome.as_json(), option=orjson.OPT_INDENT_2))
    else:
        _show(console(), outcome)
    _warn(Console(stderr=True, highlight=False), outcome)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay has found, ready to be shown.

    Attributes:
        report: What the calls cost.
        mode: The mode in which they were played.
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
            "conversations": self.conversations,
            "made_up_times": self.made_up_times,
            "late_calls": self.late_calls,
            "refused_calls": self.refused_calls,
            "skipped_lines": self.skipped_lines,
            "empty_calls": self.empty_calls,
            "failed_calls": self.failed_calls,
        }
        return result


def _settings(config: str | None, mode: str | None) -> Settings:
    settings = load(config)
    if mode is None:
        return settings
    if mode not in {"observe", "optimise", "passthrough"}:
        raise BadSetting(f'"{mode}" is none of observe, optimise, passthrough', place="--mode")
    return settings.model_copy(update={"mode": mode})


def read_tools(path: Path | None) -> Sequence[Mapping[str, Any]]:
    """Read the tools of transcripts' agents.

    Raises:
        BadSetting: The file cannot be read, or is no array of tools.
    """
    if path is None:
        return ()
    try:
        tools: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadSetting(f"cannot read {path}: {error.strerror}", place="--tools") from None
    except orjson.JSONDecodeError as error:
        raise BadSetting(f"{path} is no JSON: {error}", place="--tools") from None
    if not isinstance(tools, list) or not all(map(_is_tool, cast("list[Any]", tools))):
        raise BadSetting(f"{path} is no array of tools, each with a name", place="--tools")
    return cast("list[Mapping[str, Any]]", tools)


def _is_tool(tool: Any) -> bool:
    if not isinstance(tool, dict):
        return False
    definition: Any = cast("dict[str, Any]", tool).get("function", tool)
    return isinstance(definition, dict) and isinstance(cast("dict[str, Any]", definition).get("name"), str)


@contextmanager
def _progress(files: Sequence[str]) -> Generator[tuple[Console, Callable[[int], None]]]:
    """Show on a terminal how far the files have been read."""
    screen = Console(stderr=True, highlight=False)
    total = sum(path.stat().st_size for file in files if (path := Path(file)).is_file())
    with Progress(
        TextColumn("Replaying"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as progress:
        task = progress.add_task("", total=total or None)

        def advance(count: int) -> None:
            progress.advance(task, count)

        yield progress.console, advance


def _show(screen: Console, outcome: Outcome) -> None:
    total = outcome.report.total
    if not total.calls:
        screen.print("No calls.")
        return
    for part in (headline(total), _impact_table(outcome), component_table(total)):
        screen.print(part)
        screen.print()
    if outcome.report.rows:
        screen.print(row_table(outcome.report))
    if outcome.bound_nusd is not None:
        _show_bound(screen, total.cost_nusd, outcome.bound_nusd)
    for note in _notes(outcome):
        screen.print(note, style="dim")


def _impact_table(outcome: Outcome) -> Table:
    """Show the bill before and after each technique, down to the final one."""
    from bursar.replay.impact import impact

    total = outcome.report.total
    watched = outcome.mode == "observe"
    steps = impact(total, watched=watched)
    first_nusd = total.cost_nusd if watched else total.baseline_nusd
    last_nusd = steps[-1].after_nusd if steps else first_nusd
    places = places_for((first_nusd, last_nusd))
    table = Table(
        title="What it would save" if watched else "What it saves",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_footer=True,
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
            "Offline optimum ",
            (usd(bound_nusd, places), "bold"),
            "; the bill is ",
            (_ratio(cost_nusd, bound_nusd), "bold"),
            " of it. No way of caching these prompts costs less.",
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


def _warn(screen: Console, outcome: Outcome) -> None:
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
