"""Findings: spending that is not as usual, with what it is usually like and the calls that drove it."""

from enum import StrEnum
from typing import Any

import msgspec

from bursar.domain.money import usd_text


class AnomalyKind(StrEnum):
    """What is not as usual, the most telling first."""

    NEW_MODEL = "new_model"  # A model that was never asked before costs more. nusd a call.
    CONVERSATION = (
        "conversation"  # One conversation goes on much faster than others. Calls a minute, times 1,000.
    )
    CONVERSATION_COST = "conversation_cost"  # One costs much more than others. nusd.
    CACHE_MISSES = (
        "cache_misses"  # Prompts are read from the cache less. Per mille of tokens not read from it.
    )
    PROMPT = "prompt"  # Prompts are longer. Tokens a call.
    OUTPUT = "output"  # Answers are longer. Tokens a call.
    CALLS = "calls"  # More calls are made. Calls a minute, times 1,000.
    COST_PER_CALL = "cost_per_call"  # Calls cost more, for whatever reason. nusd a call.


_MONEY = frozenset({AnomalyKind.NEW_MODEL, AnomalyKind.CONVERSATION_COST, AnomalyKind.COST_PER_CALL})


class Anomaly(msgspec.Struct, frozen=True):
    """One finding. It is statistics, and never booked.

    Attributes:
        kind: What is not as usual, and in which unit the amounts are.
        tenant: Whose calls,
        agent: of which agent,
        task: and task; empty where none is said.
        baseline: What is usual at this hour of the week,
        observed: and what is seen now.
        since_s: When it began, in seconds since the epoch.
        found_at_s: When it was found.
        calls: Operation ids of the calls that drove it most, the dearest first.
        conversation: The conversation that did; empty where it is not one alone.
        model: The model that is new; empty where none is.
    """

    kind: AnomalyKind
    tenant: str
    agent: str
    task: str
    baseline: int
    observed: int
    since_s: float
    found_at_s: float
    calls: tuple[str, ...]
    conversation: str = ""
    model: str = ""

    def as_object(self) -> dict[str, Any]:
        """Return it as every `--json` gives it."""
        return {**msgspec.structs.asdict(self), "kind": self.kind.value, "said": self.said}

    @property
    def whose(self) -> str:
        """Whose spending it is, for a person."""
        task = f", task {self.task}" if self.task else ""
        return f"agent {self.agent} of {self.tenant}{task}"

    @property
    def said(self) -> str:
        """What is not as usual, in a line for a person; names and numbers only."""
        usual, now = (self._spoken(amount) for amount in (self.baseline, self.observed))
        match self.kind:
            case AnomalyKind.NEW_MODEL:
                return f"calls of a new model, {self.model}, cost {now} each; usual is {usual}"
            case AnomalyKind.CONVERSATION:
                return f"conversation {self.conversation} makes {now} calls a minute; usual is {usual}"
            case AnomalyKind.CONVERSATION_COST:
                return f"conversation {self.conversation} has cost {now}; usual is {usual}"
            case AnomalyKind.CACHE_MISSES:
                return f"{now} of prompt tokens are not read from the provider's cache; usual is {usual}"
            case AnomalyKind.PROMPT:
                return f"prompts have {now} tokens; usual is {usual}"
            case AnomalyKind.OUTPUT:
                return f"answers have {now} tokens; usual is {usual}"
            case AnomalyKind.CALLS:
                return f"{now} calls a minute are made; usual is {usual}"
            case AnomalyKind.COST_PER_CALL:
                return f"a call costs {now}; usual is {usual}"

    def _spoken(self, amount: int) -> str:
        if self.kind in _MONEY:
            return f"{usd_text(amount)} USD"
        if self.kind is AnomalyKind.CACHE_MISSES:
            return f"{amount / 10:.1f} %"
        if self.kind in {AnomalyKind.CALLS, AnomalyKind.CONVERSATION}:
            return f"{amount / 1000:,.1f}"
        return f"{amount:,}"
