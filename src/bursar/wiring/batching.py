"""Builds and runs batches: for `bursar batch`, and as `bursar.batch`."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import orjson

from bursar.adapters.batch.destination import Connection, Destination
from bursar.adapters.batch.journal import FileJournal, MemoryJournal, read_journal
from bursar.adapters.batch.provider_jobs import job_api
from bursar.adapters.batch_limits import load_batch_limits
from bursar.adapters.model_data import load_token_ratios
from bursar.adapters.model_limits import load_windows
from bursar.adapters.price_data import load_price_book
from bursar.domain.json_schema import JsonSchema, read_schema
from bursar.domain.prompt import ContentClass
from bursar.domain.windows import Window
from bursar.drivers.batch.calls import CallRunner
from bursar.drivers.batch.jobs import JobRunner
from bursar.drivers.batch.state import BatchState
from bursar.errors import BadLine, BadSetting, CallerMistake
from bursar.policy.batch.items import Item, read_items
from bursar.policy.batch.judging import Judge
from bursar.policy.batch.prompt import Assignment
from bursar.policy.batch.records import FORMAT, Head, Reopened, open_jobs
from bursar.policy.batch.sizing import SizeLimits, Sizing
from bursar.policy.batch.work import Work

DEFAULT_MODEL = "claude-haiku-4-5"
DEFAULT_GATEWAY = "http://127.0.0.1:4100"
DEFAULT_CONCURRENCY = 4
DEFAULT_POLL_S = 30.0

_ANTHROPIC, _OPENAI = "anthropic.messages", "openai.chat"
_KEY_VARIABLES = {_ANTHROPIC: "ANTHROPIC_API_KEY", _OPENAI: "OPENAI_API_KEY"}
_OWN_KEY_VARIABLE = "BURSAR_KEY"

# A model of which nothing is known is asked cautiously; operators' own models may well be small.
_UNKNOWN_CONTEXT_TOKENS = 32_000
_UNKNOWN_OUTPUT_TOKENS = 4_096

# What an OpenAI model that always reasons may use up before it writes.
_REASONING_TOKENS = 8_000

Via = Literal["calls", "provider"]
Watch = Callable[[BatchState], None]


class BatchOptions(TypedDict, total=False):
    """How a batch is run; all of it may be left out.

    Attributes:
        gateway: URL of Bursar's gateway; http://127.0.0.1:4100 where neither it nor `upstream` is given.
        upstream: Base URL of a provider that is asked itself, as its SDK takes it.
        size: Items of a call; `"auto"` (the default) finds out.
        journal: A file to which the batch's state is written, so that a further run goes on where this one
            ended; None for no such thing.
        concurrency: Calls under way at a time.
        dialect: `anthropic.messages` or `openai.chat`; without it, the model's own.
        labels: Attribution for the gateway: tenant, agent, task, conversation, user, tags.
        ask_unseen: Whether calls that were sent to a provider, and whose answers a crash has lost, are asked
            again though that may be paid twice.
        via: `"calls"` (the default), or `"provider"` for the provider's own batch API, at half the price.
        poll_s: How often a provider's job is looked at.
        again: Whether items that have failed in earlier runs are asked again.
    """

    gateway: str | None
    upstream: str | None
    size: int | str
    journal: str | os.PathLike[str] | None
    concurrency: int
    dialect: str | None
    labels: Mapping[str, str]
    ask_unseen: bool
    via: Via
    poll_s: float
    again: bool


@dataclass(frozen=True, slots=True)
class BatchError:
    """An item without an answer.

    Attributes:
        id: The item's.
        line: Its line, or its number, from 1.
        kind: Why: `missing`, `duplicated`, `malformed`, `unreadable`, `cut`, `refused`, `rejected`,
            `unseen`, `expired` or `cancelled`.
        reason: The same for a person.
        tries: How often it was asked.
    """

    id: str | int
    line: int
    kind: str
    reason: str
    tries: int


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch brought.

    Attributes:
        answers: Answers by id, in the items' order.
        errors: The other items, in their order.
        calls: Calls that were answered, those of earlier runs included.
        resumed_calls: Those of earlier runs.
        retries: How often an item was asked again.
        extras: Answers to nothing that was asked.
        spent_nusd: What all calls cost of which the cost is known.
        unknown_costs: Calls of which it is not.
        saved_nusd: An estimate of what was saved against one call an item; None where it is unknown.
        asked_twice: Calls of this run that had to be answered anew, since an earlier run had sent them and
            lost the answer; those may have been paid for twice.
    """

    answers: Mapping[str | int, Any]
    errors: tuple[BatchError, ...]
    calls: int
    resumed_calls: int
    retries: int
    extras: int
    spent_nusd: int
    unknown_costs: int
    saved_nusd: int | None
    asked_twice: int

    @property
    def is_complete(self) -> bool:
        """Whether every item has an answer."""
        return not self.errors


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that is ready to run.

    Attributes:
        items: What is to be answered.
        assignment: What is to be done with it.
        destination: Who is asked.
        limits: What bounds a call.
        options: How it is run.
    """

    items: list[Item]
    assignment: Assignment
    destination: Destination
    limits: SizeLimits
    options: BatchOptions


def batch(
    items: Iterable[Mapping[str, Any]],
    instruction: str,
    schema: Mapping[str, Any] | bool,  # noqa: FBT001 - `true` is a JSON schema
    model: str = DEFAULT_MODEL,
    **options: Unpack[BatchOptions],
) -> BatchResult:
    """Answer many items, several in one call, each answer checked against a JSON schema.

    Keys come from the environment: ANTHROPIC_API_KEY or OPENAI_API_KEY, and BURSAR_KEY for a gateway's
    virtual key.

    Args:
        items: JSON objects, each with an `id` of its own and whatever the instruction speaks of.
        instruction: What is to be done with each item.
        schema: What each answer must be.
        model: The model that is asked.
        **options: See `BatchOptions`.

    Returns:
        The answers, and what they cost.

    Raises:
        CallerMistake: An item, the schema or an option is wrong; the message says how to mend it.
        BursarError: The batch could not go on; with a journal, the same call goes on later.
    """
    lines = [_dump(item, number) for number, item in enumerate(items, start=1)]
    found = read_items(lines, "items")
    plan = make_plan(found, instruction, read_schema(schema), model, options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return result_of(asyncio.run(run_plan(plan)))
    raise CallerMistake("an event loop is running here: use `await asyncio.to_thread(bursar.batch, …)`")


def make_plan(
    items: list[Item], instruction: str, schema: JsonSchema, model: str, options: BatchOptions
) -> Plan:
    """Check a batch, and everything that can be known before a first call is paid for.

    Raises:
        CallerMistake: It cannot be run; the message says how to mend it.
    """
    if not items:
        raise CallerMistake(
            "there are no items; give at least one, a JSON object with an id, on a line of its own"
        )
    dialect = options.get("dialect") or _dialect_of(model)
    if dialect not in _KEY_VARIABLES:
        raise BadSetting(f'"{dialect}" is none of {", ".join(_KEY_VARIABLES)}', place="dialect")
    destination = _destination(dialect, options)
    if options.get("via") == "provider" and destination.is_gateway:
        raise BadSetting(
            "the gateway passes no jobs on, since it could not meter them; name the provider by --upstream",
            place="--via provider",
        )
    is_marked = not destination.is_gateway and options.get("via") != "provider"
    assignment = Assignment(instruction, schema, model, dialect, marked=is_marked)
    window = load_windows().find(dialect, model)
    limits = _limits(assignment, window, options.get("size", "auto"))
    _check_lengths(items, assignment, window, limits)
    return Plan(items, assignment, destination, limits, options)


async def run_plan(plan: Plan, watch: Watch | None = None) -> BatchState:
    """Run a batch to its end, or until it is told to stop (`BatchState.is_stopping`).

    Args:
        plan: The batch.
        watch: Told after every change.

    Raises:
        BursarError: It could not go on.
    """
    head = Head(
        FORMAT,
        plan.assignment.fingerprint(plan.items),
        plan.assignment.dialect,
        secrets.token_hex(6),
    )
    path = plan.options.get("journal")
    journal = MemoryJournal(head) if path is None else FileJournal(Path(path), head)
    price = load_price_book().price(plan.assignment.model, time.time())
    try:
        state = BatchState(
            assignment=plan.assignment,
            work=Work(plan.items, Sizing(plan.limits)),
            journal=journal,
            judge=Judge(plan.assignment, plan.items, price),
            asks_unseen=plan.options.get("ask_unseen", False),
        )
        if watch is not None:
            state.watch = watch
            watch(state)
        if plan.options.get("again") and state.work.failed:
            state.write(Reopened())
        await _run(plan, state)
    finally:
        journal.close()
    return state


async def _run(plan: Plan, state: BatchState) -> None:
    connection = Connection(plan.destination)
    options = plan.options
    jobs = JobRunner(
        state,
        job_api(connection),
        load_batch_limits()[plan.assignment.dialect],
        poll_s=options.get("poll_s", DEFAULT_POLL_S),
        now=time.time,
    )
    try:
        if options.get("via") == "provider":
            await jobs.run()
        elif jobs.left:
            raise BadSetting(
                "a job of this batch is still at the provider; go on with --via provider until it is read",
                place="--via",
            )
        else:
            concurrency = options.get("concurrency", DEFAULT_CONCURRENCY)
            await CallRunner(state, connection, concurrency=concurrency).run()
    finally:
        await connection.close()


def result_of(state: BatchState) -> BatchResult:
    """Return what a batch has brought so far."""
    work, tally = state.work, state.tally
    errors = [
        BatchError(work.items[at].id, work.items[at].line, fault.kind.value, fault.reason, work.tries(at))
        for at, fault in sorted(work.failed.items())
    ]
    return BatchResult(
        answers={work.items[at].id: work.answers[at] for at in sorted(work.answers)},
        errors=tuple(errors),
        calls=tally.calls,
        resumed_calls=state.resumed_calls,
        retries=work.retries,
        extras=tally.extras,
        spent_nusd=tally.spent_nusd,
        unknown_costs=tally.unknown_costs,
        saved_nusd=tally.saved_nusd,
        asked_twice=state.asked_twice,
    )


def _dump(item: Mapping[str, Any], number: int) -> bytes:
    try:
        return orjson.dumps(dict(item))
    except (TypeError, ValueError) as error:
        raise BadLine(f"is nothing that JSON can hold: {error}", file="items", line=number) from None


def _dialect_of(model: str) -> str:
    """Return the API that serves a model; a model that nobody knows speaks as OpenAI's do."""
    windows = load_windows()
    return next((each for each in _KEY_VARIABLES if windows.find(each, model)), _OPENAI)


