"""`bursar demo`: what Bursar does, on this machine, in half a minute."""

import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console, Group
from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bursar.cli.progress import progress_bar
from bursar.cli.replay import read_tools
from bursar.cli.tables import bar, component_table, console, percent, places_for, row_table, usd
from bursar.domain.money import usd_text
from bursar.errors import BadLine, BadSetting

if TYPE_CHECKING:
    from bursar.demo.scripts import Script
    from bursar.demo.show import Shown

_SEED = 7
_CONVERSATIONS = 36


def demo(
    *,
    transcripts: Annotated[
        Path | None, typer.Option(help="JSONL of your own conversations to play instead of ours.")
    ] = None,
    tools: Annotated[Path | None, typer.Option(help="JSON array of those conversations' tools.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where ledger and transcripts go, and stay; else a temporary folder.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")] = False,
) -> None:
    """Play agents' conversations through the gateway, against a provider that spends nothing.

    Three companies' agents work through both official SDKs; a local double of the providers answers, caches
    and bills as they do. Nothing leaves this machine.
    """
    # What plays is imported here: `bursar --help` should not wait for it.
    from bursar.demo.cases import write_cases
    from bursar.demo.clients import require_sdks
    from bursar.demo.recorded import read_scripts
    from bursar.demo.show import play_demo

    require_sdks()
    if tools is not None and transcripts is None:
        raise BadSetting("goes with --transcripts, whose agents have these tools", place="--tools")
    skipped: list[BadLine] = []
    if transcripts is None:
        conversations = write_cases(_SEED, _CONVERSATIONS)
    else:
        conversations = read_scripts(str(transcripts), read_tools(tools), skipped)
    for bad in skipped:
        typer.echo(f"bursar: {bad}; skipped", err=True)
    with _folder(data_dir, keep=keep) as folder:
        with _progress(conversations) as played:
            shown = play_demo(conversations, folder, played)
        kept = folder if keep or data_dir is not None else None
        if as_json:
            typer.echo(orjson.dumps(_as_json(shown, kept), option=orjson.OPT_INDENT_2))
        else:
            _show(console(), shown, kept)


@contextmanager
def _folder(data_dir: Path | None, *, keep: bool) -> Generator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    folder = Path(tempfile.mkdtemp(prefix="bursar-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress(conversations: "Sequence[Sequence[Script]]") -> Generator[Callable[[], None]]:
    total = sum(script.calls for threads in conversations for script in threads)
    columns = MofNCompleteColumn(), TextColumn("calls"), TimeElapsedColumn()
    with progress_bar("Agents at work", total, *columns) as (shown, task):

        def played() -> None:
            shown.advance(task)

        yield played


def _as_json(shown: "Shown", kept: Path | None) -> dict[str, Any]:
    difference_nusd = shown.report.total.cost_nusd - shown.billed_nusd
    return {
        **shown.report.as_json(),
        "demo": {
            "conversations": shown.conversations,
            "seconds": round(shown.seconds, 1),
            "billed_usd": usd_text(shown.billed_nusd),
            "billed_calls": shown.billed_calls,
            "difference_usd": usd_text(difference_nusd),
            "data_dir": None if kept is None else str(kept),
        },
    }


def _show(screen: Console, shown: "Shown", kept: Path | None) -> None:
    total = shown.report.total
    screen.print()
    screen.print(
        f"[bold]{total.calls:,}[/bold] calls in [bold]{shown.conversations}[/bold] conversations went "
        f"through the gateway in {shown.seconds:.1f} s, by the Anthropic and OpenAI SDKs."
    )
    screen.print()
    for part in (
        _bill_bars(shown),
        component_table(total),
        row_table(shown.report, screen.width),
        _proof(shown),
    ):
        screen.print(part)
        screen.print()
    _look_further(screen, kept)


def _bill_bars(shown: "Shown") -> Group:
    """Show the bill before and after, each as a bar."""
    total = shown.report.total
    places = places_for((total.cost_nusd, total.baseline_nusd))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    widest = max(total.baseline_nusd, total.cost_nusd)
    table.add_row("as sent", usd(total.baseline_nusd, places), Text(bar(total.baseline_nusd, widest), "red"))
    table.add_row(
        "with Bursar",
        Text(usd(total.cost_nusd, places), "bold"),
        Text(bar(total.cost_nusd, widest), "green"),
    )
    techniques = ", ".join(name.replace("_", " ") for name, nusd in total.techniques.items() if nusd)
    by = f", by {techniques}" if techniques else ""
    saved = Text.assemble(
        "saved ",
        (usd(total.saved_nusd, places), "bold green"),
        f", {percent(total.saved_nusd, total.baseline_nusd)} of the bill{by}.\n",
        ("OpenAI's models before GPT-5.6 cache by themselves: there is nothing to add.", "dim"),
    )
    return Group(Text("The bill", "bold"), table, saved)


def _proof(shown: "Shown") -> Text:
    """Say whether the gateway's ledger is the provider's bill."""
    difference_nusd = shown.report.total.cost_nusd - shown.billed_nusd
    if difference_nusd == 0 and shown.report.total.calls == shown.billed_calls:
        return Text.assemble(
            ("✓ ", "bold green"),
            f"The ledger and the provider's bill are equal to the nanodollar: ${usd_text(shown.billed_nusd)}",
            f" for {shown.billed_calls:,} calls.",
        )
    return Text.assemble(
        ("✗ ", "bold red"),
        f"The ledger says ${usd_text(shown.report.total.cost_nusd)} for {shown.report.total.calls:,} calls, ",
        f"the provider billed ${usd_text(shown.billed_nusd)} for {shown.billed_calls:,}.",
    )


def _look_further(screen: Console, kept: Path | None) -> None:
    from bursar.demo.show import TRANSCRIPTS

    if kept is None:
        commands = [
            ("bursar demo --keep", "keeps ledger and transcripts to look at"),
            ("bursar demo --transcripts FILE --tools FILE", "plays your own conversations"),
        ]
    else:
        commands = [
            (f"bursar report --data-dir {kept} --by conversation", "the dearest"),
            (f"bursar report --data-dir {kept} --by tenant,component", "whose tokens"),
            (f"bursar replay {kept / TRANSCRIPTS} --bound", "the best there is"),
        ]
    width = max(len(command) for command, _ in commands)
    screen.print("Look further", style="bold")
    for command, what in commands:
        screen.print(Text.assemble("  ", (command.ljust(width), "cyan"), "  ", (what, "dim")), soft_wrap=True)
    screen.print("Then run bursar serve, and point your SDK's base_url at it. Nothing else changes.")
