"""Conversations that were stopped for their loops, as the admin store keeps them.

One that a person let go on stays stored for a while: what it did before is forgiven, in every process and
after a restart.
"""

from collections.abc import Iterator

import msgspec

from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.scopes import Scope, ScopeKind, read_scope
from bursar.errors import StoreFailed
from bursar.settings.stored import Act
from bursar.view.loop_watch import Stop

BY = "loop watch"
"""Who stops conversations, in the audit log."""

STORED_MAX = 10_000
_FORGIVEN_S = 30 * 86_400.0
"""How long it is remembered that a conversation may go on: nobody goes on with one that is older."""


class _Content(msgspec.Struct, frozen=True):
    message: str
    why: str
    at_s: float
    is_resumed: bool = False


_DECODER = msgspec.json.Decoder(_Content)


def loop_item(stop: Stop, by: str = BY) -> AdminItem:
    """Write a stop as an item of the admin store."""
    content = _Content(stop.message.hex(), stop.why, stop.at_s, stop.is_resumed)
    name = str(Scope(ScopeKind.CONVERSATION, stop.tenant, stop.conversation))
    return AdminItem(ItemKind.LOOP, name, msgspec.json.encode(content).decode(), stop.at_s, by)


def read_loop_stops(state: AdminState) -> Iterator[Stop]:
    """Yield all that is stored, in the order in which it was.

    Raises:
        StoreFailed: One cannot be read.
    """
    items = state.items.get(ItemKind.LOOP, {}).values()
    for item in sorted(items, key=lambda item: item.set_at_s):
        yield _stop_of(item)


def resumed_item(state: AdminState, scope: Scope, act: Act) -> AdminItem | None:
    """Write that a conversation may go on; None where it is not stopped.

    Raises:
        StoreFailed: What is stored of it cannot be read.
    """
    item = state.items.get(ItemKind.LOOP, {}).get(str(scope))
    stop = None if item is None else _stop_of(item)
    if stop is None or stop.is_resumed:
        return None
    return loop_item(msgspec.structs.replace(stop, at_s=act.at_s, is_resumed=True), act.by)


def outlived(state: AdminState, now_s: float) -> Iterator[str]:
    """Yield the names of what need not be stored any more: what is too old, and the oldest of too many."""
    stops = list(state.items.get(ItemKind.LOOP, {}).values())
    stops.sort(key=lambda item: item.set_at_s)
    too_many = len(stops) - STORED_MAX
    for number, item in enumerate(stops):
        if number < too_many or (item.set_at_s < now_s - _FORGIVEN_S and _stop_of(item).is_resumed):
            yield item.name


def _stop_of(item: AdminItem) -> Stop:
    try:
        scope = read_scope(item.name)
        content = _DECODER.decode(item.content)
        message = bytes.fromhex(content.message)
    except (ValueError, msgspec.DecodeError) as error:
        raise StoreFailed(
            f"the admin store: {item.kind.value} {item.name!r} cannot be read ({error}); remove it, or "
            f"upgrade Bursar if a newer one wrote it"
        ) from error
    return Stop(scope.tenant, scope.name, message, content.why, content.at_s, content.is_resumed)
