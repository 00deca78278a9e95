"""Laws of alerts: in whatever order calls settle, and whoever sees it, each step is told at most once."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from alert_crossings import BUDGET, LADDER, START_S, counter
from bursar.adapters.alerts.outbox import Outbox
from bursar.domain.reservations import Demand, Level, Reservation
from bursar.policy.alerts.crossings import Crossing, CrossingWatch, amount_at, notifying_steps
from bursar.policy.budgets.book import BudgetBook

Calls = list[tuple[int, int, int]]

PROCESSES = 3
RANDOMS = st.randoms(use_true_random=False)
CALLS = st.lists(
    st.tuples(st.integers(0, PROCESSES - 1), st.integers(0, 1), st.integers(0, 40)), min_size=1, max_size=30
)


def crossings_of(calls: Calls, draw: Random) -> tuple[list[list[Crossing]], dict[int, int]]:
    """Let processes settle calls in counters that they share, and see them in any order.

    Returns what each saw, and what was settled in each hour.
    """
    watches = [CrossingWatch(BudgetBook([BUDGET])) for _ in range(PROCESSES)]
    seen: list[list[Crossing]] = [[] for _ in watches]
    settled: dict[int, int] = {}
    told: list[tuple[int, int, int, int]] = []
    for process, hour, amount in calls:
        settled[hour] = settled.get(hour, 0) + amount
        told.append((process, hour, amount, settled[hour]))
    draw.shuffle(told)
    for process, hour, amount, after in told:
        reservation = Reservation("op", "one", (Demand(counter(hour=hour)),), (amount,))
        watches[process].look(reservation, [amount], [Level(after, 0)])
        seen[process] += watches[process].take()
    return seen, settled


@given(CALLS, RANDOMS)
def test_every_step_that_is_reached_is_crossed_by_exactly_one_call(calls: Calls, draw: Random) -> None:
    seen, settled = crossings_of(calls, draw)
    fresh = [
        (crossing.counter, step.at_per_mille) for own in seen for crossing in own for step in crossing.fresh
    ]
    assert len(fresh) == len(set(fresh))
    assert set(fresh) == {
        (counter(hour=hour), step.at_per_mille)
        for hour, amount in settled.items()
        for step in notifying_steps(BUDGET)
        if amount_at(BUDGET, step) <= amount
    }


@settings(max_examples=30, deadline=None)
@given(CALLS, RANDOMS)
def test_in_whatever_order_processes_record_what_they_saw_each_alert_is_there_once_and_the_highest_is_told(
    calls: Calls, draw: Random
) -> None:
    seen, settled = crossings_of(calls, draw)
    batches = [[(crossing, START_S + 1.0)] for own in seen for crossing in own for _ in range(2)]
    draw.shuffle(batches)
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox.open(Path(folder))
        due = [alert_id for batch in batches for alert_id in outbox.record(batch, ("ann", "bob"), 1.0)]
        alerts = outbox.newest()
    assert len(due) == len(set(due))
    for hour, amount in settled.items():
        own = {alert.at_per_mille: alert for alert in alerts if alert.counter == counter(hour=hour)}
        reached = [step.at_per_mille for step in notifying_steps(BUDGET) if amount_at(BUDGET, step) <= amount]
        assert sorted(own) == reached
        assert not reached or not own[reached[-1]].is_passed
    assert {step.at_per_mille for step in LADDER if not step.actions[0].notifier}.isdisjoint(
        alert.at_per_mille for alert in alerts
    )
