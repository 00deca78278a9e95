"""The ledger entry of a call that has ended."""

from collections.abc import Mapping

import msgspec

from bursar.domain.ledger import (
    Attempt,
    Component,
    ComponentShare,
    CostBasis,
    Entry,
    Status,
)
from bursar.domain.usage import Usage
from bursar.effects import Aborted, Cut, Ended, Sent, Unreachable, Whole
from bursar.exchange.call import Call
from bursar.exchange.components import share_components
from bursar.exchange.costing import Bill, nothing_billed
from bursar.exchange.planning import Plan
from bursar.exchange.sending import Sending
from bursar.wire.dialect import Answer

# nginx's status for a client that is no longer there to be told.
_CLIENT_LEFT = 499


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """All that is known of a call when it has ended."""

    call: Call
    plan: Plan
    sending: Sending
    answer: Answer | None
    bill: Bill


def write_entry(outcome: Outcome, *, routing_tasks: frozenset[str]) -> Entry:
    """Write a call's ledger entry."""
    call, bill, sending = outcome.call, outcome.bill, outcome.sending
    arrival, last = call.arrival, sending.last
    first = sending.failed[0] if sending.failed else last
    last_status = _status(last, outcome.answer)
    return Entry(
        operation_id=arrival.operation_id,
        at_s=arrival.at_s,
        attribution=call.attribution,
        dialect=arrival.dialect,
        model=call.request.model,
        mode=call.mode,
        stream=call.request.stream,
        status=Status.ABORTED if sending.client_left else last_status,
        http_status=client_status(outcome),
        latency_ms=_milliseconds(last.times.ended_at_s - arrival.at_s),
        overhead_us=max(0, round((first.times.sent_at_s - arrival.at_s) * 1e6)),
        thread=call.place.thread.thread_id,
        turn=call.place.turn,
        attempts=_attempts(outcome, last_status),
        usage=bill.usage,
        components=_components(outcome, routing=call.attribution.task in routing_tasks),
        cost_nusd=bill.cost_nusd,
        cost_max_nusd=bill.most_nusd,
        baseline_nusd=bill.baseline_nusd,
        shares=bill.shares,
        basis=bill.basis,
        faults=outcome.plan.faults,
        would_save=bill.would_save,
    )


def write_unsent(call: Call, status: Status, http_status: int, ended_at_s: float) -> Entry:
    """Write the entry of a call that ended without anything having been sent upstream."""
    arrival = call.arrival
    return Entry(
        operation_id=arrival.operation_id,
        at_s=arrival.at_s,
        attribution=call.attribution,
        dialect=arrival.dialect,
        model=call.request.model,
        mode=call.mode,
        stream=call.request.stream,
        status=status,
        http_status=http_status,
        latency_ms=_milliseconds(ended_at_s - arrival.at_s),
        overhead_us=max(0, round((ended_at_s - arrival.at_s) * 1e6)),
        thread=call.place.thread.thread_id,
        turn=call.place.turn,
        attempts=(),
        usage=Usage(),
        components={},
        cost_nusd=0,
        cost_max_nusd=0,
        baseline_nusd=0,
        shares={},
        basis=CostBasis.MEASURED,
    )


def _attempts(outcome: Outcome, last_status: Status) -> tuple[Attempt, ...]:
    """List the attempts. Those that were retried cost nothing: only such are (`sending.send`)."""
    failed = outcome.sending.failed
    last = _attempt(outcome.call, len(failed) + 1, outcome.sending.last, last_status, outcome.bill)
    if not failed:
        return (last,)
    bill = nothing_billed(outcome.call.request.terms)
    retried = [
        _attempt(outcome.call, number, sent, _status(sent, outcome.answer), bill)
        for number, sent in enumerate(failed, 1)
    ]
    return (*retried, last)


def _attempt(call: Call, number: int, sent: Sent, status: Status, bill: Bill) -> Attempt:
    times = sent.times
    return Attempt(
        attempt_id=f"{call.arrival.operation_id}/{number}",
        model=call.request.model,
        upstream=call.arrival.upstream,
        started_at_s=times.sent_at_s,
        latency_ms=_milliseconds(times.ended_at_s - times.sent_at_s),
        http_status=sent.status if isinstance(sent, Whole) else 200 if _begun(sent) else None,
        status=status,
        usage=bill.usage,
        terms=bill.terms,
        lines=bill.lines,
        basis=bill.basis,
    )


def _begun(sent: Sent) -> bool:
    return isinstance(sent, Ended | Cut) or (isinstance(sent, Aborted) and sent.begun)


def _status(sent: Sent, answer: Answer | None) -> Status:
    match sent:
        case Whole(status=200) if answer is not None and answer.complete:
            return Status.OK
        case Whole() | Unreachable():
            return Status.ERROR
        case Ended():
            return Status.OK if answer is not None and answer.complete else Status.CUT
        case Cut():
            return Status.CUT
        case Aborted():
            return Status.ABORTED


def client_status(outcome: Outcome) -> int:
    """Return the status that the client gets."""
    if outcome.sending.client_left:
        return _CLIENT_LEFT
    answer = outcome.answer
    match outcome.sending.last:
        case Whole(status=200) if answer is not None and answer.complete:
            return 200
        case Whole(status=status) if status >= 400:
            return status
        case Ended() | Cut(streamed=True):
            return 200
        case Aborted():
            return _CLIENT_LEFT
        case _:
            return 502


def _components(outcome: Outcome, *, routing: bool) -> Mapping[Component, ComponentShare]:
    bill = outcome.bill
    if bill.usage is None:
        return {}
    lines = None if bill.basis is CostBasis.UNKNOWN else bill.lines
    return share_components(outcome.plan.layout, bill.usage, lines, routing=routing)


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
