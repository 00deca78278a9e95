"""Tiers of models, and which tier a call's task belongs to.

A tier is a list of models that may stand for each other, the preferred one first. Tiers rise: what the first
cannot do, the next one may. All models of a tier speak one dialect, and a call moves between tiers of its own
dialect only.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

ALIAS_PREFIX = "bursar/"
"""What the names begin with that ask for a tier in place of a model."""

AUTO = f"{ALIAS_PREFIX}auto"
"""The name that leaves the choice of the tier to us."""

STANDARD = "standard"
"""The tier of tasks that nobody has mapped, where there is one of this name."""

DEFAULT_TASKS: Mapping[str, str] = {
    "intent_classification": "fast",
    "entity_extraction": "fast",
    "simple_qa": "fast",
    "conversation_routing": "fast",
    "customer_support": STANDARD,
    "document_analysis": STANDARD,
    "multi_step_reasoning": "complex",
    "code_generation": "complex",
    "financial_analysis": "complex",
}
"""Tiers of well-known tasks, by name; they count where there is a tier of that name."""


class Tier(msgspec.Struct, frozen=True):
    """Models of one dialect that may stand for each other.

    Attributes:
        name: Its name.
        dialect: The API that all its models speak.
        models: Their names, the preferred one first; at least one.
    """

    name: str
    dialect: str
    models: tuple[str, ...]


class TierBook(msgspec.Struct, frozen=True):
    """All tiers, and who is routed.

    Attributes:
        tiers: The tiers, from the cheapest to the dearest.
        tasks: The tier of each task that is known.
        default: The tier of all other tasks; empty for `standard`, else the last one.
        baseline: The model that `bursar/auto` and `bursar/TIER` are compared with; empty for the first one
            of the default tier.
        routable: Models that a client may name and that are routed all the same.
        keeps_caches: Whether a thread stays with its model unless the change pays.
    """

    tiers: tuple[Tier, ...] = ()
    tasks: Mapping[str, str] = msgspec.field(default_factory=lambda: DEFAULT_TASKS)
    default: str = ""
    baseline: str = ""
    routable: frozenset[str] = frozenset()
    keeps_caches: bool = True

    def of(self, dialect: str) -> tuple[Tier, ...]:
        """Return the tiers that a dialect has, from the cheapest to the dearest."""
        return tuple([tier for tier in self.tiers if tier.dialect == dialect])

    def find(self, name: str, dialect: str) -> Tier | None:
        """Return a dialect's tier by name."""
        return next((tier for tier in self.tiers if tier.name == name and tier.dialect == dialect), None)

    def holding(self, model: str, dialect: str) -> Tier | None:
        """Return the cheapest tier that holds a model."""
        return next((tier for tier in self.of(dialect) if model in tier.models), None)

    def default_of(self, dialect: str) -> Tier | None:
        """Return the tier of what nothing else is known of; None where a dialect has no tiers."""
        tiers = self.of(dialect)
        named = self.find(self.default or STANDARD, dialect)
        # Where nothing says what is enough, the best is.
        return named or (tiers[-1] if tiers else None)

    def for_task(self, task: str, dialect: str) -> Tier | None:
        """Return a task's tier; the default one where the task is not known."""
        named = self.find(self.tasks.get(task, ""), dialect)
        return named or self.default_of(dialect)

    def baseline_of(self, dialect: str) -> str | None:
        """Return the model that a call would have gone to without routing; None where there are no tiers."""
        default = self.default_of(dialect)
        if default is None:
            return None
        elsewhere = any(self.baseline in tier.models for tier in self.tiers if tier.dialect != dialect)
        return self.baseline if self.baseline and not elsewhere else default.models[0]

    def above(self, tier: Tier) -> Tier | None:
        """Return the next dearer tier of the same dialect; None for the last one."""
        return _next(self.of(tier.dialect), tier)

    def below(self, tier: Tier) -> Tier | None:
        """Return the next cheaper tier of the same dialect; None for the first one."""
        return _next(self.of(tier.dialect)[::-1], tier)

    def is_cheaper(self, tier: Tier, other: Tier) -> bool:
        """Whether a tier stands before another one."""
        return self.tiers.index(tier) < self.tiers.index(other)


def _next(tiers: Sequence[Tier], tier: Tier) -> Tier | None:
    place = tiers.index(tier) + 1
    return tiers[place] if place < len(tiers) else None


def asked_tier(model: str) -> str | None:
    """Return the tier that a name asks for; empty for `bursar/auto`, None for the name of a model."""
    if not model.startswith(ALIAS_PREFIX):
        return None
    return "" if model == AUTO else model.removeprefix(ALIAS_PREFIX)


def alias_names(tiers: Iterable[Tier]) -> str:
    """List tiers as a client may ask for them."""
    return ", ".join([AUTO, *(f"{ALIAS_PREFIX}{tier.name}" for tier in tiers)])
