"""What the client gets: headers, bodies, comments on streams, and refusals in its dialect."""

from collections.abc import Mapping

import msgspec

from bursar.domain.ledger import CostBasis
from bursar.domain.money import usd_text
from bursar.effects import Aborted, Cut, Ended, Reply, Unreachable, Whole
from bursar.exchange.arrival import Arrival
from bursar.exchange.call import Call
from bursar.exchange.entries import Outcome, client_status
from bursar.exchange.headers import for_client, header_text
from bursar.policy.budgets.refusals import Refusal
from bursar.wire.dialect import Dialect, Fault

_JSON = {"content-type": "application/json"}
_NO_RETRY = {"x-should-retry": "false"}


def own_headers(call: Call) -> dict[str, str]:
    """Return Bursar's own response headers that are known before the answer is."""
    return {
        "x-bursar-operation-id": call.arrival.operation_id,
        "x-bursar-model": header_text(call.request.model),
        "x-bursar-cache": "off",
    }


def reply_to(outcome: Outcome, known: Mapping[str, str]) -> Reply:
    """Write what the client gets; `known` are our own headers that were known before the answer was."""
    call, sending, answer = outcome.call, outcome.sending, outcome.answer
    last = sending.last
    own = {**known, **amounts(outcome.total.cost_nusd, outcome.total.baseline_nusd)}
    status = client_status(outcome)
    if sending.client_left or isinstance(last, Aborted):
        return fault_reply(outcome, own, status, "the client closed the connection")
    match last:
        case Whole(status=200) if answer is not None and answer.complete:
            return Reply(200, {**for_client(last.headers), **own}, last.body)
        case Whole(status=200):
            return fault_reply(outcome, own, status, "the provider's answer cannot be read")
        case Whole() if not _is_error_in_json(last):
            passed = {k: v for k, v in last.headers.items() if k.lower() in {"retry-after", "request-id"}}
            text = f"the provider answered {last.status}, not in JSON"
            return fault_reply(outcome, {**passed, **own}, status, text)
        case Whole():
            return Reply(status, {**for_client(last.headers), **own}, last.body)
        case Ended() if sending.meter is not None:
            # Where the stream was held back, its head has not gone out either.
            body = comment(own, outcome.total.basis) + sending.meter.rest()
            return Reply(200, {"content-type": "text/event-stream; charset=utf-8", **own}, body)
        case Cut(streamed=True) if sending.meter is not None:
            fault = Fault(502, "api_error", "the provider broke its answer off")
            error = call.dialect.error_event(fault, call.arrival.operation_id)
            return Reply(200, own, sending.meter.rest() + comment(own, outcome.total.basis) + error)
        case Unreachable():
            return fault_reply(outcome, own, status, last.reason)
        case _:
            return fault_reply(outcome, own, status, "the provider broke its answer off")


def _is_error_in_json(whole: Whole) -> bool:
    """Whether an answer can be passed on as the error that it says it is."""
    content_type = whole.headers.get("content-type", "")
    return whole.status >= 400 and bool(whole.body) and content_type.startswith("application/json")


def amounts(cost_nusd: int | None, baseline_nusd: int | None) -> dict[str, str]:
    """Return cost and saving as headers; what is unknown is left out."""
    if cost_nusd is None:
        return {}
    headers = {"x-bursar-cost-usd": usd_text(cost_nusd)}
    if baseline_nusd is not None:
        headers["x-bursar-saved-usd"] = usd_text(baseline_nusd - cost_nusd)
    return headers


def left_headers(left_nusd: int | None) -> dict[str, str]:
    """Return what is left of the tightest budget as a header; none where there is no budget."""
    return {} if left_nusd is None else {"x-bursar-budget-remaining-usd": usd_text(left_nusd)}


def comment(own: Mapping[str, str], basis: CostBasis) -> bytes:
    """Write what a stream's headers could not say yet, as a comment that clients skip."""
    said = {name.removeprefix("x-bursar-").replace("-", "_"): value for name, value in own.items()}
    said["basis"] = basis.value
    return b": bursar " + msgspec.json.encode(said) + b"\n\n"


def fault_reply(outcome: Outcome, headers: Mapping[str, str], status: int, message: str) -> Reply:
    """Tell the client of an error that is no refusal of its own request."""
    call = outcome.call
    fault = Fault(status, "api_error", message)
    body = call.dialect.error(fault, call.arrival.operation_id)
    return Reply(status, {**headers, **_JSON}, body)


def refusal(dialect: Dialect, arrival: Arrival, fault: Fault) -> Reply:
    """Tell the client that its call was not made."""
    headers = {**_JSON, "x-bursar-operation-id": arrival.operation_id}
    return Reply(fault.status, headers, dialect.error(fault, arrival.operation_id))


def refuse(dialect: Dialect, arrival: Arrival, why: Refusal) -> Reply:
    """Tell the client that a budget or an operator keeps its call from being made."""
    reply = refusal(dialect, arrival, Fault(why.status, why.kind, why.message, why.details))
    # SDKs repeat what waiting helps against, which would only make the rest worse.
    waiting = {"retry-after": str(why.retry_after_s)} if why.retry_after_s is not None else _NO_RETRY
    return Reply(reply.status, {**reply.headers, **waiting}, reply.body)
