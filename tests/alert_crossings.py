"""Budgets and crossings of the alert tests."""

from bursar.domain.budgets import Action, ActionKind, Budget, Step
from bursar.domain.reservations import Counter, Demand, Level, Period, Reservation, Unit
from bursar.domain.scopes import read_pattern
from bursar.policy.alerts.crossings import Crossing, CrossingWatch

HOUR_S = 3_600
START_S = 498_000 * HOUR_S


def step(at_per_mille: int, *notifiers: str) -> Step:
    """A step that tells somebody; that throttles where nobody is named."""
    actions = tuple(Action(ActionKind.NOTIFY, name) for name in notifiers)
    return Step(at_per_mille, actions or (Action(ActionKind.THROTTLE),))


LADDER = (step(500, "ann"), step(800, "bob"), step(900), step(1000, "ann", "bob"))
BUDGET = Budget(read_pattern("tenant:*"), Unit.TURNS, 100, Period.HOUR, ladder=LADDER)


def counter(scope: str = "tenant:acme", hour: int = 0, unit: Unit = Unit.TURNS) -> Counter:
    """A counter of the budget."""
    start_s = START_S + hour * HOUR_S
    return Counter(scope, unit, Period.HOUR, start_s, start_s + HOUR_S)


def settle(watch: CrossingWatch, amount: int, after: int, of: Counter | None = None) -> list[Crossing]:
    """Let a call settle an amount, and return what it crossed."""
    reservation = Reservation("op", "one", (Demand(of or counter()),), (amount,))
    watch.look(reservation, [amount], [Level(after, 0)])
    return watch.take()


def crossing(fresh: tuple[int, ...] = (), missed: tuple[int, ...] = (), hour: int = 0) -> Crossing:
    """A crossing of the budget's steps, by their thresholds."""
    by_at = {each.at_per_mille: each for each in LADDER}
    return Crossing(
        counter(hour=hour),
        BUDGET,
        99,
        fresh=tuple(by_at[at] for at in fresh),
        missed=tuple(by_at[at] for at in missed),
    )
