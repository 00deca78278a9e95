"""Laws of scopes, ladders and what calls ask."""

from hypothesis import given
from hypothesis import strategies as st

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import LIMIT_MAX, Action, ActionKind, Budget, Step
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern, patterns_of, read_pattern, scopes_of
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claimant
from bursar.policy.budgets.standing import standing
from bursar.policy.budgets.states import forecast

NAMES = st.text(st.sampled_from("ab/%2F5é"), min_size=1, max_size=6)
SCOPES = st.builds(
    Scope, st.sampled_from([ScopeKind.AGENT, ScopeKind.USER, ScopeKind.CONVERSATION]), NAMES, NAMES
) | st.builds(Scope, st.sampled_from([ScopeKind.TENANT, ScopeKind.KEY]), st.just(""), NAMES)
LIMITS = st.integers(1, LIMIT_MAX)


@st.composite
def ladders(draw):
    ats = sorted(draw(st.sets(st.integers(1, 1000), max_size=5)))
    actions = st.sets(st.sampled_from(ActionKind).map(Action), min_size=1).map(tuple)
    return tuple(Step(at, draw(actions)) for at in ats)


BUDGETS = st.builds(
    Budget,
    pattern=st.sampled_from(
        ["organisation", "tenant:*", "tenant:a", "agent:*", "agent:b", "agent:a/b", "user:*"]
    ).map(read_pattern),
    unit=st.sampled_from(Unit),
    limit=LIMITS,
    period=st.sampled_from(Period),
    ladder=ladders(),
    grace_per_mille=st.integers(0, 500),
)
ATTRIBUTIONS = st.builds(
    Attribution,
    tenant=st.sampled_from("ab"),
    agent=st.sampled_from("bc"),
    conversation=st.sampled_from(["", "c"]),
    user=st.sampled_from(["", "u"]),
)


@given(SCOPES, SCOPES)
def test_scopes_are_written_alike_only_if_they_are_the_same(one: Scope, other: Scope) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(SCOPES)
def test_a_scope_that_was_written_is_read_as_itself(scope: Scope) -> None:
    assert read_pattern(str(scope)).scope == scope


@given(SCOPES)
def test_a_pattern_that_was_written_is_read_as_itself(scope: Scope) -> None:
    for pattern in patterns_of(scope):
        assert read_pattern(str(pattern)) == pattern


@given(BUDGETS)
def test_no_ladder_lets_anybody_beyond_limit_and_grace(budget: Budget) -> None:
    assert 1 <= budget.hard_limit <= max(1, budget.limit * (1000 + budget.grace_per_mille) // 1000)
    assert budget.hard_limit < 1 << 63
    if budget.new_limit is not None:
        assert 1 <= budget.new_limit <= min(budget.limit, budget.hard_limit - 1)
    if not any(step.does(ActionKind.REFUSE_NEW) for step in budget.ladder):
        assert budget.hard_limit <= budget.limit


@given(BUDGETS, LIMITS)
def test_a_step_is_crossed_at_its_share_and_not_before(budget: Budget, settled: int) -> None:
    crossed = budget.crossed(settled)
    assert crossed == budget.ladder[: len(crossed)]
    for step in budget.ladder:
        assert (step in crossed) == (settled * 1000 >= budget.limit * step.at_per_mille)
    assert standing(budget, Level(settled, 0)).is_blocked == (
        settled >= (budget.new_limit or budget.hard_limit)
    )
    if budget.throttled_from is not None:
        throttles = any(step.does(ActionKind.THROTTLE) for step in crossed)
        assert throttles == (settled >= budget.throttled_from)


@given(st.lists(BUDGETS, max_size=8), ATTRIBUTIONS, st.floats(1e9, 4e9))
def test_a_claim_asks_each_counter_once_in_the_window_of_now(
    budgets: list[Budget], attribution: Attribution, at_s: float
) -> None:
    book = BudgetBook(budgets)
    claim = book.claim(Claimant("op", attribution), Amounts(5, 7), at_s)
    counters = [demand.counter for demand in claim.demands]
    assert len(set(counters)) == len(counters)
    assert all(c.start_s <= at_s and (c.end_s is None or at_s < c.end_s) for c in counters)
    for throttle in claim.reservation.throttles:
        assert {throttle.budget, throttle.minute, throttle.hours[0]} <= set(counters)
    asked = {(d.counter.scope, b) for d, b in zip(claim.demands, claim.budgets, strict=True) if b is not None}
    falls_under = {(str(scope), b) for scope in scopes_of(attribution) for b in book.of(scope)}
    assert asked == falls_under


@given(st.lists(BUDGETS, max_size=8), ATTRIBUTIONS)
def test_every_budget_that_holds_a_scope_counts_or_gives_way_to_a_more_particular(
    budgets: list[Budget], attribution: Attribution
) -> None:
    book = BudgetBook(budgets)
    for scope in scopes_of(attribution):
        order = list(patterns_of(scope))
        ranks = {(b.unit, b.period): order.index(b.pattern) for b in book.of(scope)}
        for budget in budgets:
            if budget.pattern in order:
                assert ranks[budget.unit, budget.period] <= order.index(budget.pattern)


@given(LIMITS, st.integers(0, 86_400))
def test_a_forecast_is_never_below_what_was_settled(settled: int, passed_s: int) -> None:
    expected = forecast(Counter("tenant:a", Unit.NUSD, Period.DAY, 0, 86_400), settled, passed_s)
    assert expected is None or expected >= settled


def test_the_organisation_is_one_scope() -> None:
    assert ScopePattern.only(Scope.organisation()).scope == Scope.organisation()
