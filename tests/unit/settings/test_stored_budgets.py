"""Budgets as the admin store keeps them."""

from typing import Any

import pytest

from budget_scene import table
from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.reservations import Unit
from bursar.domain.scopes import read_pattern, read_scope
from bursar.errors import BadSetting, StoreFailed
from bursar.settings.stored import (
    Act,
    budget_item,
    cap_item,
    in_force,
    read_limits,
    removals,
    stop_item,
    stored_budgets,
    table_of,
)

ACT = Act("test", 1.0)
C1 = read_scope("conversation:acme/c1")
(TURNS,) = table("conversation:acme/c1", None, limit_turns=9).budgets()
(CAP,) = table("conversation:acme/c1", None, limit_usd="2").budgets()


def state(*items: AdminItem) -> AdminState:
    kinds: dict[ItemKind, dict[str, AdminItem]] = {}
    for item in items:
        kinds.setdefault(item.kind, {})[item.name] = item
    return AdminState(len(items), kinds)


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "tenant:acme", "window": "month", "limit_usd": "500.000000001"},
        {"scope": "tenant:acme", "window": "month", "limit_usd": 5, "ladder": []},
        {"scope": "organisation", "window": "week", "limit_tokens": 7, "timezone": "Europe/Berlin"},
        {"scope": "agent:a%2Fb/c/d", "window": "month", "limit_usd": 5, "billing_day": 31, "grace": "0.125"},
        {"scope": "key:*", "window": None, "requests_per_minute": 3},
        {"scope": "user:*", "window": None, "tokens_per_minute": 3},
        {"scope": "conversation:*", "window": None, "concurrent_calls": 3},
        {
            "scope": "tenant:acme",
            "window": "hour",
            "limit_turns": 5,
            "ladder": [
                {"at": 0.333, "actions": ["notify:slack", "throttle"]},
                {"at": 1, "actions": ["refuse_new"]},
            ],
        },
    ],
)
def test_a_budget_comes_back_as_it_was_set(fields: dict[str, Any]) -> None:
    (budget,) = table(**fields).budgets()
    assert stored_budgets(state(budget_item(budget, ACT))) == (budget,)
    written: dict[str, Any] = {"window": None, **table_of(budget)}
    (again,) = table(**written).budgets()
    assert again == budget


def test_the_file_goes_before_a_conversations_own_cap_and_that_before_other_budgets() -> None:
    (own,) = table("tenant:acme", limit_usd="1").budgets()
    (stored,) = table("tenant:acme", limit_usd="2").budgets()
    (weaker,) = table("conversation:acme/c1", None, limit_usd="3").budgets()
    items = (budget_item(stored, ACT), budget_item(weaker, ACT))
    kept = state(*items, cap_item(in_force((), None), state(), C1, [CAP], ACT))
    found = in_force((own,), kept)
    assert found.budgets == (own, CAP, weaker)
    assert found.ignored == ("tenant:acme usd day",)


def test_a_new_cap_leaves_the_conversations_other_caps() -> None:
    nothing = in_force((), None)
    first = state(cap_item(nothing, state(), C1, [TURNS], ACT))
    both = state(cap_item(nothing, first, C1, [CAP], ACT))
    assert set(stored_budgets(both)) == {TURNS, CAP}
    ((kind, name, left),) = removals(both, [CAP], ACT)
    assert left is not None
    assert stored_budgets(state(left)) == (TURNS,)
    assert list(removals(state(left), [TURNS], ACT)) == [(kind, name, None)]


def test_a_cap_that_the_file_has_for_just_this_conversation_is_changed_there() -> None:
    with pytest.raises(BadSetting, match="change it there"):
        cap_item(in_force((CAP,), None), state(), C1, [CAP], ACT)


def test_stops_keep_their_reasons() -> None:
    pattern = read_pattern("agent:desk")
    assert in_force((), state(stop_item(pattern, "a loop", ACT))).stops == {pattern: "a loop"}


@pytest.mark.parametrize("content", ["", "7", "{", '{"scope": "tenant:a"}', "[7]", '[{"limit_usd": "1"}]'])
@pytest.mark.parametrize("kind", [ItemKind.BUDGET, ItemKind.CONVERSATION])
def test_what_cannot_be_read_is_not_passed_over(kind: ItemKind, content: str) -> None:
    with pytest.raises(StoreFailed, match="cannot be read"):
        in_force((), state(AdminItem(kind, "tenant:a", content, 0.0, "test")))


def test_new_limits_are_read_as_budgets_are() -> None:
    assert read_limits({"limit_usd": "2", "limit_turns": 3}, "x") == {Unit.NUSD: 2 * 10**9, Unit.TURNS: 3}


@pytest.mark.parametrize(
    "limits",
    [{}, {"limit_usd": "-1"}, {"limit_usd": "0"}, {"limit_usd": 0.5}, {"limit": 1}, {"limit_turns": True}],
)
def test_limits_that_are_none_are_refused_with_their_place(limits: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=r"^body: "):
        read_limits(limits, "body")
