"""Which steps are seen to be crossed."""

import msgspec

from alert_crossings import BUDGET, HOUR_S, START_S, counter, settle
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Demand, Level, Period, Reservation, Unit
from bursar.domain.scopes import read_pattern
from bursar.policy.alerts.crossings import Crossing, CrossingWatch
from bursar.policy.budgets.book import BudgetBook


def watch_of(*budgets: Budget) -> CrossingWatch:
    return CrossingWatch(BudgetBook(budgets or (BUDGET,)))


def ats(crossings: list[Crossing]) -> list[tuple[list[int], list[int]]]:
    return [
        ([step.at_per_mille for step in each.fresh], [step.at_per_mille for step in each.missed])
        for each in crossings
    ]


def test_a_step_is_crossed_by_the_call_that_reaches_it_and_by_no_other() -> None:
    watch = watch_of()
    assert settle(watch, 1, 49) == []
    assert ats(settle(watch, 1, 50)) == [([500], [])]
    assert settle(watch, 1, 51) == []
    assert settle(watch, 20, 79) == []


def test_a_call_can_cross_several_steps_and_those_that_tell_nobody_are_left_out() -> None:
    assert ats(settle(watch_of(), 100, 100)) == [([500, 800, 1000], [])]
    assert ats(settle(watch_of(), 95, 95)) == [([500, 800], [])]


def test_what_others_crossed_before_is_told_apart() -> None:
    assert ats(settle(watch_of(), 1, 81)) == [([], [500, 800])]
    assert ats(settle(watch_of(), 2, 81)) == [([800], [500])]


def test_a_call_that_is_seen_late_has_crossed_what_it_crossed() -> None:
    watch = watch_of()
    assert ats(settle(watch, 1, 51)) == [([], [500])]
    assert ats(settle(watch, 1, 50)) == [([500], [])]
    assert settle(watch, 1, 52) == settle(watch, 1, 49) == []
    assert ats(settle(watch, 1, 80)) == [([800], [])]


def test_each_window_and_each_scope_has_crossings_of_its_own() -> None:
    watch = watch_of()
    for of in (counter(), counter(hour=1), counter("tenant:b")):
        assert ats(settle(watch, 60, 60, of)) == [([500], [])]
        assert settle(watch, 1, 61, of) == []


def test_counters_without_a_ladder_that_tells_somebody_are_passed_over() -> None:
    watch = watch_of(BUDGET, Budget(read_pattern("tenant:*"), Unit.TOKENS, 10, Period.HOUR))
    for of in (counter("agent:acme/desk"), counter(unit=Unit.TOKENS), counter(unit=Unit.REQUESTS)):
        assert settle(watch, 100, 100, of) == []
    # Of the same period, but of another calendar's window.
    shifted = Counter("tenant:acme", Unit.TURNS, Period.HOUR, START_S + 1800, START_S + 1800 + HOUR_S)
    assert settle(watch, 100, 100, shifted) == []


def test_a_watch_without_ladders_is_idle() -> None:
    assert watch_of(Budget(read_pattern("tenant:*"), Unit.TURNS, 10, Period.DAY)).is_idle
    assert not watch_of().is_idle


def test_nothing_is_crossed_where_nothing_changed() -> None:
    watch = watch_of()
    reservation = Reservation("op", "one", (Demand(counter()),), (100,))
    assert not watch.look(reservation, [100], ())
    assert watch.take() == []


def test_a_total_is_watched_from_its_beginning() -> None:
    total = Budget(read_pattern("conversation:*"), Unit.NUSD, 10, Period.TOTAL, ladder=BUDGET.ladder)
    of = Counter("conversation:acme/c1", Unit.NUSD, Period.TOTAL)
    assert ats(settle(watch_of(total), 6, 6, of)) == [([500], [])]


def test_other_budgets_are_looked_at_afresh() -> None:
    watch = watch_of()
    settle(watch, 60, 60)
    watch.replace(BudgetBook([msgspec.structs.replace(BUDGET, limit=70)]))
    assert ats(settle(watch, 1, 61)) == [([], [500, 800])]


def test_the_ledger_shows_what_nobody_saw() -> None:
    settled = {counter(): 85, counter("tenant:b"): 49, counter("agent:acme/desk"): 100}
    (found,) = watch_of().review(settled)
    assert (found.counter, [step.at_per_mille for step in found.missed]) == (counter(), [500, 800])


def test_amounts_round_up_to_the_step() -> None:
    watch = watch_of(msgspec.structs.replace(BUDGET, limit=7))
    reservation = Reservation("op", "one", (Demand(counter()),), (1,))
    assert not watch.look(reservation, [1], [Level(3, 0)])
    assert watch.look(reservation, [1], [Level(4, 0)])
