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
    Technique,
)
from bursar.domain.usage import Usage
from bursar.effects import Aborted, Cut, Ended, Sent, Unreachable, Whole
from bursar.exchange.bills import Bill, nothing_billed, with_own_attempt
from bursar.exchange.call import Call
from bursar.exchange.components import share_components
from bursar.exchange.planning import Plan
from bursar.exchange.sending import Sending
from bursar.exchange.summarising import Summarised
from bursar.wire.dialect import Answer

# nginx's status for a client that is no longer there to be told.
_CLIENT_LEFT = 499


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """All that is known of a call when it has ended.

    Attributes:
        call: The call.
        plan: Its plan.
        sending: How sending it went.
        answer: What its last attempt answered.
        bill: What that cost. The attempts before it cost nothing.
        total: What the call cost, with what Bursar asked for on its own account.
    """

    call: Call
    plan: Plan
    sending: Sending
    answer: Answer | None
    bill: Bill
    total: Bill


def settle(call: Call, plan: Plan, sending: Sending, answer: Answer | None, bill: Bill) -> Outcome:
    """Put together what is known of a call.

    Args:
        call: The call.
        plan: Its plan.
        sending: How sending it went.
        answer: What its last attempt answered.
        bill: What that cost.
    """
    return Outcome(call, plan, sending, answer, bill, add_summary(bill, plan.summary))


def add_summary(bill: Bill, summary: Summarised | None) -> Bill:
    """Add to a call's bill what a summary cost, if one was asked for."""
    return bill if summary is None else with_own_attempt(bill, summary.bill, Technique.HISTORY)


def write_entry(outcome: Outcome, *, routing_tasks: frozenset[str]) -> Entry:
    """Write a call's ledger entry."""
    call, total, sending = outcome.call, outcome.total, outcome.sending
    arrival, last, summary = call.arrival, sending.last, outcome.plan.summary
    first = summary.sent if summary is not None else sending.failed[0] if sending.failed else last
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
        overhead_us=_microseconds(first.times.sent_at_s - arrival.at_s),
        thread=call.place.thread.thread_id,
        turn=call.place.turn,
        attempts=_attempts(outcome, last_status),
        usage=total.usage,
        components=_components(outcome, routing=call.attribution.task in routing_tasks),
        cost_nusd=total.cost_nusd,
        cost_max_nusd=total.most_nusd,
        baseline_nusd=total.baseline_nusd,
        shares=total.shares,
        basis=total.basis,
        faults=outcome.plan.faults,
        would_save=total.would_save,
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
        overhead_us=_microseconds(ended_at_s - arrival.at_s),
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


def write_left(call: Call) -> Entry:
    """Write the entry of a call whose client left before anything was sent."""
    return write_unsent(call, Status.ABORTED, _CLIENT_LEFT, call.arrival.at_s)


def with_summary(entry: Entry, call: Call, summary: Summarised, total: Bill) -> Entry:
    """Add a summary, which may have cost, to the entry of a call that was not sent itself.

    Args:
        entry: The entry.
        call: The call.
        summary: The summary.
        total: What the call cost with it.
    """
    return msgspec.structs.replace(
        entry,
        latency_ms=_milliseconds(summary.sent.times.ended_at_s - call.arrival.at_s),
        overhead_us=_microseconds(summary.sent.times.sent_at_s - call.arrival.at_s),
        attempts=(_summary_attempt(call, summary),),
        usage=total.usage,
        components=_with_routing({}, total, summary),
        cost_nusd=total.cost_nusd,
        cost_max_nusd=total.most_nusd,
        baseline_nusd=total.baseline_nusd,
        shares=total.shares,
        basis=total.basis,
    )


def _attempts(outcome: Outcome, last_status: Status) -> tuple[Attempt, ...]:
    """List the attempts. Those that were retried cost nothing: only such are (`sending.send`)."""
    call, failed, summary = outcome.call, outcome.sending.failed, outcome.plan.summary
    own = () if summary is None else (_summary_attempt(call, summary),)
    number = len(own) + len(failed) + 1
    last = _attempt(call, number, outcome.sending.last, last_status, outcome.bill)
    if not failed:
        return (*own, last)
    bill = nothing_billed(call.request.terms)
    retried = [
        _attempt(call, number, sent, _status(sent, outcome.answer), bill)
        for number, sent in enumerate(failed, len(own) + 1)
    ]
    return (*own, *retried, last)


def _summary_attempt(call: Call, summary: Summarised) -> Attempt:
    attempt = _attempt(call, 1, summary.sent, _status(summary.sent, summary.answer), summary.bill)
    return msgspec.structs.replace(attempt, model=summary.model)


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
    bill, total, summary = outcome.bill, outcome.total, outcome.plan.summary
    if total.usage is None:
        return {}
    # Where the cost of one attempt is unknown, no part of the call's is known.
    lines = None if total.basis is CostBasis.UNKNOWN else bill.lines
    shared: Mapping[Component, ComponentShare] = {}
    if bill.usage is not None:
        shared = share_components(outcome.plan.layout, bill.usage, lines, routing=routing)
    return shared if summary is None else _with_routing(shared, total, summary)


def _with_routing(
    shared: Mapping[Component, ComponentShare], total: Bill, summary: Summarised
) -> Mapping[Component, ComponentShare]:
    """Add what a summary took to the component of calls that Bursar makes on its own account."""
    usage, known = summary.bill.usage, shared.get(Component.ROUTING)
    if usage is None or total.usage is None:
        return shared
    tokens = dict(known.tokens) if known is not None else {}
    for name, count in usage.tokens().items():
        tokens[name] = tokens.get(name, 0) + count
    cost_nusd = None
    if total.cost_nusd is not None and summary.bill.cost_nusd is not None:
        cost_nusd = summary.bill.cost_nusd + ((known.cost_nusd or 0) if known is not None else 0)
    return {**shared, Component.ROUTING: ComponentShare(tokens, cost_nusd)}


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000))
