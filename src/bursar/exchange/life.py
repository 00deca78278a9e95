"""A call's life, from arrival to reply."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.ledger import Entry, Status
from bursar.domain.scopes import scopes_of
from bursar.effects import Aborted, Count, Cut, Effect, Ended, Record, Reply, Unreachable, Whole
from bursar.errors import BadRequest, NotPermitted, UnpricedModel
from bursar.exchange.answering import Finding, answer_kept, find_answer, keep_and_share, takes_part
from bursar.exchange.arrival import Arrival, asks_mode, attribute, chosen_mode, is_held_out
from bursar.exchange.bills import Bill, nothing_billed, unknown_cost
from bursar.exchange.call import Call
from bursar.exchange.costing import bill_estimated, bill_reported
from bursar.exchange.covering import cover_plan
from bursar.exchange.engine import Engine
from bursar.exchange.entries import (
    Outcome,
    add_summary,
    settle,
    with_summary,
    write_entry,
    write_left,
    write_unsent,
)
from bursar.exchange.headers import for_client
from bursar.exchange.holding import LEFT, Hold
from bursar.exchange.loops import LOOP, Verdict, judge_call
from bursar.exchange.planning import Plan, make_plan, response_began
from bursar.exchange.replies import fault_reply, left_headers, own_headers, refusal, refuse, reply_to
from bursar.exchange.sending import Dispatch, Sending, send
from bursar.exchange.versions import finish_reading
from bursar.policy.budgets.refusals import Refusal, refuse_stopped
from bursar.policy.budgets.stops import stopped
from bursar.policy.keys.rights import check_use
from bursar.policy.response_cache import CacheUse
from bursar.wire.dialect import Answer, Dialect, Fault
from bursar.wire.dialects import DIALECTS

Life = Generator[Effect, Any, Reply]


def live(engine: Engine, arrival: Arrival) -> Life:
    """Live one call.

    Yields:
        Effects, to be resumed with their results.

    Returns:
        What the client gets. For a stream that has begun, what it is still to get.
    """
    dialect = DIALECTS[arrival.dialect]
    try:
        call = yield from _read(engine, arrival, dialect)
        shared = takes_part(call)
    except (BadRequest, UnpricedModel) as error:
        return refusal(dialect, arrival, Fault(400, "invalid_request_error", str(error)))
    except NotPermitted as error:
        return refusal(dialect, arrival, Fault(403, "permission_error", str(error)))
    scopes = scopes_of(call.attribution, call.attribution.key) if engine.stops else ()
    halted = stopped(scopes, engine.stops)
    verdict = judge_call(engine, call) if halted is None else Verdict(refuse_stopped(halted))
    if verdict.refusal is not None:
        entry = write_unsent(call, Status.REFUSED, verdict.refusal.status, arrival.at_s)
        yield Record(msgspec.structs.replace(entry, faults=verdict.faults) if verdict.faults else entry)
        return refuse(dialect, arrival, verdict.refusal)
    own = own_headers(call)
    if LOOP in verdict.faults:
        own["x-bursar-warning"] = LOOP
    finding, faults = (yield from find_answer(engine, call)) if shared else (None, ())
    faults += verdict.faults
    if finding is None:
        return (yield from _make(engine, call, None, own, faults))
    if finding.left:
        yield Record(write_left(call))
        return refusal(dialect, arrival, LEFT)
    if finding.told is not None:
        return (yield from answer_kept(engine, call, finding, finding.told, own))
    own["x-bursar-cache"] = finding.use.value
    return (yield from _make(engine, call, finding, own, faults))


def _make(
    engine: Engine, call: Call, finding: Finding | None, own: dict[str, str], faults: tuple[str, ...]
) -> Life:
    """Make a call to which nothing kept is the answer.

    Args:
        engine: What is known.
        call: The call.
        finding: Where its answer is to be kept, if it is.
        own: Our own headers for the client, as far as they are known.
        faults: What has failed so far.
    """
    cache = CacheUse.OFF if finding is None else finding.use
    hold = Hold(engine, call)
    plan = yield from make_plan(engine, call, hold)
    summary = plan.summary
    has_left = summary is not None and isinstance(summary.sent, Aborted)
    why = LEFT if has_left else (yield from cover_plan(engine, call, plan, hold))
    if why is not None:
        return (yield from _end_unsent(call, hold, plan, cache, why))
    if plan.max_tokens is not None:
        own["x-bursar-max-tokens"] = str(plan.max_tokens)
    dispatch = Dispatch(
        plan.body,
        lambda at_s: response_began(engine, plan, at_s),
        own,
        call.policy.response_cache.answer_bytes_max if finding is not None else 0,
        at_s=summary.sent.times.ended_at_s if summary is not None else None,
    )
    sending = yield from send(call, engine.options.upstreams[call.arrival.upstream], dispatch)
    try:
        answer = _answer(call, sending)
        bill = yield from _bill(engine, call, plan, sending, answer)
        outcome = settle(call, plan, sending, answer, bill)
        entry = write_entry(outcome, routing_tasks=engine.options.routing_tasks)
        own.update(left_headers(hold.left_after(outcome.total)))
        reply = reply_to(outcome, own)
    except Exception:  # noqa: BLE001 - What was sent is recorded and passed on, whatever we make of it.
        outcome, entry, reply = _unsettled(call, plan, sending)
    else:
        if finding is not None:
            faults += yield from keep_and_share(call, finding.key, sending, answer)
    if faults:
        entry = msgspec.structs.replace(entry, faults=(*entry.faults, *faults))
    entry = hold.bound(entry)
    if decisions := hold.decisions:
        entry = msgspec.structs.replace(entry, decisions=decisions)
    recorded: bool = yield Record(entry, cache)
    yield from hold.settle(outcome.total, answered=entry.status is Status.OK, recorded=recorded)
    return reply


def _end_unsent(
    call: Call, hold: Hold, plan: Plan, cache: CacheUse, why: Fault | Refusal
) -> Generator[Effect, Any, Reply]:
    """End a call whose client left, or that a budget refuses, before it is sent; a summary may have been."""
    arrival, dialect, summary = call.arrival, call.dialect, plan.summary
    status = Status.ABORTED if isinstance(why, Fault) else Status.REFUSED
    entry = write_unsent(call, status, why.status, arrival.at_s)
    total = nothing_billed(call.request.terms)
    if summary is not None:
        total = add_summary(total, summary)
        entry = with_summary(entry, call, summary, total)
        entry = msgspec.structs.replace(entry, faults=plan.faults)
    recorded: bool = yield Record(hold.bound(entry), cache)
    yield from hold.settle(total, answered=False, recorded=recorded)
    return refusal(dialect, arrival, why) if isinstance(why, Fault) else refuse(dialect, arrival, why)


def _unsettled(call: Call, plan: Plan, sending: Sending) -> tuple[Outcome, Entry, Reply]:
    """Record a call that we could not settle, at unknown cost, and pass on what came back."""
    outcome = settle(call, plan, sending, None, unknown_cost(None, call.request.terms))
    entry = write_entry(outcome, routing_tasks=frozenset())
    entry = msgspec.structs.replace(entry, faults=(*entry.faults, "settle"))
    last, own = sending.last, own_headers(call)
    if isinstance(last, Whole):
        return outcome, entry, Reply(last.status, {**for_client(last.headers), **own}, last.body)
    if isinstance(last, Ended) and sending.meter is not None:
        return outcome, entry, Reply(200, own, sending.meter.rest())
    return outcome, entry, fault_reply(outcome, own, 502, "the provider's answer did not arrive whole")


def _read(engine: Engine, arrival: Arrival, dialect: Dialect) -> Generator[Effect, Any, Call]:
    """Read and attribute a call, and find its thread.

    Raises:
        BadRequest: Its body or its headers are wrong.
        NotPermitted: Its key does not allow it.
        UnpricedModel: No price is known for its model, and that is not admitted.
    """
    options = engine.options
    mode = chosen_mode(arrival.headers, options.mode)
    request = yield from finish_reading(dialect.read(arrival.body, engine.memo))
    grant = arrival.grant
    attribution = attribute(arrival.headers, request.user, "" if grant is None else grant.key_id)
    if grant is not None and grant.is_restricted:
        check_use(grant.rights, request.model, attribution.task)
    price = engine.prices.price(request.model, arrival.at_s)
    if price is None and not options.admit_unpriced:
        raise UnpricedModel(request.model)
    place = engine.threads.join(
        attribution, request.prompt.messages, operation_id=arrival.operation_id, at_s=arrival.at_s
    )
    attribution = attribution.in_conversation(place.thread.conversation)
    if options.holdout_per_mille and mode == "optimise" and not asks_mode(arrival.headers):
        mode = "holdout" if is_held_out(attribution, options.holdout_per_mille) else mode
    policy = options.policies.for_agent(attribution.tenant, attribution.agent)
    return Call(arrival, dialect, request, attribution, mode, policy, price, place)


def _answer(call: Call, sending: Sending) -> Answer | None:
    """Return what the last attempt answered; None where nothing arrived that would be billed."""
    last = sending.last
    if isinstance(last, Whole):
        return call.dialect.answer(last.body, call.request) if last.status == 200 else None
    if sending.meter is not None and isinstance(last, Ended | Cut | Aborted):
        return sending.meter.answer()
    return None


def _bill(
    engine: Engine, call: Call, plan: Plan, sending: Sending, answer: Answer | None
) -> Generator[Effect, Any, Bill]:
    """Work out what the last attempt cost, and learn from what was reported."""
    last = sending.last
    refused = isinstance(last, Whole) and last.status != 200
    unsent = isinstance(last, Unreachable) and not last.sent
    if refused or unsent:
        return nothing_billed(call.request.terms)
    if answer is not None and answer.complete and answer.usage is not None:
        engine.calibration.learn(
            call.arrival.upstream,
            call.request.model,
            estimated_tokens=plan.layout.total_tokens,
            reported_tokens=answer.usage.prompt_tokens,
        )
        engine.threads.answered(call.place, answer.echo)
        return bill_reported(call, plan, answer.usage, answer.terms or call.request.terms)
    received = answer.received if answer is not None else ""
    tokens: list[int] = (yield Count([received])) if received else [0]
    if answer is not None and answer.complete:
        engine.threads.answered(call.place, answer.echo)
    return bill_estimated(engine, call, plan, answer, tokens[0])
