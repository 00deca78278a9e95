"""`bursar doctor`: why caches missed, what that cost, and how to mend it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from bursar.cli.doctor_screen import (
    LedgerDiagnosis,
    TrafficDiagnosis,
    show_ledger,
    show_traffic,
    warn,
)
from bursar.cli.replay import progress, read_tools
from bursar.cli.report import read_time
from bursar.cli.tables import console
from bursar.errors import BadLine, CallerMistake, StoreFailed
from bursar.settings import load


def doctor(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...]", help="JSONL: traffic logs or transcripts. Without one, the ledger."
        ),
    ] = None,
    *,
    config: Annotated[str | None, typer.Option(help="bursar.toml, for its prices.")] = None,
    model: Annotated[str, typer.Option(help="Model that transcripts ask.")] = "claude-sonnet-4-6",
    tools: Annotated[Path | None, typer.Option(help="JSON array of the transcripts' tools.")] = None,
    gap: Annotated[float, typer.Option(min=0, help="Seconds between calls where no time is known.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Transcripts played side by side.")] = 1,
    data_dir: Annotated[Path, typer.Option(help="The directory that bursar serve keeps its data in.")] = Path(
        "bursar-data"
    ),
    since: Annotated[
        str, typer.Option(help="The ledger's calls from then on: 2026-11-01, 24h, 7d. UTC unless it says.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")] = False,
) -> None:
    """Find out why prompts were not read from the provider's cache, what that cost, and how to mend it.

    From FILEs, which hold content, it names the text that changes. Without one it reads the ledger, beside a
    running server, and shows as well which agents pay most for output and for reasoning.
    """
    if files and since:
        raise CallerMistake("--since: is for the ledger; files are read as a whole")
    if files:
        _look_at_files(files, _Playing(config, model, tools, gap, concurrency), as_json=as_json)
    else:
        _look_at_ledger(config, data_dir, since, as_json=as_json)


class _Playing:
    """How files are read.

    Args:
        config: Path of bursar.toml; None for the defaults.
        model: Model that transcripts ask.
        tools: Path of the transcripts' tools.
        gap_s: Seconds between calls of unknown time.
        concurrency: Transcripts side by side.
    """

    def __init__(
        self, config: str | None, model: str, tools: Path | None, gap_s: float, concurrency: int
    ) -> None:
        self.settings = load(config)
        self.model = model
        self.tools = read_tools(tools)
        self.gap_s = gap_s
        self.concurrency = concurrency


def _look_at_files(files: Sequence[str], playing: _Playing, *, as_json: bool) -> None:
    # What plays calls is imported here: `bursar --help` should not wait for it.
    from bursar.replay.files import Skipped, Watching, open_recordings
    from bursar.replay.timeline import Pace, Timeline
    from bursar.replay.transcripts import Asking
    from bursar.wiring.doctor import build_traffic_doctor

    skipped = Skipped()
    with progress(files, "Looking") as (screen, advance):

        def tell(bad: BadLine) -> None:
            screen.print(f"bursar: {bad}; skipped", markup=False, soft_wrap=True)

        recordings = open_recordings(files, Watching(skipped, tell, advance))
        timeline = Timeline(
            recordings,
            Asking(playing.model, playing.tools),
            Pace(gap_s=playing.gap_s, concurrency=playing.concurrency, start_s=float(int(time.time()))),
        )
        looking = build_traffic_doctor(playing.settings)
        for call in timeline:
            looking.look(call)
    diagnosis = TrafficDiagnosis(
        findings=looking.findings(),
        course=looking.course,
        skipped=skipped,
        conversations=timeline.conversations,
        late_calls=timeline.late_calls,
        gap_s=playing.gap_s,
    )
    if as_json:
        typer.echo(orjson.dumps(diagnosis.as_json(), option=orjson.OPT_INDENT_2))
    else:
        show_traffic(console(), diagnosis)
    warn(Console(stderr=True, highlight=False), diagnosis)
    if not looking.course.calls:
        raise CallerMistake(f"no call could be read: all {looking.course.refused_calls:,} were refused")


def _look_at_ledger(config: str | None, data_dir: Path, since: str, *, as_json: bool) -> None:
    settings = load(config)
    since_s = read_time(since, time.time(), option="--since")
    from bursar.adapters.ledger.sqlite import LedgerReader
    from bursar.wiring.doctor import build_ledger_doctor

    looking = build_ledger_doctor(settings)
    try:
        for entry in LedgerReader.open(data_dir).entries(since_s=since_s):
            looking.look(entry)
    except StoreFailed as error:
        # Which file is read is the caller's choice, so a file that cannot be read is the caller's to mend.
        raise CallerMistake(str(error)) from error
    diagnosis = LedgerDiagnosis(looking.findings(), looking.output(), looking.course)
    if as_json:
        typer.echo(orjson.dumps(diagnosis.as_json(), option=orjson.OPT_INDENT_2))
    else:
        show_ledger(console(), diagnosis)
