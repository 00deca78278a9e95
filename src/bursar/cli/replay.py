"""`bursar replay`: what recorded traffic costs, and would cost under other settings."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer
from rich.console import Console
from rich.progress import TaskProgressColumn, TimeRemainingColumn

from bursar.cli.progress import progress_bar
from bursar.cli.replay_screen import Outcome, show, warn
from bursar.cli.report import read_keys
from bursar.cli.tables import console
from bursar.domain.ledger import Technique
from bursar.errors import BadLine, BadSetting, CallerMistake
from bursar.policy.agent import GOVERNED
from bursar.settings import Settings, load

_ROWS_SHOWN = 40


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
    without: Annotated[
        str, typer.Option(help="Techniques to leave out, with commas between: history,tool_results, …")
    ] = "",
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
    left_out = _techniques(without)
    # What plays calls is imported here: `bursar --help` should not wait for it.
    from bursar.domain.report import report_of
    from bursar.replay.files import Skipped, Watching, open_recordings
    from bursar.replay.timeline import Pace, Timeline
    from bursar.replay.transcripts import Asking
    from bursar.wiring.replay import build_replay

    skipped = Skipped()
    with progress(files, "Replaying") as (screen, advance):

        def tell(bad: BadLine) -> None:
            screen.print(f"bursar: {bad}; skipped", markup=False, soft_wrap=True)

        recordings = open_recordings(files, Watching(skipped, tell, advance))
        timeline = Timeline(
            recordings,
            Asking(model, asked, max_tokens, stream),
            Pace(gap_s=gap, concurrency=concurrency, start_s=float(int(time.time()))),
        )
        runner, least = build_replay(settings, bounded=bound, without=left_out)
        found = report_of(runner.play(timeline), keys, None if as_json else _ROWS_SHOWN)
    outcome = Outcome(
        report=found,
        mode=settings.mode,
        without=left_out,
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
        show(console(), outcome)
    warn(Console(stderr=True, highlight=False), outcome)
    if not found.total.calls and outcome.refused_calls:
        raise CallerMistake(f"no call was played: all {outcome.refused_calls:,} were refused")


def _settings(config: str | None, mode: str | None) -> Settings:
    settings = load(config)
    if mode is None:
        return settings
    if mode not in {"observe", "optimise", "passthrough"}:
        raise BadSetting(f'"{mode}" is none of observe, optimise, passthrough', place="--mode")
    return settings.model_copy(update={"mode": mode})


def _techniques(names: str) -> tuple[Technique, ...]:
    """Read names of techniques.

    Raises:
        BadSetting: One is none that could be left out.
    """
    known = [technique.value for technique in GOVERNED]
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise BadSetting(f'"{name}" is none of {", ".join(known)}', place="--without")
    return tuple(Technique(name) for name in dict.fromkeys(chosen))


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
def progress(files: Sequence[str], doing: str) -> Generator[tuple[Console, Callable[[int], None]]]:
    """Show on a terminal how far the files have been read."""
    total = sum(path.stat().st_size for file in files if (path := Path(file)).is_file())
    with progress_bar(doing, total or None, TaskProgressColumn(), TimeRemainingColumn()) as (shown, task):

        def advance(count: int) -> None:
            shown.advance(task, count)

        yield shown.console, advance
