"""Settings stay with a conversation: those that decide about its bytes are pinned to it for its life.

What was sent stands in the provider's cache, and is paid for anew where it changes. So a change of
`tool_results`, `history` or `stable_prefix` is for conversations that begin after it; those that go on keep
what they began with, also through a restart, or where another process serves the next call. How a thread's
front is sent is kept with them, since it was learned from calls that a new process has not seen.

A thread is pinned by the first call that leads to a tool result, or where its agent's history or front may be
changed, and looked up once by each process that meets it: never before its messages name it, which takes
the first tool result or four messages. `observe` and `passthrough` go past all this: they act at once.
"""

import hashlib
from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.prompt import BlockKind, Piece
from bursar.effects import Effect, Keep, LookUp
from bursar.errors import BadRequest
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.front_memo import Stand
from bursar.exchange.headers import PREFIX
from bursar.exchange.pins import Pin, PinnedFront, PinnedSettings, read_pin, write_pin
from bursar.policy.tool_results.codec import POLICY_VERSION
from bursar.ports import ContentKey, ContentKind
from bursar.wire.condensing.forms import FORMS
from bursar.wire.condensing.spoken import split

PIN_LOST = "policy_pin_lost"
"""Fault: what is pinned to a thread cannot be read or followed, so that its prompt may be written anew."""

PIN_FAILED = "policy_pin"
"""Fault: pinning failed; the settings in force count."""

PIN_TTL_S = 7 * 24 * 3600.0
"""How long a pin is kept after it was made. No provider's cache lives longer."""

_NAMED_MESSAGES = 4
_ENCODE = msgspec.msgpack.Encoder().encode


def pin_policy(engine: Engine, call: Call) -> Generator[Effect, Any, tuple[Call, tuple[str, ...]]]:
    """Put a call under the settings that its conversation is pinned to.

    Yields:
        The looking up and the keeping of pins: once for most threads.

    Returns:
        The call, with the policy that counts for it; and what is wrong, by name.
    """
    if call.mode != "optimise":
        return call, ()
    try:
        faults = yield from _see_to_it(engine, call)
    except BadRequest:
        # Its messages are of a form that only its provider is to judge.
        return call, ()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return call, (PIN_FAILED,)
    pin = engine.pins.find(call.place.thread.thread_id)
    policy = call.policy if pin is None else engine.pins.policy(call.policy, pin.settings)
    return call if policy is call.policy else msgspec.structs.replace(call, policy=policy), faults


def _see_to_it(engine: Engine, call: Call) -> Generator[Effect, Any, tuple[str, ...]]:
    """See to it that what is to be pinned to a call's thread is."""
    pins, thread_id = engine.pins, call.place.thread.thread_id
    messages = call.request.prompt.messages
    faults: tuple[str, ...] = ()
    pin = pins.find(thread_id)
    if pin is None:
        named = _named_messages(messages)
        if not named:
            return ()
        seen = pins.seen(thread_id)
        if seen is None:
            seen = 0
            pin, faults = yield from _look_up(engine, call, named)
        if pin is None and not _asks_for_pin(engine, call, seen):
            pins.keep_seen(thread_id, len(messages))
            return faults
    wanted = _wanted(engine, call, pin)
    if wanted is not pin or faults:
        pins.keep(thread_id, wanted)
        yield Keep(_key(call, _named_messages(messages)), write_pin(wanted), PIN_TTL_S)
    return faults


def _look_up(
    engine: Engine, call: Call, named: int
) -> Generator[Effect, Any, tuple[Pin | None, tuple[str, ...]]]:
    """Look up what is pinned to a thread that this process meets for the first time."""
    stored: bytes | None = yield LookUp(_key(call, named))
    if stored is None:
        return None, ()
    pin = read_pin(stored)
    if pin is None:
        return None, (PIN_LOST,)
    faults: tuple[str, ...] = ()
    settings = pin.settings
    if not _can_follow(settings):
        # The rest of it still counts.
        now = engine.pins.in_force(call.policy)
        settings = msgspec.structs.replace(settings, tool_results=now.tool_results, version=now.version)
        faults = (PIN_LOST,)
    found = msgspec.structs.replace(pin, settings=engine.pins.share(settings))
    engine.pins.keep(call.place.thread.thread_id, found)
    _restore(engine, call, found)
    return found, faults


