"""`routing` of `[defaults]`, `[tenants.NAME]` and `[agents.NAME]`: how an agent's calls are routed."""

from typing import Annotated

from pydantic import Field

from bursar.policy.routing.options import RoutingOptions
from bursar.settings.sections import Section

Score = Annotated[float, Field(ge=0, le=1)]


class AgentRouting(Section):
    """`routing`: how calls are routed that may be (`[tiers]`).

    Attributes:
        enabled: Whether they are; default true. Where not, `bursar/auto` stands for `routing.baseline`.
        tier: The tier of all calls without a task of their own; absent: by how hard they look.
        thresholds: The score, from 0 to 1, from which on a tier is taken, by its name.
        learned: Whether the learned model judges them, where there is one (`routing.model`); default true.
        prefer_cheaper: Whether a budget's ladder may move them one tier down; default true.
    """

    enabled: bool | None = None
    tier: str | None = None
    thresholds: dict[str, Score] = Field(default_factory=dict)
    learned: bool | None = None
    prefer_cheaper: bool | None = None

    def options(self) -> RoutingOptions:
        """Return it as routing reads it."""
        return RoutingOptions(
            enabled=self.enabled is not False,
            tier=self.tier or "",
            thresholds=self.thresholds,
            learns=self.learned is not False,
            prefers_cheaper=self.prefer_cheaper is not False,
        )
