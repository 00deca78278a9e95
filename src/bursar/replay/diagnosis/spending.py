"""Which agents pay most for what their models write: answers and reasoning."""

from dataclasses import dataclass
from typing import Any

from bursar.domain.bounded import BoundedDict
from bursar.domain.ledger import Entry
from bursar.domain.money import usd_text
from bursar.domain.usage import TokenClass

_AGENTS_MAX = 10_000


@dataclass(slots=True)
class AgentOutput:
    """What one agent paid for output. Mutable, for one diagnosis.

    Attributes:
        tenant: Whose agent it is.
        agent: The agent.
        calls: Its calls.
        output_tokens: Tokens of answers.
        reasoning_tokens: Tokens of reasoning, as far as the provider tells them apart.
        output_nusd: What answers cost.
        reasoning_nusd: What reasoning cost.
        cost_nusd: What the agent's calls cost, prompts included.
        unknown_calls: Calls of unknown cost, in no amount.
    """

    tenant: str
    agent: str
    calls: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_nusd: int = 0
    reasoning_nusd: int = 0
    cost_nusd: int = 0
    unknown_calls: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` gives it."""
        known = self.calls > self.unknown_calls
        return {
            "tenant": self.tenant,
            "agent": self.agent,
            "calls": self.calls,
            "unknown_calls": self.unknown_calls,
            "output_tokens": self.output_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "output_usd": usd_text(self.output_nusd) if known else None,
            "reasoning_usd": usd_text(self.reasoning_nusd) if known else None,
            "cost_usd": usd_text(self.cost_nusd) if known else None,
        }


class OutputBill:
    """Adds up by agent, bounded."""

    def __init__(self) -> None:
        self._agents: BoundedDict[tuple[str, str], AgentOutput] = BoundedDict(_AGENTS_MAX)

    def add(self, entry: Entry) -> None:
        """Add a call, all of its attempts included."""
        key = (entry.attribution.tenant, entry.attribution.agent)
        row = self._agents.get(key)
        if row is None:
            row = AgentOutput(*key)
            self._agents.keep(key, row)
        row.calls += 1
        if entry.usage is not None:
            row.output_tokens += entry.usage.output
            row.reasoning_tokens += entry.usage.reasoning
        if entry.cost_nusd is None:
            row.unknown_calls += 1
            return
        row.cost_nusd += entry.cost_nusd
        for attempt in entry.attempts:
            for line in attempt.lines:
                if line.item == TokenClass.OUTPUT.value:
                    row.output_nusd += line.cost_nusd
                elif line.item == TokenClass.REASONING.value:
                    row.reasoning_nusd += line.cost_nusd

    def agents(self) -> tuple[AgentOutput, ...]:
        """Return all agents, those who pay most for output and reasoning first."""
        return tuple(
            sorted(
                self._agents.values(), key=lambda row: (-(row.output_nusd + row.reasoning_nusd), row.agent)
            )
        )
