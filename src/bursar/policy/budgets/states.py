"""How budgets stand, for people and their dashboards."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from bursar.domain.budgets import Budget, Step
from bursar.domain.money import divide_half_even
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Counter, Level
from bursar.domain.scopes import Scope, ScopePattern, holders
from bursar.policy.budgets.amount_texts import exact, suffix_of
from bursar.policy.budgets.standing import standing
from bursar.policy.budgets.stops import stopped

FORECAST_FROM_PER_MILLE = 10
"""Share of a window that must have passed before it says anything about the rest."""


class BudgetState(msgspec.Struct, frozen=True):
    """How one budget stands for one scope.

    Attributes:
        counter: Its counter.
        budget: The budget.
        level: How the counter stands.
        alert: The highest step of its ladder that has been reached.
        is_blocked: Whether no further call fits, or no new conversation's, or the scope is stopped.
        resets_at: When its window ends, RFC 3339; None for never.
        forecast: What will have been settled at the window's end if it goes on as it did since its start;
            None where the window has no end, or has hardly begun.
        alert_state: What became of telling people of the highest step reached, as `Alert.state` has it; None
            where nobody was to be told, or that is not known here.
    """

    counter: Counter
    budget: Budget
    level: Level
    alert: Step | None
    is_blocked: bool
    resets_at: str | None
    forecast: int | None
    alert_state: str | None = None

    @property
    def usage_pct(self) -> str:
        """The settled amount in per cent of the limit, one place, rounded down: 100.0 is not said early."""
        whole, tenth = divmod(self.level.settled * PER_MILLE // self.budget.limit, 10)
        return f"{whole}.{tenth}"

    def as_object(self) -> dict[str, str | int | bool | None]:
        """Return it as every `--json` and the API give it; money as decimal USD with nine places."""
        unit = self.budget.unit
        alert = (
            self.alert and f"{self.alert.at_per_mille // PER_MILLE}.{self.alert.at_per_mille % PER_MILLE:03d}"
        )
        return {
            "scope": self.counter.scope,
            "unit": suffix_of(unit),
            "window": self.budget.period.value,
            "limit": exact(unit, self.budget.limit),
            "current_cost": exact(unit, self.level.settled),
            "held": exact(unit, self.level.held),
            "usage_pct": self.usage_pct,
            "alert": alert,
            "blocked": self.is_blocked,
            "resets_at": self.resets_at,
            "forecast": None if self.forecast is None else exact(unit, self.forecast),
        }


def states_of(
    budgets: Sequence[tuple[Budget, Scope, Counter]],
    levels: Sequence[Level],
    stops: AbstractSet[ScopePattern],
    at_s: float,
) -> list[BudgetState]:
    """Say how budgets stand for their scopes.

    Args:
        budgets: Each with one of its scopes, and its counter for that.
        levels: How the counters stand, in order.
        stops: What operators have stopped.
        at_s: When, in seconds since the epoch.
    """
    return [
        state_of(budget, counter, level, at_s, is_stopped=stopped(holders(scope), stops) is not None)
        for (budget, scope, counter), level in zip(budgets, levels, strict=True)
    ]


def state_of(
    budget: Budget, counter: Counter, level: Level, at_s: float, *, is_stopped: bool = False
) -> BudgetState:
    """Say how a budget stands.

    Args:
        budget: The budget.
        counter: Its counter for one of its scopes.
        level: How that stands.
        at_s: When, in seconds since the epoch.
        is_stopped: Whether an operator has stopped the scope, or one that holds it.
    """
    stands = standing(budget, level)
    return BudgetState(
        counter=counter,
        budget=budget,
        level=level,
        alert=stands.alert,
        is_blocked=is_stopped or stands.is_blocked,
        resets_at=None if counter.end_s is None else budget.calendar.text(counter.end_s),
        forecast=forecast(counter, level.settled, at_s),
    )


def forecast(counter: Counter, settled: int, at_s: float) -> int | None:
    """Say what a window will have settled at its end if it goes on as it did since its start.

    Args:
        counter: The window's.
        settled: What it has settled so far.
        at_s: The moment.

    Returns:
        The settled amount in proportion to the time that has passed, in whole seconds, rounded half to even;
        None for a window without an end, and before a hundredth of it has passed. After its end, what was
        settled.
    """
    if counter.end_s is None:
        return None
    length_s = counter.end_s - counter.start_s
    passed_s = min(int(at_s) - counter.start_s, length_s)
    if passed_s * PER_MILLE < length_s * FORECAST_FROM_PER_MILLE:
        return None
    return divide_half_even(settled * length_s, passed_s)
