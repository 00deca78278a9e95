"""A call's life, from arrival to reply."""

from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from bursar.domain.ledger import Entry
from bursar.domain.money import usd_text
from bursar.effects import Aborted, Count, Cut, Effect, Ended, Record, Reply, Unreachable, Whole
from bursar.errors import BadRequest, UnpricedModel
from bursar.exchange.arrival import Arrival, asks_mode, attribute, chosen_mode, is_held_out
from bursar.exchange.call import Call
from bursar.exchange.costing import Bill, bill_estimated, bill_reported, nothing_billed, unknown_cost
from bursar.exchange.engine import Engine
from bursar.exchange.entries import Outcome, client_status, write_entry
from bursar.exchange.headers import for_client, header_text
from bursar.exchange.planning import Plan, make_plan, response_began
from bursar.exchange.sending import Sending, send
from bursar.wire.dialect import Answer, Dialect, Fault
from bursar.wire.dialects import DIALECTS

Life = Generator[Effect, Any, Reply]

_JSON = {"content-type": "application/json"}


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
    except (BadRequest, UnpricedModel) as error:
        return _refusal(dialect, arrival, Fault(400, "invalid_request_error", str(error)))
    plan = yield from make_plan(engine, call)
    own = _own_headers(call)
    if plan.max_tokens is not None:
        own["x-bursar-max-tokens"] = str(plan.max_tokens)
    sending = yield from send(
        call,
        engine.options.upstreams[arrival.upstream],
        plan.body,
        lambda at_s: response_began(engine, plan, at_s),
        own,
    )
    try:
        answer = _answer(call, sending)
        bill = yield from _bill(engine, call, plan, sending, answer)
        outcome = Outcome(call, plan, sending, answer, bill)
        entry = write_entry(outcome, routing_tasks=engine.options.routing_tasks)
        reply = _reply(outcome, own)
    except Exception:  # noqa: BLE001 - What was sent is recorded and passed on, whatever we make of it.
        entry, reply = _unsettled(call, plan, sending)
    yield Record(entry)
    return reply


def _unsettled(call: Call, plan: Plan, sending: Sending) -> tuple[Entry, Reply]:
    """Record a call that we could not settle, at unknown cost, and pass on what came back."""
    outcome = Outcome(call, plan, sending, None, unknown_cost(None, call.request.terms))
    entry = write_entry(outcome, routing_tasks=frozenset())
    entry = msgspec.structs.replace(entry, faults=(*entry.faults, "settle"))
    last, own = sending.last, _own_headers(call)
    if isinstance(last, Whole):
        return entry, Reply(last.status, {**for_client(last.headers), **own}, last.body)
    if isinstance(last, Ended) and sending.meter is not None:
        return entry, Reply(200, own, sending.meter.rest())
    return entry, _fault(outcome, own, 502, "the provider's answer did not arrive whole")


def _read(engine: Engine, arrival: Arrival, dialect: Dialect) -> Generator[Effect, Any, Call]:
    """Read and attribute a call, and find its thread.

    Raises:
        BadRequest: Its body or its headers are wrong.
        UnpricedModel: No price is known for its model, and that is not admitted.
    """
    options = engine.options
    mode = chosen_mode(arrival.headers, options.mode)
    reading = dialect.read(arrival.body, engine.memo)
    counts: list[int] = (yield Count(reading.texts)) if reading.texts else []
    request = reading.finish(counts)
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


def _own_headers(call: Call) -> dict[str, str]:
    """Return Bursar's own response headers that are known before the answer is."""
    return {
        "x-bursar-operation-id": call.arrival.operation_id,
        "x-bursar-model": header_text(call.request.model),
        "x-bursar-cache": "off",
    }


def _reply(outcome: Outcome, known: Mapping[str, str]) -> Reply:
    """Write what the client gets; `known` are our own headers that were known before the answer was."""
    call, sending, answer = outcome.call, outcome.sending, outcome.answer
    last = sending.last
    own = {**known, **_amounts(outcome)}
    status = client_status(outcome)
    if sending.client_left or isinstance(last, Aborted):
        return _fault(outcome, own, status, "the client closed the connection")
    match last:
        case Whole(status=200) if answer is not None and answer.complete:
            return Reply(200, {**for_client(last.headers), **own}, last.body)
        case Whole(status=200):
            return _fault(outcome, own, status, "the provider's answer cannot be read")
        case Whole() if not _is_error_in_json(last):
            passed = {k: v for k, v in last.headers.items() if k.lower() in {"retry-after", "request-id"}}
            text = f"the provider answered {last.status}, not in JSON"
            return _fault(outcome, {**passed, **own}, status, text)
        case Whole():
            return Reply(status, {**for_client(last.headers), **own}, last.body)
        case Ended() if sending.meter is not None:
            return Reply(200, own, _comment(outcome, own) + sending.meter.rest())
        case Cut(streamed=True) if sending.meter is not None:
            fault = Fault(502, "api_error", "the provider broke its answer off")
            error = call.dialect.error_event(fault, call.arrival.operation_id)
            return Reply(200, own, sending.meter.rest() + _comment(outcome, own) + error)
        case Unreachable():
            return _fault(outcome, own, status, last.reason)
        case _:
            return _fault(outcome, own, status, "the provider broke its answer off")


def _is_error_in_json(whole: Whole) -> bool:
    """Whether an answer can be passed on as the error that it says it is."""
    content_type = whole.headers.get("content-type", "")
    return whole.status >= 400 and bool(whole.body) and content_type.startswith("application/json")


def _amounts(outcome: Outcome) -> dict[str, str]:
    """Return cost and saving as headers; what is unknown is left out."""
    bill = outcome.bill
    if bill.cost_nusd is None:
        return {}
    headers = {"x-bursar-cost-usd": usd_text(bill.cost_nusd)}
    if bill.baseline_nusd is not None:
        headers["x-bursar-saved-usd"] = usd_text(bill.baseline_nusd - bill.cost_nusd)
    return headers


def _comment(outcome: Outcome, own: Mapping[str, str]) -> bytes:
    """Write what a stream's headers could not say yet, as a comment that clients skip."""
    said = {name.removeprefix("x-bursar-").replace("-", "_"): value for name, value in own.items()}
    said["basis"] = outcome.bill.basis.value
    return b": bursar " + msgspec.json.encode(said) + b"\n\n"


def _fault(outcome: Outcome, headers: Mapping[str, str], status: int, message: str) -> Reply:
    call = outcome.call
    fault = Fault(status, "api_error", message)
    body = call.dialect.error(fault, call.arrival.operation_id)
    return Reply(status, {**headers, **_JSON}, body)


def _refusal(dialect: Dialect, arrival: Arrival, fault: Fault) -> Reply:
    headers = {**_JSON, "x-bursar-operation-id": arrival.operation_id}
    return Reply(fault.status, headers, dialect.error(fault, arrival.operation_id))
