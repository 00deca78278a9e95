"""Which steps of ladders the settled amounts have just crossed, as far as somebody is to be told of them.

Every settled call passes here, so that nearly all must be done with after a look at one number for each of
their counters: the amount at which the next step begins. Whether a step was told before is not known here;
the outbox has each once.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.domain.budgets import ActionKind, Budget, Step
from bursar.domain.money import divide_up
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Counter, Level, Period, Reservation, Unit
from bursar.domain.scopes import ScopeKind, read_scope
from bursar.policy.budgets.book import BudgetBook

# More than any amount: no further step is to be told of.
_NEVER = 1 << 64

_UNSEEN = (0, 0)

# Some 30 MB. A counter that is forgotten is looked at anew, which changes nothing.
_COUNTERS_MAX = 100_000

# What is left out then is found when the ledger is next gone through.
_WAITING_MAX = 10_000

_DAY_S = 86_400


class Crossing(msgspec.Struct, frozen=True):
    """Steps of one budget that the settled amount has reached.

    Attributes:
        counter: The budget's counter.
        budget: The budget.
        settled: The amount.
        fresh: Steps that were crossed just now, by one call; rising.
        missed: Steps that were crossed before, as far as this process knows by others, rising: who crossed
            them tells of them, unless it did not live to do so.
    """

    counter: Counter
    budget: Budget
    settled: int
    fresh: tuple[Step, ...] = ()
    missed: tuple[Step, ...] = ()


def notifying_steps(budget: Budget) -> tuple[Step, ...]:
    """Return the steps of a budget's ladder at which somebody is to be told, rising."""
    return tuple(step for step in budget.ladder if step.does(ActionKind.NOTIFY))


def amount_at(budget: Budget, step: Step) -> int:
    """Return the settled amount from which on a step is reached."""
    return divide_up(budget.limit * step.at_per_mille, PER_MILLE)


class CrossingWatch:
    """Sees crossings in what calls settle. Not thread-safe.

    Args:
        book: The budgets in force.
    """

    def __init__(self, book: BudgetBook) -> None:
        self.replace(book)
        self._waiting = deque[Crossing](maxlen=_WAITING_MAX)

    def replace(self, book: BudgetBook) -> None:
        """Go by other budgets from now on."""
        self.book = book
        self._steps = {budget: steps for budget in book.budgets if (steps := notifying_steps(budget))}
        self._kinds: frozenset[tuple[ScopeKind, Unit, Period]] = frozenset(
            (budget.pattern.kind, budget.unit, budget.period) for budget in self._steps
        )
        # For each counter the amount from which on there is a step to be seen, and the highest step that was.
        self._due = BoundedDict[Counter, tuple[int, int]](_COUNTERS_MAX)
        # Whether nobody is ever told of anything.
        self.is_idle = not self._steps

    @property
    def budgets(self) -> Sequence[Budget]:
        """The budgets with steps at which somebody is told."""
        return tuple(self._steps)

    def look(self, reservation: Reservation, amounts: Sequence[int], levels: Sequence[Level]) -> bool:
        """Look at what a call has settled.

        Args:
            reservation: What it held.
            amounts: What it took of each demand's counter, in order.
            levels: The counters afterwards, in order; empty where nothing changed.

        Returns:
            Whether a crossing waits to be taken.
        """
        if not levels:
            return False
        due = self._due
        for demand, amount, level in zip(reservation.demands, amounts, levels, strict=True):
            settled = level.settled
            next_at, last_at = due.get(demand.counter, _UNSEEN)
            # Calls are seen in another order than they settled in: one may come late that crossed a step
            # which is known to be crossed.
            if settled >= next_at or settled - amount < last_at:
                self._cross(demand.counter, amount, settled)
        return bool(self._waiting)

    def take(self) -> list[Crossing]:
        """Return the crossings that wait, in order."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def review(self, settled: Mapping[Counter, int]) -> Iterator[Crossing]:
        """Yield what has been crossed by what counters have settled, whoever crossed it and when.

        Args:
            settled: Amounts, by counter; such as the ledger has them.
        """
        for counter, amount in settled.items():
            budget = self._find(counter)
            if budget is not None:
                reached = tuple(step for step in self._steps[budget] if amount_at(budget, step) <= amount)
                if reached:
                    yield Crossing(counter, budget, amount, missed=reached)

    def _cross(self, counter: Counter, amount: int, settled: int) -> None:
        budget = self._find(counter)
        if budget is None:
            self._due.keep(counter, (_NEVER, 0))
            return
        seen_to = self._due.get(counter, _UNSEEN)[1]
        steps = self._steps[budget]
        reached = [(at, step) for step in steps if (at := amount_at(budget, step)) <= settled]
        fresh = tuple(step for at, step in reached if at > settled - amount)
        missed = tuple(step for at, step in reached if seen_to < at <= settled - amount)
        last_at = reached[-1][0] if reached else 0
        if last_at >= seen_to:
            next_at = amount_at(budget, steps[len(reached)]) if len(reached) < len(steps) else _NEVER
            self._due.keep(counter, (next_at, last_at))
        if fresh or missed:
            self._waiting.append(Crossing(counter, budget, settled, fresh, missed))

    def _find(self, counter: Counter) -> Budget | None:
        """Return the budget with steps to be told of that a counter belongs to; None for none."""
        kind = ScopeKind(counter.scope.partition(":")[0])
        if (kind, counter.unit, counter.period) not in self._kinds:
            return None
        scope = read_scope(counter.scope)
        # The total has no beginning; any moment will do, and time zones know those after 1970.
        at_s = counter.start_s or _DAY_S
        for budget in self.book.of(scope):
            if budget in self._steps and self.book.counter(budget, scope, at_s) == counter:
                return budget
        return None
