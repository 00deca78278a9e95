"""What is on for an agent: the operator's settings, as the techniques read them."""

from collections.abc import Iterable, Mapping

import msgspec

from bursar.domain.ledger import ACTING_ORDER, Technique
from bursar.policy.history.options import HistoryOptions
from bursar.policy.loops import LoopOptions
from bursar.policy.response_cache import ResponseCacheOptions
from bursar.policy.routing.options import RoutingOptions
from bursar.policy.tool_results.limits import Limits
from bursar.wire.output import OutputLimits


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


class OutputPolicy(msgspec.Struct, frozen=True):
    """What an agent's model may write.

    Attributes:
        limits: For every task that has none of its own.
        by_task: For single tasks.
    """

    limits: OutputLimits = OutputLimits()
    by_task: Mapping[str, OutputLimits] = msgspec.field(default_factory=dict[str, OutputLimits])

    def limits_for(self, task: str) -> OutputLimits:
        """Return the limits of a task; the empty name stands for none."""
        return self.by_task.get(task, self.limits)


class StablePrefixPolicy(msgspec.Struct, frozen=True):
    """How prompts that begin alike are made to begin the same for the provider's cache.

    Attributes:
        split: Whether a text may be sent as two blocks, where what earlier calls began with ends.
        order: Whether tools are sent in one order, with their keys in one order.
        volatile: Whether lines of the instructions that were seen to vary are sent behind the prompt.
    """

    split: bool = True
    order: bool = False
    volatile: bool = False


class AgentPolicy(msgspec.Struct, frozen=True):
    """Everything that is set for one agent.

    Attributes:
        prefix_cache: Whether cache marks are set.
        tool_results: How tool results are shortened.
        history: When and how a long history is rewritten.
        output: What its model may write.
        response_cache: Which of its calls may be answered from the response cache.
        stable_prefix: How its prompts are made to begin the same.
        loops: What is done about its loops.
        routing: How its calls are routed, where they may be.
    """

    prefix_cache: bool = True
    tool_results: ToolResultPolicy = ToolResultPolicy()
    history: HistoryOptions = HistoryOptions()
    output: OutputPolicy = OutputPolicy()
    response_cache: ResponseCacheOptions = ResponseCacheOptions()
    stable_prefix: StablePrefixPolicy = StablePrefixPolicy()
    loops: LoopOptions = LoopOptions()
    routing: RoutingOptions = RoutingOptions()

    def without(self, technique: Technique) -> "AgentPolicy":
        """Return the policy with a technique off. Those that no policy governs change nothing."""
        match technique:
            case Technique.PREFIX_CACHE:
                return msgspec.structs.replace(self, prefix_cache=False)
            case Technique.TOOL_RESULTS:
                return msgspec.structs.replace(self, tool_results=ToolResultPolicy(mode="off"))
            case Technique.HISTORY:
                return msgspec.structs.replace(self, history=HistoryOptions())
            case Technique.OUTPUT:
                return msgspec.structs.replace(self, output=OutputPolicy())
            case Technique.RESPONSE_CACHE:
                return msgspec.structs.replace(self, response_cache=ResponseCacheOptions(enabled=False))
            case Technique.ROUTING:
                return msgspec.structs.replace(self, routing=RoutingOptions(enabled=False))
            case Technique.BATCH:
                return self


GOVERNED = tuple(technique for technique in ACTING_ORDER if technique is not Technique.BATCH)
"""The techniques that a policy switches on and off, in the order in which they act."""


class PolicyBook(msgspec.Struct, frozen=True):
    """The policies of all agents.

    Attributes:
        default: Of those that nothing is said about.
        by_tenant: Of all agents of a tenant.
        by_agent: Of an agent, whatever its tenant.
        by_both: Of a tenant's agent, by the two names.
    """

    default: AgentPolicy = AgentPolicy()
    by_tenant: Mapping[str, AgentPolicy] = msgspec.field(default_factory=dict[str, AgentPolicy])
    by_agent: Mapping[str, AgentPolicy] = msgspec.field(default_factory=dict[str, AgentPolicy])
    by_both: Mapping[tuple[str, str], AgentPolicy] = msgspec.field(
        default_factory=dict[tuple[str, str], AgentPolicy]
    )

    def for_agent(self, tenant: str, agent: str) -> AgentPolicy:
        """Return what is set for a tenant's agent."""
        return (
            self.by_both.get((tenant, agent))
            or self.by_agent.get(agent)
            or self.by_tenant.get(tenant)
            or self.default
        )

    def without(self, techniques: Iterable[Technique]) -> "PolicyBook":
        """Return the policies of all agents with some techniques off for everybody."""
        off = tuple(techniques)

        def switch_off(policy: AgentPolicy) -> AgentPolicy:
            for technique in off:
                policy = policy.without(technique)
            return policy

        return PolicyBook(
            switch_off(self.default),
            {name: switch_off(policy) for name, policy in self.by_tenant.items()},
            {name: switch_off(policy) for name, policy in self.by_agent.items()},
            {names: switch_off(policy) for names, policy in self.by_both.items()},
        )
