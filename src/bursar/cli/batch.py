"""`bursar batch`: many items in few calls."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer
from rich.console import Console

from bursar.cli.examples import examples
from bursar.errors import BursarError

if TYPE_CHECKING:
    from bursar.drivers.batch.state import BatchState
    from bursar.wiring.batch_plans import BatchOptions, Plan
    from bursar.wiring.batching import BatchResult, Watch

batch_app = typer.Typer(
    help="Answer many items in few calls, each answer checked against a JSON schema.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@batch_app.command("run", epilog=examples("batch run"))
def run(
    items: Annotated[Path, typer.Argument(metavar="ITEMS", help="JSONL: an object with an id on each line.")],
    *,
    instruction: Annotated[Path, typer.Option(metavar="FILE", help="What is to be done with each item.")],
    schema: Annotated[Path, typer.Option(metavar="FILE", help="JSON schema of each item's answer.")],
    model: Annotated[str, typer.Option(help="Model that is asked.")] = "claude-haiku-4-5",
    size: Annotated[str, typer.Option(help="Items of a call; auto finds out.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where answers go; ITEMS.answers.jsonl unsaid.")
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where items without an answer go.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="URL", help="Bursar's gateway (http://127.0.0.1:4100 unsaid).")
    ] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="URL", help="A provider itself, as its SDK's base_url takes it.")
    ] = None,
    via: Annotated[
        Literal["calls", "provider"],
        typer.Option(help="calls, or provider: its own batch API, at half the price, within a day."),
    ] = "calls",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Calls under way at a time.")] = 4,
    dialect: Annotated[str | None, typer.Option(help="anthropic.messages or openai.chat.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whom the gateway books the calls for.")] = None,
    agent: Annotated[str | None, typer.Option(help="The same: the agent.")] = None,
    task: Annotated[str | None, typer.Option(help="The same: the task.")] = None,
    poll_s: Annotated[float, typer.Option(min=0.05, help="How often a provider's job is looked at.")] = 30,
    ask_unseen: Annotated[
        bool,
        typer.Option(
            "--ask-unseen", help="Ask a provider again what a crash has lost, though it may be paid twice."
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Ask once more about items that have failed in earlier runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")] = False,
) -> None:
    """Answer each item of a file, several in one call.

    What was answered is kept in OUT.journal: the same command goes on where an earlier one ended, however
    that ended, and pays for nothing twice. Keys come from the environment: ANTHROPIC_API_KEY or
    OPENAI_API_KEY, and BURSAR_KEY for a virtual key of the gateway. Exit status: 0 if every item has an
    answer, 1 if some have none (see the errors' file), 2 for a mistake in what was given.
    """
    from bursar.adapters.batch.files import read_instruction, read_lines, read_schema_file
    from bursar.policy.batch.items import read_items
    from bursar.wiring.batch_plans import make_plan
    from bursar.wiring.batching import result_of

    files = _files(items, out, errors)
    labels = {"tenant": tenant, "agent": agent, "task": task}
    options: BatchOptions = {
        "gateway": gateway,
        "upstream": upstream,
        "size": size,
        "journal": files["journal"],
        "concurrency": concurrency,
        "dialect": dialect,
        "labels": {name: value for name, value in labels.items() if value},
        "ask_unseen": ask_unseen,
        "via": via,
        "poll_s": poll_s,
        "again": again,
    }
    found = read_items(read_lines(items), str(items))
    plan = make_plan(found, read_instruction(instruction), read_schema_file(schema), model, options)
    state, failure = _run(plan)
    if state is not None:
        result = result_of(state)
        _write(result, files)
        _show(result, files, as_json=as_json)
        if failure is None and not state.work.is_done:
            say_how_to_go_on(state)
            raise typer.Exit(1)
        if failure is None and not result.is_complete:
            raise typer.Exit(1)
    elif failure is None:
        # Interrupted before it had begun.
        raise typer.Exit(1)
    if failure is not None:
        raise failure


@batch_app.command("cancel", epilog=examples("batch cancel"))
def cancel(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="OUT.journal of the batch.")],
    *,
    upstream: Annotated[
        str, typer.Option(metavar="URL", help="The provider, as its SDK's base_url takes it.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask the provider to end a batch's jobs early.

    What they have answered by then is billed; `bursar batch run` reads it, and with --again goes on.
    """
    from bursar.wiring.batching import cancel_jobs

    jobs = asyncio.run(cancel_jobs(journal, {"upstream": upstream}))
    if as_json:
        typer.echo(orjson.dumps({"jobs": jobs}))
    else:
        typer.echo(f"Asked for the end of {', '.join(jobs)}." if jobs else "No job of this batch is open.")


def _files(items: Path, out: Path | None, errors: Path | None) -> dict[str, str]:
    answers = out or items.with_name(f"{items.stem}.answers.jsonl")
    failed = errors or answers.with_name(f"{answers.name.removesuffix('.jsonl')}.errors.jsonl")
    return {"answers": str(answers), "errors": str(failed), "journal": f"{answers}.journal"}


def _run(plan: "Plan") -> "tuple[BatchState | None, BursarError | None]":
    """Run a batch under a progress bar; what stopped it comes beside what it brought until then."""
    from bursar.cli.batch_screen import batch_progress
    from bursar.wiring.batching import run_plan

    states: list[BatchState] = []
    with batch_progress(len(plan.items)) as show:

        def watch(state: "BatchState") -> None:
            if not states:
                states.append(state)
            show(state)

        try:
            asyncio.run(_interruptible(plan, watch, states, run_plan))
        except BursarError as error:
            return (states[0] if states else None), error
    return (states[0] if states else None), None


async def _interruptible(
    plan: "Plan", watch: "Watch", states: "list[BatchState]", run_plan: Callable[..., Any]
) -> None:
    """Run a batch; the first interrupt lets calls under way end, the second does not."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupt() -> None:
        if states and not states[0].is_stopping:
            states[0].is_stopping = True
            print("bursar: stopping once the calls under way have ended", file=sys.stderr)  # noqa: T201 - this is the terminal
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    with suppress(asyncio.CancelledError):
        await run_plan(plan, watch)


def say_how_to_go_on(state: "BatchState") -> None:
    """Say that a batch was interrupted."""
    left = len(state.work.items) - len(state.work.answers) - len(state.work.failed)
    print(  # noqa: T201 - this is the terminal
        f"bursar: interrupted with {left:,} items to go; the same command goes on", file=sys.stderr
    )


def _write(result: "BatchResult", files: dict[str, str]) -> None:
    from bursar.adapters.batch.files import write_lines

    answers = ({"id": name, "answer": answer} for name, answer in result.answers.items())
    write_lines(Path(files["answers"]), answers)
    failed = (
        {"id": e.id, "line": e.line, "kind": e.kind, "reason": e.reason, "tries": e.tries}
        for e in result.errors
    )
    write_lines(Path(files["errors"]), failed)


def _show(result: "BatchResult", files: dict[str, str], *, as_json: bool) -> None:
    from bursar.cli.batch_screen import batch_json, show_batch

    if as_json:
        typer.echo(orjson.dumps(batch_json(result, files), option=orjson.OPT_INDENT_2))
    else:
        show_batch(Console(highlight=False), result, files)
