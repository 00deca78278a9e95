"""Answering a call by what was answered before: from the response cache, or with an identical call in flight.

A call joins first and then looks, so that of identical calls only one looks, and only one goes upstream. It
leads then: what it brings home is shared with those who wait, and kept. How a lead ends that brings nothing
is the driver's care, on every way out.
"""

from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from bursar.domain.ledger import Status, Technique
from bursar.effects import Effect, Ended, Join, Keep, Left, LookUp, Pause, Record, Reply, Share, Whole
from bursar.exchange.avoided import Avoided, price_avoided
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.entries import write_unsent
from bursar.exchange.replies import amounts, comment
from bursar.exchange.sending import Sending
from bursar.policy.response_cache import (
    CacheUse,
    KeptAnswer,
    Space,
    judge_call,
    keep_answer,
    read_kept,
    read_wish,
    request_key,
)
from bursar.ports import ContentKey, ContentKind
from bursar.wire.dialect import Answer
from bursar.wire.replaying import RecordingMeter


class Told(msgspec.Struct, frozen=True, gc=False):
    """A kept answer, as a call is to get it.

    Attributes:
        answer: What was read of it.
        body: What comes before its end: of a stream, all but the terminal event,
        rest: and the rest.
        avoided: What the call would have cost without it.
    """

    answer: Answer
    body: bytes
    rest: bytes
    avoided: Avoided


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What there was for a call that takes part in the response cache.

    Attributes:
        key: Names the call and all that are the same.
        told: The answer; None where the call is to be made, or its client has left.
        use: Where the answer comes from; a miss where there is none.
        left: Whether the client left while it waited.
    """

    key: ContentKey
    told: Told | None = None
    use: CacheUse = CacheUse.MISS
    left: bool = False


def takes_part(call: Call) -> bool:
    """Whether a call may be answered by what was answered before.

    Raises:
        BadRequest: Its header asks for something that there is not.
    """
    wish = read_wish(call.arrival.headers)
    if call.mode != "optimise":
        return False
    return judge_call(call.request, call.attribution.task, wish, call.policy.response_cache).takes_part


def find_answer(engine: Engine, call: Call) -> Generator[Effect, Any, tuple[Finding | None, tuple[str, ...]]]:
    """Look for an answer to a call; where there is none, the call leads from now on.

    Returns:
        What was found, and the fault where looking failed: the call is made then as if there were no cache.
    """
    try:
        return (yield from _find(engine, call)), ()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return None, (Technique.RESPONSE_CACHE.value,)


def _find(engine: Engine, call: Call) -> Generator[Effect, Any, Finding]:
    arrival, tenant = call.arrival, call.attribution.tenant
    space = Space(tenant, arrival.credential, arrival.upstream, arrival.path, arrival.headers)
    name = request_key(call.request, call.dialect, space)
    key = ContentKey(tenant, ContentKind.RESPONSE, name)
    shared: KeptAnswer | Left | None = yield Join(name)
    if isinstance(shared, Left):
        return Finding(key, left=True)
    if shared is not None:
        return _found(engine, call, key, shared, CacheUse.JOINED)
    stored: bytes | None = yield LookUp(key)
    kept = read_kept(stored) if stored is not None else None
    if kept is None:
        return Finding(key)
    yield Share(kept)
    return _found(engine, call, key, kept, CacheUse.HIT)


def _found(engine: Engine, call: Call, key: ContentKey, kept: KeptAnswer, use: CacheUse) -> Finding:
    """Return an answer as found; where it cannot be told in the call's form, the call is made, alone."""
    told = _tell(engine, call, kept)
    return Finding(key) if told is None else Finding(key, told, use)


def keep_and_share(
    call: Call, key: ContentKey, sending: Sending, answer: Answer | None
) -> Generator[Effect, Any, tuple[str, ...]]:
    """Keep what a call brought home, and give it to those who wait for it; what is not whole is neither.

    Returns:
        The fault, where that failed.
    """
    try:
        kept = _kept(call, sending)
        if kept is None or answer is None or not answer.complete:
            return ()
        options = call.policy.response_cache
        stored = keep_answer(call.request, answer, kept, options)
        if stored is not None:
            yield Keep(key, stored, options.ttl_s)
            yield Share(kept)
    except Exception:  # noqa: BLE001 - The answer is there and paid for; that it could not be kept is counted.
        return (Technique.RESPONSE_CACHE.value,)
    return ()


def _kept(call: Call, sending: Sending) -> KeptAnswer | None:
    """Return what a call's last attempt brought, as it is kept; None where it brought nothing whole."""
    last, meter, dialect = sending.last, sending.meter, call.dialect.name
    ended_at_s = last.times.ended_at_s
    if isinstance(last, Whole) and last.status == 200:
        return KeptAnswer(dialect, streamed=False, content=last.body, kept_at_s=ended_at_s)
    if not isinstance(last, Ended) or not isinstance(meter, RecordingMeter):
        return None
    content = meter.content()
    if content is None:
        return None
    return KeptAnswer(dialect, streamed=True, content=content, kept_at_s=ended_at_s)


def answer_kept(
    engine: Engine, call: Call, finding: Finding, told: Told, own: Mapping[str, str]
) -> Generator[Effect, Any, Reply]:
    """Record a call that was answered by a kept answer, and answer it."""
    now_s: float | None = yield Pause(0.0)
    engine.threads.answered(call.place, told.answer.echo)
    avoided = told.avoided
    entry = write_unsent(call, Status.OK, 200, now_s if now_s is not None else call.arrival.at_s)
    entry = msgspec.structs.replace(entry, baseline_nusd=avoided.baseline_nusd, shares=avoided.shares)
    yield Record(entry, finding.use)
    own = {**own, "x-bursar-cache": finding.use.value, **amounts(0, avoided.baseline_nusd)}
    if not call.request.stream:
        return Reply(200, {"content-type": "application/json", **own}, told.body)
    body = told.body + comment(own, entry.basis) + told.rest
    return Reply(200, {"content-type": "text/event-stream; charset=utf-8", **own}, body)


def _tell(engine: Engine, call: Call, kept: KeptAnswer) -> Told | None:
    """Return an answer as a call is to get it; None where it cannot be told in its form."""
    content = kept.told(streamed=call.request.stream) if kept.dialect == call.dialect.name else None
    if content is None:
        return None
    if not call.request.stream:
        answer = call.dialect.answer(content, call.request)
        return Told(answer, content, b"", price_avoided(engine, call, answer)) if answer.complete else None
    # The meter leaves out what this client did not ask for.
    meter = call.dialect.meter(call.request)
    body = meter.feed(content)
    answer = meter.answer()
    if not answer.complete:
        return None
    return Told(answer, body, meter.rest(), price_avoided(engine, call, answer))
