"""Watching a call's conversation for loops."""

import msgspec

from bursar.errors import BadRequest
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.policy.budgets.refusals import Refusal
from bursar.policy.loops import CONVERSATION_STOPPED, describe, judge, messages_min, refuse_looping
from bursar.view.loop_watch import Stop, last_with_results, name_of
from bursar.wire import raw_json as raw
from bursar.wire.acts import Acts, read_acts

LOOP = "loop"
"""Names a warning, in the ledger's faults and in the header."""

WATCH_FAILED = "loop_watch"
"""The fault of a call whose messages could not be judged; it was made all the same."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a call.

    Attributes:
        refusal: Why it is not made; None where it is.
        faults: What is to be said of it in the ledger.
    """

    refusal: Refusal | None = None
    faults: tuple[str, ...] = ()


CLEAR = Verdict()


def judge_call(engine: Engine, call: Call) -> Verdict:
    """Say whether a call's conversation is in a loop, and stop it where it is to be stopped."""
    options, watch = call.policy.loops, engine.loops
    if options.mode == "off":
        return CLEAR
    tenant, conversation = call.attribution.tenant, call.attribution.conversation
    if options.mode == "stop":
        stop = watch.stopped(tenant, conversation)
        if stop is not None:
            return _refuse(stop)
    messages = call.request.prompt.messages
    if len(messages) < messages_min(options):
        return CLEAR
    try:
        row = watch.follow(
            call.place.start, tenant, messages, lambda number: _read(call, number), options.waiting
        )
    except Exception:  # noqa: BLE001 - What merely watches must not keep a call from being made; it is counted.
        return Verdict(faults=(WATCH_FAILED,))
    loop = judge(row, options)
    if loop is None:
        return CLEAR
    last = last_with_results(messages)
    if not loop.stops or last is None:
        return Verdict(faults=(LOOP,))
    stop = Stop(tenant, conversation, name_of(last), describe(loop), call.arrival.at_s, notify=options.notify)
    watch.stop(stop)
    return _refuse(stop)


def _refuse(stop: Stop) -> Verdict:
    return Verdict(refuse_looping(stop), (CONVERSATION_STOPPED,))


def _read(call: Call, number: int) -> Acts | None:
    """Read what a message holds; None where only its provider can make something of it."""
    request = call.request
    ends = request.piece_ends["messages"]
    # At OpenAI the array begins with the system's messages.
    place = number + len(ends) - len(request.prompt.messages)
    try:
        return read_acts(request.dialect, raw.element(request.fields["messages"], ends, place))
    except BadRequest:
        return None