def _can_follow(settings: PinnedSettings) -> bool:
    """Whether this program makes the bytes that were made under some settings.

    One that shortens by the rules of an older version too, beside its own, says so here.
    """
    return settings.version == POLICY_VERSION or settings.tool_results.mode == "off"


def _restore(engine: Engine, call: Call, pin: Pin) -> None:
    """Take up how a thread's front was sent, for the techniques that see to it, where they do not know."""
    thread_id = call.place.thread.thread_id
    key = thread_id, call.mode
    if pin.front is not None and engine.fronts.stand(key) is None:
        engine.fronts.keep_stand(key, Stand(pin.front.order, pin.front.moved, tools=b"", system=b""))
    if pin.cut is not None and engine.beginnings.cut(pin.cut.front) is None:
        engine.beginnings.decide(pin.cut.front, pin.cut.cut())


def _wanted(engine: Engine, call: Call, pin: Pin | None) -> Pin:
    """Return what is to be pinned to a thread: its settings, and how its front was sent at its last call."""
    thread_id = call.place.thread.thread_id
    before = Pin(engine.pins.in_force(call.policy)) if pin is None else pin
    stable, front = before.settings.stable_prefix, before.front
    if stable.order or stable.volatile:
        stand = engine.fronts.stand((thread_id, call.mode))
        sent = front if stand is None else PinnedFront(stand.order, stand.moved)
        front = front if sent == front else sent
    cut = engine.pins.cut(thread_id) or before.cut
    if front is before.front and cut is before.cut:
        return before
    return Pin(before.settings, front, cut)


def _asks_for_pin(engine: Engine, call: Call, seen: int) -> bool:
    """Whether a thread has anything that its settings decide about.

    Args:
        engine: What is known.
        call: A call of it.
        seen: How many of its messages have no tool result.
    """
    policy = call.policy
    if policy.history.enabled or policy.stable_prefix.order or policy.stable_prefix.volatile:
        return True
    if engine.pins.cut(call.place.thread.thread_id) is not None:
        return True
    return any(_has_result(message) for message in call.request.prompt.messages[seen:])


def _named_messages(messages: tuple[Piece, ...]) -> int:
    """Return how many of its first messages name a thread, at this call and every later one; 0 for not yet.

    Those up to its first tool result, whose call has an id of its own; at most four.
    """
    for number, message in enumerate(messages[:_NAMED_MESSAGES]):
        if _has_result(message):
            return number + 1
    return _NAMED_MESSAGES if len(messages) >= _NAMED_MESSAGES else 0


def _has_result(message: Piece) -> bool:
    return any(block.kind is BlockKind.TOOL_RESULT for block in message.blocks)


def _key(call: Call, named: int) -> ContentKey:
    """Name a thread's pin so that nobody could who does not know how it begins."""
    request, attribution = call.request, call.attribution
    array, ends = request.fields["messages"], request.piece_ends["messages"]
    front, form = len(ends) - len(request.prompt.messages), FORMS[request.dialect]
    # Without cache marks, which clients move.
    spoken = [form.read(message) for message in split(array, ends, front, front + named)]
    # The conversation as the client named it: the name that others get is another after a restart.
    said = call.arrival.headers.get(f"{PREFIX}conversation", "")
    named_by = _ENCODE(("policy pin", attribution.tenant, attribution.agent, said, spoken))
    return ContentKey(
        attribution.tenant, ContentKind.MEMO, hashlib.blake2b(named_by, digest_size=32).digest()
    )
