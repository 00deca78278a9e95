"""What a call asks of the budgets that it falls under."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import DEFAULT_LADDER, Action, ActionKind, Budget, Step
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Demand, Period, Unit
from bursar.domain.scopes import Scope, ScopeKind, read_pattern
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claim, Claimant

NOW_S = datetime(2026, 11, 24, 12, 30, 30, tzinfo=UTC).timestamp()
MOST = Amounts(nusd=7_000, tokens=900)
USD = 10**9


def budget(
    scope: str, unit: Unit = Unit.NUSD, limit: int = USD, period: Period = Period.WEEK, **more
) -> Budget:
    return Budget(read_pattern(scope), unit, limit, period, **more)


def claim(*budgets: Budget, most: Amounts = MOST, at_s: float = NOW_S, key_id: str = "k1", **names) -> Claim:
    attribution = Attribution(
        **{"tenant": "acme", "agent": "desk", "conversation": "c1", "user": "ann", **names}
    )
    return BudgetBook(budgets).claim(Claimant("op", attribution, key_id), most, at_s)


def limited(claim: Claim) -> list[Demand]:
    return [demand for demand in claim.demands if demand.limit is not None]


def named(demand: Demand) -> tuple[str, str, str]:
    counter = demand.counter
    return counter.scope, counter.unit.value, counter.period.value


def test_every_calls_money_is_counted_for_its_tenant_and_its_agent() -> None:
    asked = claim()
    assert [named(demand) for demand in asked.demands] == [
        ("tenant:acme", "nusd", "hour"),
        ("tenant:acme", "nusd", "day"),
        ("agent:acme/desk", "nusd", "hour"),
        ("agent:acme/desk", "nusd", "day"),
    ]
    assert {demand.limit for demand in asked.demands} == {None}
    assert asked.reservation.amounts == (7_000,) * 4
    assert asked.budgets == (None,) * 4


def test_a_call_is_held_against_every_scope_that_it_falls_under() -> None:
    scopes = ("organisation", "tenant:*", "agent:*", "key:*", "user:*", "conversation:*")
    asked = limited(claim(*(budget(scope) for scope in scopes)))
    assert [demand.counter.scope for demand in asked] == [
        "organisation",
        "tenant:acme",
        "agent:acme/desk",
        "key:k1",
        "user:acme/ann",
        "conversation:acme/c1",
    ]


def test_what_a_call_does_not_fall_under_is_not_asked() -> None:
    others = ("tenant:globex", "agent:globex/desk", "key:k2", "user:bob", "conversation:globex/*")
    assert not limited(claim(*(budget(scope) for scope in others)))
    assert not limited(claim(budget("key:*"), budget("user:*"), key_id="", user=""))


def test_each_unit_asks_for_what_it_counts() -> None:
    asked = claim(
        budget("tenant:*", Unit.TOKENS, 10_000),
        budget("tenant:*", Unit.TURNS, 40),
        budget("tenant:*", Unit.REQUESTS, 60, Period.MINUTE),
        budget("tenant:*", Unit.OPEN_CALLS, 4, Period.TOTAL),
    )
    assert (
        dict(zip(asked.demands, asked.reservation.amounts, strict=True)).items()
        >= dict(zip(limited(asked), [900, 1, 1, 1], strict=True)).items()
    )


def test_windows_are_those_of_the_budgets_own_calendar() -> None:
    berlin = Calendar(ZoneInfo("Europe/Berlin"), 15)
    (demand,) = limited(claim(budget("tenant:acme", period=Period.MONTH, calendar=berlin)))
    assert berlin.text(demand.counter.start_s) == "2026-11-15T00:00:00+01:00"


def test_only_the_most_particular_budget_of_a_scope_counts() -> None:
    asked = claim(
        budget("agent:*", limit=1),
        budget("agent:acme/*", limit=2),
        budget("agent:desk", limit=3),
        budget("agent:acme/desk", limit=4, calendar=Calendar(ZoneInfo("Asia/Tokyo"))),
        budget("agent:*", limit=5, period=Period.DAY),
    )
    assert [demand.limit for demand in limited(asked)] == [4, 5]


def test_a_raised_cap_of_one_conversation_leaves_the_others_alone() -> None:
    scope = Scope(ScopeKind.CONVERSATION, "acme", "c1")
    caps = (
        budget("conversation:*", Unit.TURNS, 40, Period.TOTAL),
        budget(str(scope), Unit.TURNS, 60, Period.TOTAL),
    )
    assert limited(claim(*caps))[0].limit == 60
    assert limited(claim(*caps, conversation="c2"))[0].limit == 40
    assert limited(claim(*caps, tenant="globex"))[0].limit == 40


def test_a_budget_on_what_is_counted_anyway_asks_once() -> None:
    asked = claim(budget("tenant:acme", period=Period.DAY), budget("agent:desk", period=Period.HOUR))
    counters = [demand.counter for demand in asked.demands]
    assert len(set(counters)) == len(counters) == 4
    assert [demand.limit for demand in asked.demands if demand.limit] == [USD, USD]


def test_active_conversations_have_the_grace() -> None:
    (demand,) = limited(claim(budget("tenant:acme", ladder=DEFAULT_LADDER)))
    assert (demand.limit, demand.new_limit) == (1_050_000_000, USD)


def test_a_throttle_counts_the_scopes_requests() -> None:
    ladder = (Step(950, (Action(ActionKind.THROTTLE),)),)
    per_minute = budget("tenant:acme", Unit.REQUESTS, 60, Period.MINUTE)
    asked = claim(budget("tenant:acme", ladder=ladder), per_minute)
    (throttle,) = asked.reservation.throttles
    demands = {demand.counter: demand for demand in asked.demands}
    assert len(demands) == len(asked.demands)
    assert throttle.from_amount == 950_000_000
    assert demands[throttle.budget].limit == USD
    assert demands[throttle.minute].limit == 60
    assert demands[throttle.hours[0]].limit is None
    assert throttle.hours[1].end_s == throttle.hours[0].start_s
    assert throttle.hours[0].start_s == NOW_S - 30 * 60 - 30
    assert asked.form.throttling[0].period is Period.WEEK


def test_a_call_of_no_known_conversation_is_one_of_its_own() -> None:
    asked = claim(budget("conversation:*"), conversation="")
    assert not limited(asked)
    assert asked.reservation.conversation == "call:op"
    assert claim().reservation.conversation == "conversation:acme/c1"


def test_a_book_that_was_asked_before_asks_in_the_windows_of_now() -> None:
    book = BudgetBook([budget("tenant:*", Unit.REQUESTS, 60, Period.MINUTE), budget("conversation:*")])
    claimant = Claimant("op", Attribution(conversation="c1"))
    for at_s in (NOW_S, NOW_S + 29, NOW_S + 30, NOW_S + 8 * 86_400, NOW_S):
        for demand in book.claim(claimant, MOST, at_s).demands:
            counter = demand.counter
            assert counter.end_s is not None
            assert counter.start_s <= at_s < counter.end_s


def test_more_is_held_for_another_attempt_and_never_less() -> None:
    asked = claim(budget("tenant:*", Unit.TURNS, 40), budget("tenant:*"))
    more = asked.extended(Amounts(nusd=9_000, tokens=10))
    assert [demand.counter for demand in more.demands] == [demand.counter for demand in asked.demands]
    assert set(more.reservation.amounts) == {1, 9_000}
    assert asked.extended(Amounts(nusd=5, tokens=5)) == asked


def test_what_was_taken_is_settled_by_unit() -> None:
    asked = claim(
        budget("key:k1", Unit.TOKENS, 10_000),
        budget("key:k1", Unit.TURNS, 40),
        budget("key:k1", Unit.REQUESTS, 60, Period.MINUTE),
        budget("key:k1", Unit.OPEN_CALLS, 4, Period.TOTAL),
    )
    units = [demand.counter.unit for demand in asked.demands]
    taken = dict(zip(units, asked.taken(Amounts(5, 6), answered=True), strict=True))
    assert taken == {Unit.NUSD: 5, Unit.TOKENS: 6, Unit.TURNS: 1, Unit.REQUESTS: 1, Unit.OPEN_CALLS: 0}
    failed = dict(zip(units, asked.taken(Amounts(None, 0), answered=False), strict=True))
    assert failed == {Unit.NUSD: 7_000, Unit.TOKENS: 0, Unit.TURNS: 0, Unit.REQUESTS: 1, Unit.OPEN_CALLS: 0}


def test_a_call_of_unknown_cost_is_unbounded_where_money_is_limited() -> None:
    unknown = Amounts(nusd=None, tokens=900)
    assert claim(most=unknown).unbounded(unknown) is None
    assert claim(budget("tenant:*", Unit.TOKENS, 5_000), most=unknown).unbounded(unknown) is None
    asked = claim(budget("tenant:*", Unit.TURNS, 40), budget("tenant:*"), most=unknown)
    number = asked.unbounded(unknown)
    assert number is not None
    assert asked.demands[number].counter.unit is Unit.NUSD
    assert asked.unbounded(MOST) is None
