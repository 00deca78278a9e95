"""How far up their ladders budgets are."""

from collections.abc import Sequence

import msgspec

from bursar.domain.budgets import ActionKind, Budget, Step
from bursar.domain.reservations import Level
from bursar.policy.budgets.claims import MONEY, TOKENS, Claim


class Standing(msgspec.Struct, frozen=True):
    """Where a budget stands for one scope.

    Attributes:
        crossed: The steps that the settled amount has reached, rising.
        remaining: What may still be held, for a new conversation's call where those are refused first; at
            least 0.
    """

    crossed: tuple[Step, ...]
    remaining: int

    @property
    def alert(self) -> Step | None:
        """The highest step reached: of the notifications only its are due."""
        return self.crossed[-1] if self.crossed else None

    @property
    def prefers_cheaper(self) -> bool:
        """Whether cheaper models are to be preferred."""
        return any(step.does(ActionKind.PREFER_CHEAPER) for step in self.crossed)

    @property
    def is_blocked(self) -> bool:
        """Whether no further call fits, or no new conversation's."""
        return not self.remaining


def standing(budget: Budget, level: Level) -> Standing:
    """Say how far a budget's settled amount has come, and what is left of its limit."""
    limit = budget.hard_limit if budget.new_limit is None else budget.new_limit
    return Standing(budget.crossed(level.settled), max(0, limit - level.settled - level.held))


def prefers_cheaper(claim: Claim, levels: Sequence[Level]) -> str | None:
    """Return the first scope whose budget is so far spent that cheaper models are preferred; else None."""
    if not claim.form.has_ladders:
        return None
    return next(
        (
            demand.counter.scope
            for demand, budget, level in zip(claim.demands, claim.budgets, levels, strict=True)
            if budget is not None and standing(budget, level).prefers_cheaper
        ),
        None,
    )


class Room(msgspec.Struct, frozen=True, gc=False):
    """What the tightest limits leave; less than nothing where one is passed.

    Attributes:
        nusd: Of money, in nanodollars; None where it is not limited.
        tokens: Of tokens; None likewise.
    """

    nusd: int | None
    tokens: int | None


def room_left(claim: Claim, levels: Sequence[Level]) -> Room:
    """Return what the limits behind a claim leave.

    Args:
        claim: The claim.
        levels: Its demands' counters, in order.
    """
    nusd: int | None = None
    tokens: int | None = None
    for number, unit, limit in claim.form.limited:
        level = levels[number]
        left = limit - level.settled - level.held
        if unit == MONEY:
            nusd = left if nusd is None or left < nusd else nusd
        elif unit == TOKENS:
            tokens = left if tokens is None or left < tokens else tokens
    return Room(nusd, tokens)
