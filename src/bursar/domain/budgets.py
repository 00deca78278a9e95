"""Budgets: how much a scope may take within a window, and what happens on the way there.

A ladder holds the steps of a budget, each at a share of its limit. What a step does begins when the *settled*
amount reaches that share, and what several steps do adds up. `refuse` and `refuse_new` are different: they
move the limit itself, which settled and held amounts together never pass. A budget whose ladder refuses
nothing is hard at its limit, so that to add a notification never lifts a limit.
"""

from enum import StrEnum

import msgspec

from bursar.domain.calendars import Calendar
from bursar.domain.money import divide_up
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Period, Unit
from bursar.domain.scopes import ScopeKind, ScopePattern

LIMIT_MAX = 1 << 62
"""The largest limit, in any unit; with grace it stays within 64 bits."""

GRACE_PER_MILLE = 50
"""Grace of a budget that does not say its own."""


class ActionKind(StrEnum):
    """What a step of a ladder may do."""

    NOTIFY = "notify"
    PREFER_CHEAPER = "prefer_cheaper"
    THROTTLE = "throttle"
    REFUSE_NEW = "refuse_new"  # Calls of new conversations; active ones have the grace.
    REFUSE = "refuse"  # All calls.


class Action(msgspec.Struct, frozen=True):
    """What a step does.

    Attributes:
        kind: What.
        notifier: Who is told; empty where it is no notification.
    """

    kind: ActionKind
    notifier: str = ""

    def __str__(self) -> str:
        """Write it as settings do: `throttle`, `notify:slack`."""
        return f"{self.kind.value}:{self.notifier}" if self.notifier else self.kind.value


class Step(msgspec.Struct, frozen=True):
    """One threshold of a ladder.

    Attributes:
        at_per_mille: Share of the limit.
        actions: What is done from there on.
    """

    at_per_mille: int
    actions: tuple[Action, ...]

    def does(self, kind: ActionKind) -> bool:
        """Whether it does something."""
        return any(action.kind is kind for action in self.actions)


def _notify(name: str) -> Action:
    return Action(ActionKind.NOTIFY, name)


DEFAULT_LADDER = (
    Step(500, (_notify("admin"),)),
    Step(800, (_notify("slack"), Action(ActionKind.PREFER_CHEAPER))),
    Step(950, (_notify("oncall"), Action(ActionKind.THROTTLE))),
    Step(1000, (Action(ActionKind.REFUSE_NEW),)),
)


def default_ladder(pattern: ScopePattern, unit: Unit, period: Period) -> tuple[Step, ...]:
    """Return the ladder of a budget that says none: that of a month's money of the whole or of a tenant."""
    is_wide = pattern.kind in {ScopeKind.ORGANISATION, ScopeKind.TENANT}
    return DEFAULT_LADDER if is_wide and unit is Unit.NUSD and period is Period.MONTH else ()


class Budget(msgspec.Struct, frozen=True):
    """A limit on one unit over one window, for one scope or for each of several.

    Attributes:
        pattern: The scopes.
        unit: What is limited.
        limit: How much, 1 to `LIMIT_MAX`; in nanodollars where the unit is money.
        period: How long its window is.
        calendar: Where and when windows begin.
        ladder: Its steps, rising; empty: hard at its limit.
        grace_per_mille: How much further the calls of active conversations may go where new ones are
            refused, as a share of the limit; at most 500.
    """

    pattern: ScopePattern
    unit: Unit
    limit: int
    period: Period
    calendar: Calendar = Calendar()
    ladder: tuple[Step, ...] = ()
    grace_per_mille: int = GRACE_PER_MILLE

    @property
    def hard_limit(self) -> int:
        """What settled and held amounts may come to for any call: rounded down, at least 1."""
        refused = self._at(ActionKind.REFUSE)
        if refused is not None:
            most = refused
        elif self._at(ActionKind.REFUSE_NEW) is None:
            most = PER_MILLE
        else:
            most = PER_MILLE + self.grace_per_mille
        return max(1, self.limit * most // PER_MILLE)

    @property
    def new_limit(self) -> int | None:
        """What they may come to for the call of a new conversation; None where that makes no difference."""
        at_per_mille = self._at(ActionKind.REFUSE_NEW)
        if at_per_mille is None:
            return None
        new_limit = max(1, self.limit * at_per_mille // PER_MILLE)
        return new_limit if new_limit < self.hard_limit else None

    @property
    def throttled_from(self) -> int | None:
        """The settled amount from which on calls are throttled; None for never."""
        at_per_mille = self._at(ActionKind.THROTTLE)
        return None if at_per_mille is None else divide_up(self.limit * at_per_mille, PER_MILLE)

    def crossed(self, settled: int) -> tuple[Step, ...]:
        """Return the steps that a settled amount has reached."""
        return tuple(step for step in self.ladder if settled * PER_MILLE >= self.limit * step.at_per_mille)

    def _at(self, kind: ActionKind) -> int | None:
        """Return the share of the limit at which it first does something."""
        return next((step.at_per_mille for step in self.ladder if step.does(kind)), None)
