"""What a refused client is told."""

from datetime import UTC, datetime

import pytest

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import Action, ActionKind, Budget, Step
from bursar.domain.reservations import Exceeded, Level, Period, Throttled, Unit
from bursar.domain.scopes import Scope, ScopeKind, read_pattern
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claim, Claimant
from bursar.policy.budgets.refusals import Refusal, refuse, refuse_stopped, refuse_unbounded

NOW_S = datetime(2026, 11, 24, 12, 30, 30, tzinfo=UTC).timestamp()
USD = 10**9


def claim(budget: Budget, tokens: int = 900) -> Claim:
    attribution = Attribution("acme", "desk", conversation="c1")
    return BudgetBook([budget]).claim(Claimant("op", attribution), Amounts(USD // 2, tokens), NOW_S)


def exceeded(
    budget: Budget, settled: int, held: int = 0, *, limit: int | None = None, is_new: bool = False
) -> Refusal:
    asked = claim(budget)
    demand = asked.budgets.index(budget)
    return refuse(asked, Exceeded(demand, limit or budget.hard_limit, Level(settled, held), is_new), NOW_S)


def budget(scope: str, unit: Unit, limit: int, period: Period, *steps: Step) -> Budget:
    return Budget(read_pattern(scope), unit, limit, period, ladder=steps)


def test_over_a_budget_in_money_all_amounts_are_named() -> None:
    refusal = exceeded(budget("tenant:acme", Unit.NUSD, 500 * USD, Period.MONTH), 499 * USD, USD)
    assert (refusal.status, refusal.kind, refusal.retry_after_s) == (402, "budget_exceeded", None)
    assert refusal.details == {
        "scope": "tenant:acme",
        "window": "month",
        "limit_usd": "500.000000000",
        "spent_usd": "499.000000000",
        "held_usd": "1.000000000",
        "needed_usd": "0.500000000",
        "resets_at": "2026-12-01T00:00:00Z",
    }
    assert refusal.message == (
        "tenant:acme has reached its limit of $500.00 a month: $499.00 used, $1.00 held for calls under way, "
        "this call may need $0.50; the next window begins at 2026-12-01T00:00:00Z"
    )


@pytest.mark.parametrize(("unit", "suffix"), [(Unit.TOKENS, "tokens"), (Unit.TURNS, "turns")])
def test_other_units_are_named_by_their_members(unit: Unit, suffix: str) -> None:
    details = exceeded(budget("agent:desk", unit, 1000, Period.DAY), 1000).details
    assert (details[f"limit_{suffix}"], details[f"spent_{suffix}"], details[f"held_{suffix}"]) == (
        1000,
        1000,
        0,
    )


def test_a_conversation_at_its_cap_is_told_so_in_words() -> None:
    refusal = exceeded(budget("conversation:*", Unit.TURNS, 40, Period.TOTAL), 40)
    assert refusal.status == 402
    assert refusal.details["scope"] == "conversation:acme/c1"
    assert refusal.details["resets_at"] is None
    assert "this conversation has reached its cap of 40 turns" in refusal.message
    assert "a person raises the cap" in refusal.message


def test_a_new_conversation_is_told_that_active_ones_go_on() -> None:
    limited = budget("tenant:acme", Unit.NUSD, USD, Period.DAY, Step(1000, (Action(ActionKind.REFUSE_NEW),)))
    assert "for new conversations" in exceeded(limited, USD, limit=USD, is_new=True).message
    active = exceeded(limited, USD)
    assert active.details["limit_usd"] == "1.050000000"
    assert "limit of $1.05 a day (105 % of $1.00)" in active.message


def test_a_limit_per_minute_asks_to_wait_until_the_minute_is_over() -> None:
    refusal = exceeded(budget("tenant:acme", Unit.REQUESTS, 60, Period.MINUTE), 60)
    assert (refusal.status, refusal.kind, refusal.retry_after_s) == (429, "throttled", 30)
    assert refusal.details["limit_requests"] == 60


def test_a_limit_on_concurrent_calls_asks_to_wait() -> None:
    refusal = exceeded(budget("tenant:acme", Unit.OPEN_CALLS, 4, Period.TOTAL), 0, 4)
    assert (refusal.status, refusal.retry_after_s) == (429, 1)
    assert refusal.message == "tenant:acme has reached its limit of 4 concurrent calls"


def test_a_call_that_no_minute_can_hold_is_not_asked_to_wait() -> None:
    refusal = exceeded(budget("tenant:acme", Unit.TOKENS, 500, Period.MINUTE), 0)
    assert (refusal.status, refusal.retry_after_s) == (402, None)
    assert refusal.details["needed_tokens"] == 900


def test_a_throttled_call_is_told_when_to_come_again() -> None:
    slow = budget("tenant:acme", Unit.NUSD, USD, Period.MONTH, Step(950, (Action(ActionKind.THROTTLE),)))
    refusal = refuse(claim(slow), Throttled(0, 17), NOW_S)
    assert (refusal.status, refusal.kind, refusal.retry_after_s) == (429, "throttled", 17)
    assert refusal.details["scope"] == "tenant:acme"
    assert "its budget of $1.00 a month is nearly spent" in refusal.message


def test_a_call_of_unknown_cost_is_told_why_it_cannot_be_held() -> None:
    asked = claim(budget("tenant:acme", Unit.NUSD, USD, Period.MONTH))
    refusal = refuse_unbounded(asked, 0, "the model has no known price")
    assert (refusal.status, refusal.details["needed_usd"]) == (402, None)
    assert "the model has no known price" in refusal.message


def test_a_stopped_scope_is_forbidden_so_that_nobody_tries_again() -> None:
    refusal = refuse_stopped(Scope(ScopeKind.TENANT, "", "acme"))
    assert (refusal.status, refusal.kind, refusal.retry_after_s) == (403, "stopped", None)
    assert refusal.details == {"scope": "tenant:acme"}
