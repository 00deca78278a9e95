"""What is on for an agent: the operator's settings, as the techniques read them."""

from collections.abc import Mapping

import msgspec

from bursar.policy.response_cache import ResponseCacheOptions
from bursar.policy.tool_results.limits import Limits


class ToolResultPolicy(msgspec.Struct, frozen=True):
    """How tool results are shortened.

    Attributes:
        mode: `lossless`; `truncate` leaves out what exceeds the limits; `off` leaves results as they came.
        limits: What `truncate` allows.
        by_tool: What is different for a tool, by its name: other limits, or None for no loss.
        references: Whether a result may point at an equal one before it.
    """

    mode: str = "lossless"
    limits: Limits = Limits()
    by_tool: Mapping[str, Limits | None] = msgspec.field(default_factory=dict[str, Limits | None])
    references: bool = True

    def limits_for(self, tool: str) -> Limits | None:
        """Return the limits of a tool's results; None for no loss."""
        return self.by_tool.get(tool, self.limits if self.mode == "truncate" else None)


class HistoryPolicy(msgspec.Struct, frozen=True):
    """When and how a long history is rewritten.

    Attributes:
        tokens: Where a rewrite begins to be considered; None for never.
    """

    tokens: int | None = None


class AgentPolicy(msgspec.Struct, frozen=True):
    """Everything that is set for one agent."""

    tool_results: ToolResultPolicy = ToolResultPolicy()
    history: HistoryPolicy = HistoryPolicy()
    response_cache: ResponseCacheOptions = ResponseCacheOptions()


class PolicyBook(msgspec.Struct, frozen=True):
    """The policies of all agents."""

    default: AgentPolicy = AgentPolicy()

    def for_agent(self, tenant: str, agent: str) -> AgentPolicy:
        """Return what is set for a tenant's agent."""
        del tenant, agent
        return self.default
