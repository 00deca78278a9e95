"""Runs batches: for `bursar batch`, and as `bursar.batch`."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import orjson

from bursar.adapters.batch.destination import Connection
from bursar.adapters.batch.jobs import job_api
from bursar.adapters.batch.journal import FileJournal, MemoryJournal, read_journal
from bursar.adapters.batch_limits import load_batch_limits
from bursar.adapters.price_data import load_price_book
from bursar.domain.json_schema import read_schema
from bursar.drivers.batch.calls import CallRunner
from bursar.drivers.batch.jobs import JobRunner
from bursar.drivers.batch.state import BatchState
from bursar.errors import BadLine, BadSetting, CallerMistake
from bursar.policy.batch.items import read_items
from bursar.policy.batch.judging import Judge
from bursar.policy.batch.records import FORMAT, Head, Reopened, open_jobs
from bursar.policy.batch.sizing import Sizing
from bursar.policy.batch.work import Work
from bursar.wiring.batch_plans import DEFAULT_MODEL, BatchOptions, Plan, destination_of, make_plan

DEFAULT_CONCURRENCY = 4
DEFAULT_POLL_S = 30.0

Watch = Callable[[BatchState], None]


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
    connection = Connection(destination_of(head.dialect, options))
    api = job_api(connection)
    try:
        for job in jobs:
            await api.cancel(job)
    finally:
        await connection.close()
    return jobs


def _dump(item: Mapping[str, Any], number: int) -> bytes:
    try:
        return orjson.dumps(dict(item))
    except (TypeError, ValueError) as error:
        raise BadLine(f"is nothing that JSON can hold: {error}", file="items", line=number) from None
