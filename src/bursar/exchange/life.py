"""A call's life, from arrival to reply."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.ledger import Entry
from bursar.effects import Aborted, Count, Cut, Effect, Ended, Record, Reply, Unreachable, Whole
from bursar.errors import BadRequest, UnpricedModel
from bursar.exchange.answering import answer_kept, find_answer, keep_and_share, takes_part
from bursar.exchange.arrival import Arrival, asks_mode, attribute, chosen_mode, is_held_out
from bursar.exchange.bills import Bill, nothing_billed, unknown_cost
from bursar.exchange.call import Call
from bursar.exchange.costing import bill_estimated, bill_reported
from bursar.exchange.engine import Engine
from bursar.exchange.entries import settle, write_entry, write_left, write_left_summarising
from bursar.exchange.headers import for_client
from bursar.exchange.planning import Plan, make_plan, response_began
from bursar.exchange.replies import fault_reply, own_headers, refusal, reply_to
from bursar.exchange.sending import Dispatch, Sending, send
from bursar.exchange.versions import finish_reading
from bursar.policy.response_cache import CacheUse
from bursar.wire.dialect import Answer, Dialect, Fault
from bursar.wire.dialects import DIALECTS

Life = Generator[Effect, Any, Reply]

_LEFT = Fault(499, "api_error", "the client closed the connection")


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
    own = own_headers(call)
    finding, faults = (yield from find_answer(engine, call)) if shared else (None, ())
    cache = CacheUse.OFF
    if finding is not None:
        if finding.left:
            yield Record(write_left(call))
            return refusal(dialect, arrival, _LEFT)
        if finding.told is not None:
            return (yield from answer_kept(engine, call, finding, finding.told, own))
        cache = finding.use
        own["x-bursar-cache"] = cache.value
    plan = yield from make_plan(engine, call)
    summary = plan.summary
    if summary is not None and isinstance(summary.sent, Aborted):
        yield Record(write_left_summarising(call, plan, summary), cache)
        return refusal(dialect, arrival, _LEFT)
    if plan.max_tokens is not None:
        own["x-bursar-max-tokens"] = str(plan.max_tokens)
    dispatch = Dispatch(
        plan.body,
        lambda at_s: response_began(engine, plan, at_s),
        own,
        call.policy.response_cache.answer_bytes_max if finding is not None else 0,
        at_s=summary.sent.times.ended_at_s if summary is not None else None,
    )
    sending = yield from send(call, engine.options.upstreams[arrival.upstream], dispatch)
    try:
        answer = _answer(call, sending)
        bill = yield from _bill(engine, call, plan, sending, answer)
        outcome = settle(call, plan, sending, answer, bill)
        entry = write_entry(outcome, routing_tasks=engine.options.routing_tasks)
        reply = reply_to(outcome, own)
    except Exception:  # noqa: BLE001 - What was sent is recorded and passed on, whatever we make of it.
        entry, reply = _unsettled(call, plan, sending)
    else:
        if finding is not None:
            faults += yield from keep_and_share(call, finding.key, sending, answer)
    if faults:
        entry = msgspec.structs.replace(entry, faults=(*entry.faults, *faults))
    yield Record(entry, cache)
    return reply


def _unsettled(call: Call, plan: Plan, sending: Sending) -> tuple[Entry, Reply]:
    """Record a call that we could not settle, at unknown cost, and pass on what came back."""
    outcome = settle(call, plan, sending, None, unknown_cost(None, call.request.terms))
    entry = write_entry(outcome, routing_tasks=frozenset())
    entry = msgspec.structs.replace(entry, faults=(*entry.faults, "settle"))
    last, own = sending.last, own_headers(call)
    if isinstance(last, Whole):
        return entry, Reply(last.status, {**for_client(last.headers), **own}, last.body)
    if isinstance(last, Ended) and sending.meter is not None:
        return entry, Reply(200, own, sending.meter.rest())
    return entry, fault_reply(outcome, own, 502, "the provider's answer did not arrive whole")


def _read(engine: Engine, arrival: Arrival, dialect: Dialect) -> Generator[Effect, Any, Call]:
    """Read and attribute a call, and find its thread.

    Raises:
        BadRequest: Its body or its headers are wrong.
        UnpricedModel: No price is known for its model, and that is not admitted.
    """
    options = engine.options
    mode = chosen_mode(arrival.headers, options.mode)
    request = yield from finish_reading(dialect.read(arrival.body, engine.memo))
    attribution = attribute(arrival.headers, request.user)
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
