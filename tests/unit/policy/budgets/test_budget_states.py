"""How budgets stand."""

import pytest

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import DEFAULT_LADDER, Budget
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.domain.scopes import read_pattern, scopes_of
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claimant
from bursar.policy.budgets.standing import Room, prefers_cheaper, room_left, standing
from bursar.policy.budgets.states import forecast, state_of
from bursar.policy.budgets.stops import stopped

USD = 10**9
DAY_S = 86_400
MONTHLY = Budget(read_pattern("tenant:acme"), Unit.NUSD, 100 * USD, Period.MONTH, ladder=DEFAULT_LADDER)
DAY = Counter("tenant:acme", Unit.NUSD, Period.DAY, 0, DAY_S)


def test_what_is_held_crosses_no_step_but_leaves_less() -> None:
    stands = standing(MONTHLY, Level(settled=40 * USD, held=50 * USD))
    assert (stands.alert, stands.remaining, stands.is_blocked) == (None, 10 * USD, False)


def test_steps_add_up() -> None:
    assert not standing(MONTHLY, Level(79 * USD, 0)).prefers_cheaper
    stands = standing(MONTHLY, Level(96 * USD, 0))
    assert stands.prefers_cheaper
    assert stands.alert == DEFAULT_LADDER[2]


def test_a_budget_is_blocked_once_no_new_conversations_call_fits() -> None:
    assert standing(MONTHLY, Level(100 * USD, 0)).is_blocked
    assert standing(MONTHLY, Level(102 * USD, 0)).remaining == 0


def test_the_tightest_limit_on_money_says_what_remains() -> None:
    turns = Budget(read_pattern("tenant:acme"), Unit.TURNS, 40, Period.DAY)
    agents = Budget(read_pattern("agent:*"), Unit.NUSD, USD, Period.DAY)
    claim = BudgetBook([MONTHLY, turns, agents]).claim(
        Claimant("op", Attribution("acme", "desk")), Amounts(5, 5), 0.0
    )
    levels = [Level(USD // 4, USD // 4) for _ in claim.demands]
    assert room_left(claim, levels) == Room(USD // 2, None)
    assert prefers_cheaper(claim, levels) is None
    assert prefers_cheaper(claim, [Level(90 * USD, 0) for _ in claim.demands]) == "tenant:acme"
    unlimited = BudgetBook([turns]).claim(Claimant("op", Attribution("acme")), Amounts(5, 5), 0.0)
    assert room_left(unlimited, [Level(0, 0) for _ in unlimited.demands]) == Room(None, None)


@pytest.mark.parametrize(
    ("settled", "at_s", "expected"),
    [
        (100, DAY_S // 4, 400),
        (100, DAY_S // 1000, None),
        (0, DAY_S // 2, 0),
        (100, DAY_S, 100),
        (100, 2 * DAY_S, 100),
        (1, 50_000.9, 2),
    ],
)
def test_a_forecast_goes_on_as_the_window_began(settled: int, at_s: float, expected: int | None) -> None:
    assert forecast(DAY, settled, at_s) == expected


def test_a_total_has_no_forecast() -> None:
    assert forecast(Counter("tenant:acme", Unit.NUSD, Period.TOTAL), 5, 1e9) is None


def test_a_state_is_told_exactly() -> None:
    counter = Counter("tenant:acme", Unit.NUSD, Period.MONTH, 0, 31 * DAY_S)
    state = state_of(MONTHLY, counter, Level(99_999_999_999, USD), 15.5 * DAY_S)
    assert state.as_object() == {
        "scope": "tenant:acme",
        "unit": "usd",
        "window": "month",
        "limit": "100.000000000",
        "current_cost": "99.999999999",
        "held": "1.000000000",
        "usage_pct": "99.9",
        "alert": "0.950",
        "blocked": True,
        "resets_at": "1970-02-01T00:00:00Z",
        "forecast": "199.999999998",
    }


def test_a_stopped_scope_is_blocked_with_its_budget_untouched() -> None:
    counter = Counter("tenant:acme", Unit.NUSD, Period.MONTH, 0, 31 * DAY_S)
    assert not state_of(MONTHLY, counter, Level(0, 0), 5.0).is_blocked
    assert state_of(MONTHLY, counter, Level(0, 0), 5.0, is_stopped=True).is_blocked


@pytest.mark.parametrize(
    ("stop", "by"),
    [
        ("organisation", "organisation"),
        ("tenant:acme", "tenant:acme"),
        ("agent:desk", "agent:acme/desk"),
        ("conversation:acme/c1", "conversation:acme/c1"),
        ("agent:globex/desk", None),
        ("key:k2", None),
    ],
)
def test_a_stop_holds_for_all_that_falls_under_it(stop: str, by: str | None) -> None:
    scopes = scopes_of(Attribution("acme", "desk", conversation="c1"), "k1")
    found = stopped(scopes, {read_pattern(stop)})
    assert (found and str(found)) == by
    assert stopped(scopes, set()) is None
