"""Raising the caps of one conversation."""

import pytest

from budget_cases import NOW_S
from budget_scene import table
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Level, Unit
from bursar.domain.scopes import read_pattern, read_scope
from bursar.errors import CallerMistake
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.caps import raise_caps
from bursar.policy.budgets.states import BudgetState, state_of

CONVERSATION = read_scope("conversation:acme/c1")
(DOLLAR,) = table("conversation:*", None, limit_usd="1").budgets()
(TURNS,) = table("conversation:*", None, limit_turns=3).budgets()
(DAILY,) = table("conversation:*", "day", limit_usd="1").budgets()
USD = 10**9


def state(cap: Budget, settled: int) -> BudgetState:
    counter = BudgetBook((cap,)).counter(cap, CONVERSATION, NOW_S)
    return state_of(cap, counter, Level(settled, 0), NOW_S)


def test_a_cap_that_is_reached_rises_for_this_conversation_alone() -> None:
    (raised,) = raise_caps(CONVERSATION, [state(DOLLAR, USD)], {Unit.NUSD: 2 * USD}, was_refused=False)
    assert raised.pattern == read_pattern("conversation:acme/c1")
    assert (raised.limit, raised.period, raised.ladder) == (2 * USD, DOLLAR.period, DOLLAR.ladder)


@pytest.mark.parametrize("name", ["conversation:acme/*", "conversation:*/c1", "conversation:*/*"])
@pytest.mark.parametrize("force", [False, True])
def test_what_is_called_as_all_are_does_not_raise_the_caps_of_all(name: str, *, force: bool) -> None:
    states = [state(DOLLAR, USD)]
    with pytest.raises(CallerMistake, match=r"\* stands for every name"):
        raise_caps(read_scope(name), states, {Unit.NUSD: 2 * USD}, was_refused=True, force=force)


def test_a_cap_that_refused_the_last_call_need_not_be_reached() -> None:
    states = [state(DOLLAR, USD - 1)]
    assert raise_caps(CONVERSATION, states, {Unit.NUSD: 2 * USD}, was_refused=True)
    with pytest.raises(CallerMistake, match=r'is not stopped by a cap .*--force, or "force": true over HTTP'):
        raise_caps(CONVERSATION, states, {Unit.NUSD: 2 * USD}, was_refused=False)
    assert raise_caps(CONVERSATION, states, {Unit.NUSD: 2 * USD}, was_refused=False, force=True)


def test_of_two_caps_in_a_unit_the_one_that_is_reached_rises() -> None:
    states = [state(DOLLAR, USD // 2), state(DAILY, USD)]
    (raised,) = raise_caps(CONVERSATION, states, {Unit.NUSD: 2 * USD}, was_refused=True)
    assert raised.period is DAILY.period


@pytest.mark.parametrize("force", [False, True])
def test_a_limit_that_is_not_above_what_is_spent_is_refused(*, force: bool) -> None:
    with pytest.raises(CallerMistake, match=r"\$1.00 is not above the \$1.00"):
        raise_caps(CONVERSATION, [state(DOLLAR, USD)], {Unit.NUSD: USD}, was_refused=True, force=force)


def test_only_with_force_does_a_cap_fall() -> None:
    states = [state(TURNS, 1)]
    with pytest.raises(CallerMistake, match="does not raise the cap of 3 turns"):
        raise_caps(CONVERSATION, states, {Unit.TURNS: 2}, was_refused=True)
    (lower,) = raise_caps(CONVERSATION, states, {Unit.TURNS: 2}, was_refused=True, force=True)
    assert lower.limit == 2


def test_a_unit_without_a_cap_is_named_with_the_caps_that_are() -> None:
    with pytest.raises(
        CallerMistake, match=r"no cap in tokens to raise; its cap \(3 turns of 3 .* by --limit-turns N, or"
    ):
        raise_caps(CONVERSATION, [state(TURNS, 3)], {Unit.TOKENS: 9}, was_refused=True)
    with pytest.raises(CallerMistake, match="it has none"):
        raise_caps(CONVERSATION, [], {Unit.TOKENS: 9}, was_refused=True)