def _destination(dialect: str, options: BatchOptions) -> Destination:
    gateway, upstream = options.get("gateway"), options.get("upstream")
    if gateway and upstream:
        raise BadSetting("a batch goes to a gateway or to an upstream, not to both", place="upstream")
    key = os.environ.get(_KEY_VARIABLES[dialect], "")
    if upstream:
        if not key:
            raise BadSetting("is not set: it is to hold the provider's key", place=_KEY_VARIABLES[dialect])
        return Destination(_checked_url(upstream), dialect, is_gateway=False, provider_key=key)
    base_url = _checked_url(gateway or DEFAULT_GATEWAY).removesuffix("/v1")
    return Destination(
        base_url=base_url if dialect == _ANTHROPIC else f"{base_url}/v1",
        dialect=dialect,
        is_gateway=True,
        provider_key=key,
        own_key=os.environ.get(_OWN_KEY_VARIABLE, ""),
        labels=options.get("labels") or {},
    )


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise BadSetting(f'"{url}" is no URL; write one such as {DEFAULT_GATEWAY}', place="upstream")
    return url.rstrip("/")


def _limits(assignment: Assignment, window: Window | None, size: int | str) -> SizeLimits:
    context = window.context_tokens if window else _UNKNOWN_CONTEXT_TOKENS
    instruction_bytes = len(assignment.instructions.encode())
    reasons = window is not None and window.reasons
    return SizeLimits(
        fixed=_fixed_size(size),
        output_tokens_max=window.output_tokens_max if window else _UNKNOWN_OUTPUT_TOKENS,
        # Half of what is left is for the answer. A token is a byte at least.
        items_bytes_max=max(1, (context - instruction_bytes) // 2),
        reasoning_tokens=_REASONING_TOKENS if reasons else 0,
    )


def _fixed_size(size: int | str) -> int | None:
    if size == "auto":
        return None
    text = str(size)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1_000:
        raise BadSetting(f'"{size}" is neither "auto" nor a number from 1 to 1000', place="size")
    return int(text)


def _check_lengths(
    items: list[Item], assignment: Assignment, window: Window | None, limits: SizeLimits
) -> None:
    """Refuse an item that the model's window cannot hold, before anything is paid for.

    Raises:
        BadLine: There is one.
    """
    long = [item for item in items if len(item.text.encode()) > limits.items_bytes_max]
    if window is None or not long:
        return
    # Only long items are counted: a text of fewer bytes than that fits in any case.
    from bursar.adapters.tokenizer import SplintrTokenizer  # noqa: PLC0415 - it is hardly ever needed

    ratios = load_token_ratios().ratios(assignment.model)
    instruction, *counts = SplintrTokenizer().count([assignment.instructions, *[item.text for item in long]])
    for item, count in zip(long, counts, strict=True):
        tokens = ratios.convert(instruction + count, ContentClass.JSON)
        if tokens > window.context_tokens:
            raise BadLine(
                f"takes about {tokens:,} tokens with the instruction, and {assignment.model} reads "
                f"{window.context_tokens:,} at most; split it, or use a model with a longer window",
                file="ITEMS",
                line=item.line,
            )


async def cancel_jobs(journal: Path, options: BatchOptions) -> list[str]:
    """Ask the provider to end a batch's jobs early; what they have answered by then is kept, and billed.

    Args:
        journal: The batch's journal.
        options: Who is to be asked.

    Returns:
        The provider's ids of the jobs.

    Raises:
        BursarError: The journal cannot be read, or the provider does not do it.
    """
    head, records = read_journal(journal)
    jobs = [job for _, job in open_jobs(records).values() if job]
    connection = Connection(_destination(head.dialect, options))
    api = job_api(connection)
    try:
        for job in jobs:
            await api.cancel(job)
    finally:
        await connection.close()
    return jobs
