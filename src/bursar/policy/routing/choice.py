"""Which tier a call belongs to: what the client asks for, what its task needs, else how hard it looks."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from bursar.policy.routing.options import RoutingOptions
from bursar.policy.routing.tiers import Tier, TierBook


class Reason(StrEnum):
    """Why a call is in its tier."""

    ASKED = "asked"  # The client named the tier.
    TASK = "task"
    COMPLEXITY = "complexity"  # The client said that it is harder than its task.
    AGENT = "agent"  # The operator set the tier for the agent.
    SCORE = "score"  # By the signs of the call.
    LEARNED = "learned"  # By the learned model.
    ESCALATIONS = "escalations"  # Cheaper attempts have cost this agent more than they saved.
    BUDGET = "budget"  # A budget's ladder prefers cheaper models.
    THREAD = "thread"  # The thread stays where it is, since the change would not pay.

    @property
    def is_binding(self) -> bool:
        """Whether somebody said so, and so nothing but that decides."""
        return self in {Reason.ASKED, Reason.COMPLEXITY}


class Choice(msgspec.Struct, frozen=True):
    """A tier, and why it is that one."""

    tier: Tier
    reason: Reason


class Difficulty(msgspec.Struct, frozen=True):
    """How hard a call looks.

    Attributes:
        score: From 0 to 1.
        tier: The tier that the learned model's threshold stands for; None where the score is by signs.
    """

    score: float
    tier: Tier | None = None


class Ask(msgspec.Struct, frozen=True):
    """What is known of a call before it is read for how hard it is.

    Attributes:
        dialect: Its dialect.
        tier: The tier that the client names; empty for none.
        task: Its task; empty for none.
        is_complex: Whether the client says that it is harder than its task.
    """

    dialect: str
    tier: str
    task: str
    is_complex: bool


def choose_tier(
    book: TierBook, ask: Ask, options: RoutingOptions, judge: Callable[[], Difficulty]
) -> Choice | None:
    """Choose a call's tier; None where its dialect has none, or none of the name that it asks for.

    Args:
        book: The tiers.
        ask: What the call asks for.
        options: What is set for its agent.
        judge: Says how hard the call looks; asked only where nothing else says what it needs.
    """
    tiers = book.of(ask.dialect)
    if not tiers:
        return None
    if ask.tier:
        named = book.find(ask.tier, ask.dialect)
        return None if named is None else Choice(named, Reason.ASKED)
    choice = _by_task(book, ask, options) or _by_difficulty(options, tiers, judge())
    above = book.above(choice.tier)
    if ask.is_complex and choice.tier == tiers[0] and above is not None:
        return Choice(above, Reason.COMPLEXITY)
    return choice


def _by_task(book: TierBook, ask: Ask, options: RoutingOptions) -> Choice | None:
    set_for_agent = book.find(options.tier, ask.dialect) if options.tier else None
    if ask.task and (ask.task in book.tasks or set_for_agent is None):
        tier = book.for_task(ask.task, ask.dialect)
        return None if tier is None else Choice(tier, Reason.TASK)
    return None if set_for_agent is None else Choice(set_for_agent, Reason.AGENT)


def _by_difficulty(options: RoutingOptions, tiers: tuple[Tier, ...], difficulty: Difficulty) -> Choice:
    if difficulty.tier is not None:
        return Choice(difficulty.tier, Reason.LEARNED)
    return Choice(options.tier_for(difficulty.score, tiers), Reason.SCORE)
