"""Stops for loops, as the admin store keeps them."""

import msgspec
import pytest

from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.scopes import Scope, ScopeKind
from bursar.errors import StoreFailed
from bursar.settings.stored import Act
from bursar.settings.stored_loops import STORED_MAX, loop_item, outlived, read_loop_stops, resumed_item
from bursar.view.loop_watch import Stop

STOP = Stop("acme", "c/1", b"\x00\xff", "it looped", 5.0)
SCOPE = Scope(ScopeKind.CONVERSATION, "acme", "c/1")
ACT = Act("ann", 9.0)
DAY_S = 86_400.0


def state_of(*items: AdminItem) -> AdminState:
    return AdminState(1, {ItemKind.LOOP: {item.name: item for item in items}})


def test_what_is_stored_is_read_again() -> None:
    assert list(read_loop_stops(state_of(loop_item(STOP)))) == [STOP]


def test_letting_go_on_keeps_what_is_forgiven() -> None:
    item = resumed_item(state_of(loop_item(STOP)), SCOPE, ACT)
    assert item is not None
    assert item.set_by == "ann"
    assert list(read_loop_stops(state_of(item))) == [msgspec.structs.replace(STOP, at_s=9.0, is_resumed=True)]


def test_only_what_is_stopped_can_go_on() -> None:
    assert resumed_item(state_of(), SCOPE, ACT) is None
    resumed = resumed_item(state_of(loop_item(STOP)), SCOPE, ACT)
    assert resumed is not None
    assert resumed_item(state_of(resumed), SCOPE, ACT) is None


def test_a_stop_stays_and_a_pardon_is_forgotten_after_a_month() -> None:
    resumed = loop_item(Stop("acme", "c2", b"m", "it looped", 0.0, is_resumed=True))
    state = state_of(loop_item(STOP), resumed)
    assert list(outlived(state, 29 * DAY_S)) == []
    assert list(outlived(state, 31 * DAY_S)) == [resumed.name]


def test_of_too_many_the_oldest_leave() -> None:
    stops = [Stop("acme", f"c{number}", b"m", "it looped", float(number)) for number in range(STORED_MAX + 2)]
    assert list(outlived(state_of(*map(loop_item, stops)), 0.0)) == [
        "conversation:acme/c0",
        "conversation:acme/c1",
    ]


@pytest.mark.parametrize("content", ["{}", "no json", '{"message": "zz", "why": "", "at_s": 0}'])
def test_what_cannot_be_read_is_told(content: str) -> None:
    item = AdminItem(ItemKind.LOOP, str(SCOPE), content, 0.0, "x")
    with pytest.raises(StoreFailed, match="cannot be read"):
        list(read_loop_stops(state_of(item)))
