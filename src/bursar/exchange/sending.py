"""Sending a call upstream, with retries within its deadline."""

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from bursar.effects import Cut, Effect, Pause, Send, Sent, Unreachable, Whole
from bursar.exchange.call import Call
from bursar.exchange.engine import UpstreamPolicy
from bursar.ports import UpstreamRequest
from bursar.wire.delaying import DelayingMeter
from bursar.wire.dialect import StreamMeter
from bursar.wire.replaying import RecordingMeter

# Statuses by which providers say that the same request may succeed later (529: Anthropic is overloaded).
RETRIED = frozenset((408, 409, 429, 500, 502, 503, 504, 529))

_FIRST_PAUSE_S = 0.5
# A client that is told to wait longer than this does better to decide for itself.
_PAUSE_MAX_S = 30.0


class Sending(msgspec.Struct, frozen=True, gc=False):
    """How sending a call went.

    Attributes:
        failed: Attempts that were retried, in order.
        last: How the last attempt ended.
        meter: What the last attempt's stream passed through; None where none was asked for.
        client_left: Whether the client left while nothing was under way: before a further attempt.
    """

    failed: tuple[Sent, ...]
    last: Sent
    meter: StreamMeter | None
    client_left: bool = False


class Dispatch(msgspec.Struct, frozen=True, gc=False):
    """What is to be sent.

    Attributes:
        body: What goes upstream.
        begun: Told when an answer begins.
        client_headers: Our own headers for the client, where the answer streams.
        recorded_bytes_max: How much of a stream is kept beside being passed on (`RecordingMeter`).
        at_s: When it is sent; None where nothing took time since the call arrived.
        held_bytes_max: How much of a stream's start is held back (`DelayingMeter`); 0 for none.
        repeats: Whether it is sent again after a failure; not where there is another way to go.
    """

    body: bytes
    begun: Callable[[float], None]
    client_headers: dict[str, str]
    recorded_bytes_max: int = 0
    at_s: float | None = None
    held_bytes_max: int = 0
    repeats: bool = True


def send(call: Call, policy: UpstreamPolicy, dispatch: Dispatch) -> Generator[Effect, Any, Sending]:
    """Send a call, again after failures that cost nothing and may pass.

    What may have reached the provider without an answer is not sent again: it may be billed already.
    """
    failed: list[Sent] = []
    arrival = call.arrival
    now_s = arrival.at_s if dispatch.at_s is None else dispatch.at_s
    while True:
        meter = _meter(call, dispatch) if call.request.stream else None
        left_s = arrival.at_s + policy.deadline_s - now_s
        request = UpstreamRequest(
            upstream=arrival.upstream,
            method="POST",
            path=arrival.path,
            headers=arrival.outgoing,
            body=dispatch.body,
            timeout_s=min(policy.timeout_s, left_s),
        )
        holds_back = bool(dispatch.held_bytes_max)
        sent: Sent = yield Send(request, meter, dispatch.begun, dispatch.client_headers, holds_back)
        now_s = sent.times.ended_at_s
        pause_s = _pause_before_retry(sent, len(failed), policy, arrival.operation_id)
        if not dispatch.repeats:
            pause_s = None
        if pause_s is None or now_s + pause_s >= arrival.at_s + policy.deadline_s:
            return Sending(tuple(failed), sent, meter)
        resumed_s: float | None = yield Pause(pause_s)
        if resumed_s is None:
            return Sending(tuple(failed), sent, meter, client_left=True)
        now_s = resumed_s
        if now_s >= arrival.at_s + policy.deadline_s:
            # The pause took longer than it should have, and a try without any time is none.
            return Sending(tuple(failed), sent, meter)
        failed.append(sent)


def _meter(call: Call, dispatch: Dispatch) -> StreamMeter:
    meter = call.dialect.meter(call.request)
    if dispatch.held_bytes_max:
        return DelayingMeter(meter, dispatch.recorded_bytes_max, dispatch.held_bytes_max)
    if dispatch.recorded_bytes_max:
        return RecordingMeter(meter, dispatch.recorded_bytes_max)
    return meter


def may_pass(sent: Sent) -> bool:
    """Whether an attempt failed in a way that another model, key or deployment may not."""
    if isinstance(sent, Cut):
        return not sent.streamed
    return isinstance(sent, Unreachable) or (isinstance(sent, Whole) and sent.status in RETRIED)


def _pause_before_retry(sent: Sent, failures: int, policy: UpstreamPolicy, operation_id: str) -> float | None:
    """Return how long to wait before sending again, or None not to."""
    if failures >= policy.retries_max:
        return None
    if not (isinstance(sent, Whole) and sent.status in RETRIED) and not (
        isinstance(sent, Unreachable) and not sent.sent
    ):
        return None
    # Spread by the operation id, so that callers that failed together do not come back together.
    spread = 0.75 + (sum(operation_id.encode()) % 64) / 128
    backoff_s = _FIRST_PAUSE_S * 2**failures * spread
    if isinstance(sent, Unreachable):
        return backoff_s
    if sent.headers.get("x-should-retry") == "false":
        return None
    wanted_s = _retry_after_s(sent)
    if wanted_s is None:
        return backoff_s
    return wanted_s if wanted_s <= _PAUSE_MAX_S else None


def _retry_after_s(sent: Whole) -> float | None:
    """Read how long the provider wants to be left alone; None where it does not say, or in words."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = sent.headers.get(name, "")
        try:
            wanted_s = float(text) * unit_s
        except ValueError:
            continue
        if 0 <= wanted_s < float("inf"):
            return wanted_s
    return None
