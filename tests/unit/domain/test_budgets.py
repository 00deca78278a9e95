"""What a ladder makes of a limit."""

import pytest

from bursar.domain.budgets import DEFAULT_LADDER, Action, ActionKind, Budget, Step, default_ladder
from bursar.domain.reservations import Period, Unit
from bursar.domain.scopes import read_pattern

REFUSE = Action(ActionKind.REFUSE)
REFUSE_NEW = Action(ActionKind.REFUSE_NEW)


def budget(*steps: Step, limit: int = 1000, grace: int = 50) -> Budget:
    return Budget(
        read_pattern("tenant:acme"), Unit.TOKENS, limit, Period.DAY, ladder=steps, grace_per_mille=grace
    )


def test_without_a_ladder_a_budget_is_hard_at_its_limit() -> None:
    assert (budget().hard_limit, budget().new_limit) == (1000, None)


def test_a_ladder_that_refuses_nothing_lifts_no_limit() -> None:
    told = budget(Step(800, (Action(ActionKind.NOTIFY, "slack"), Action(ActionKind.THROTTLE))))
    assert (told.hard_limit, told.new_limit) == (1000, None)


def test_where_new_conversations_are_refused_active_ones_have_the_grace() -> None:
    early = budget(Step(900, (REFUSE_NEW,)))
    assert (early.hard_limit, early.new_limit) == (1050, 900)
    assert budget(Step(1000, (REFUSE_NEW,)), grace=0).new_limit is None


def test_a_refusal_of_all_ends_the_grace() -> None:
    both = budget(Step(900, (REFUSE_NEW,)), Step(1000, (REFUSE,)))
    assert (both.hard_limit, both.new_limit) == (1000, 900)
    assert budget(Step(500, (REFUSE,)), Step(900, (REFUSE_NEW,))).new_limit is None
    assert budget(Step(500, (REFUSE,))).hard_limit == 500


def test_shares_of_a_limit_are_rounded_so_that_nothing_is_beyond() -> None:
    odd = budget(Step(333, (Action(ActionKind.THROTTLE),)), Step(333, (REFUSE_NEW,)), limit=10)
    assert (odd.new_limit, odd.hard_limit, odd.throttled_from) == (3, 10, 4)
    assert budget(Step(1, (REFUSE,)), limit=1).hard_limit == 1


@pytest.mark.parametrize(("settled", "crossed"), [(0, 0), (499, 0), (500, 1), (799, 1), (950, 3), (1001, 4)])
def test_steps_are_crossed_by_what_is_settled(settled: int, crossed: int) -> None:
    assert budget(*DEFAULT_LADDER).crossed(settled) == DEFAULT_LADDER[:crossed]


@pytest.mark.parametrize(
    ("scope", "unit", "period", "has_it"),
    [
        ("organisation", Unit.NUSD, Period.MONTH, True),
        ("tenant:*", Unit.NUSD, Period.MONTH, True),
        ("tenant:acme", Unit.TOKENS, Period.MONTH, False),
        ("tenant:acme", Unit.NUSD, Period.DAY, False),
        ("agent:desk", Unit.NUSD, Period.MONTH, False),
    ],
)
def test_a_months_money_of_the_whole_or_of_a_tenant_has_a_ladder_by_default(
    scope: str, unit: Unit, period: Period, has_it: bool
) -> None:
    assert default_ladder(read_pattern(scope), unit, period) == (DEFAULT_LADDER if has_it else ())
