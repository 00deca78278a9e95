"""The ledger entry of a call that has ended."""

from collections.abc import Mapping, Sequence

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


class Tried(msgspec.Struct, frozen=True, gc=False):
    """One way in which a call was made: to one model, its retries included.

    Attributes:
        call: The call, as it went there.
        plan: Its plan.
        sending: How sending it went.
        answer: What its last attempt answered.
        bill: What that cost. The attempts before it cost nothing.
        is_settled: Whether that could be worked out; where not, what came back is passed on unread.
    """

    call: Call
    plan: Plan
    sending: Sending
    answer: Answer | None
    bill: Bill
    is_settled: bool = True

    @property
    def has_left(self) -> bool:
        """Whether its client left on the way."""
        return self.sending.client_left or isinstance(self.sending.last, Aborted)

    @property
    def is_answered(self) -> bool:
        """Whether it brought a whole answer."""
        last = self.sending.last
        return (
            self.answer is not None
            and self.answer.complete
            and not (isinstance(last, Whole) and last.status != 200)
        )


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """All that is known of a call when it has ended.

    Attributes:
        tried: The way whose answer the client gets.
        total: What the call cost, with what Bursar asked for on its own account.
        ways: All ways that were tried, in order.
    """

    tried: Tried
    total: Bill
    ways: tuple[Tried, ...]

    @property
    def call(self) -> Call:
        """The call, as it went where the client's answer comes from."""
        return self.tried.call

    @property
    def sending(self) -> Sending:
        """How sending it went."""
        return self.tried.sending

    @property
    def answer(self) -> Answer | None:
        """What its last attempt answered."""
        return self.tried.answer

    @property
    def others(self) -> list[Tried]:
        """The other ways that were tried, before it or after."""
        return [way for way in self.ways if way is not self.tried]


def settle(tried: Tried, ways: tuple[Tried, ...]) -> Outcome:
    """Put together what is known of a call.

    What the other ways cost comes off what routing saves: without it, the call would have had one.

    Args:
        tried: The way whose answer the client gets.
        ways: All ways that were tried, in order; it is one of them.
    """
    total = add_summary(tried.bill, tried.plan.summary)
    outcome = Outcome(tried, total, ways)
    if len(ways) == 1:
        return outcome
    for other in outcome.others:
        if other.bill.cost_nusd != 0:
            total = with_own_attempt(total, other.bill, Technique.ROUTING)
        total = add_summary(total, other.plan.summary)
    return msgspec.structs.replace(outcome, total=total)


def add_summary(bill: Bill, summary: Summarised | None) -> Bill:
    """Add to a call's bill what a summary cost, if one was asked for."""
    return bill if summary is None else with_own_attempt(bill, summary.bill, Technique.HISTORY)


def write_entry(outcome: Outcome, *, routing_tasks: frozenset[str]) -> Entry:
    """Write a call's ledger entry."""
    call, total, sending, ways = outcome.call, outcome.total, outcome.sending, outcome.ways
    arrival, last = call.arrival, sending.last
    return Entry(
        operation_id=arrival.operation_id,
        at_s=arrival.at_s,
        attribution=call.attribution,
        dialect=arrival.dialect,
        model=call.request.model,
        mode=call.mode,
        stream=call.request.stream,
        status=Status.ABORTED if sending.client_left else _status(last, outcome.answer),
        http_status=client_status(outcome),
        latency_ms=_milliseconds(ways[-1].sending.last.times.ended_at_s - arrival.at_s),
        overhead_us=_microseconds(_first_sent(ways[0]).times.sent_at_s - arrival.at_s),
        thread=call.place.thread.thread_id,
        turn=call.place.turn,
        attempts=_attempts(ways),
        usage=total.usage,
        components=_components(outcome, routing=call.attribution.task in routing_tasks),
        cost_nusd=total.cost_nusd,
        cost_max_nusd=total.most_nusd,
        baseline_nusd=total.baseline_nusd,
        shares=total.shares,
        basis=total.basis,
        faults=outcome.tried.plan.faults,
        would_save=total.would_save,
    )


def _first_sent(tried: Tried) -> Sent:
    summary, sending = tried.plan.summary, tried.sending
    if summary is not None:
        return summary.sent
    return sending.failed[0] if sending.failed else sending.last


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
        attempts=(_summary_attempt(call, 1, summary),),
        usage=total.usage,
        components=_with_routing({}, total, (summary.bill,)),
        cost_nusd=total.cost_nusd,
        cost_max_nusd=total.most_nusd,
        baseline_nusd=total.baseline_nusd,
        shares=total.shares,
        basis=total.basis,
    )


def _attempts(ways: tuple[Tried, ...]) -> tuple[Attempt, ...]:
    """List the attempts. Those that were retried cost nothing: only such are (`sending.send`)."""
    attempts: list[Attempt] = []
    for tried in ways:
        call, sending, answer, summary = tried.call, tried.sending, tried.answer, tried.plan.summary
        if summary is not None:
            attempts.append(_summary_attempt(call, len(attempts) + 1, summary))
        for sent in sending.failed:
            bill = nothing_billed(call.request.terms)
            attempts.append(_attempt(call, len(attempts) + 1, sent, _status(sent, answer), bill))
        last = sending.last
        attempts.append(_attempt(call, len(attempts) + 1, last, _status(last, answer), tried.bill))
    return tuple(attempts)


def _summary_attempt(call: Call, number: int, summary: Summarised) -> Attempt:
    attempt = _attempt(call, number, summary.sent, _status(summary.sent, summary.answer), summary.bill)
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
    tried, total = outcome.tried, outcome.total
    if total.usage is None:
        return {}
    # Where the cost of one attempt is unknown, no part of the call's is known.
    lines = None if total.basis is CostBasis.UNKNOWN else tried.bill.lines
    shared: Mapping[Component, ComponentShare] = {}
    if tried.bill.usage is not None:
        shared = share_components(tried.plan.layout, tried.bill.usage, lines, routing=routing)
    own = [way.plan.summary.bill for way in outcome.ways if way.plan.summary is not None]
    own += [other.bill for other in outcome.others]
    return _with_routing(shared, total, own) if own else shared


def _with_routing(
    shared: Mapping[Component, ComponentShare], total: Bill, own: Sequence[Bill]
) -> Mapping[Component, ComponentShare]:
    """Add what attempts took that Bursar made on its own account: they are the component `routing`."""
    for bill in own:
        usage, known = bill.usage, shared.get(Component.ROUTING)
        if usage is None or total.usage is None:
            continue
        tokens = dict(known.tokens) if known is not None else {}
        for name, count in usage.tokens().items():
            tokens[name] = tokens.get(name, 0) + count
        cost_nusd = None
        if total.cost_nusd is not None and bill.cost_nusd is not None:
            cost_nusd = bill.cost_nusd + ((known.cost_nusd or 0) if known is not None else 0)
        shared = {**shared, Component.ROUTING: ComponentShare(tokens, cost_nusd)}
    return shared


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000))
