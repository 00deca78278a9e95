"""What makes an answer not good enough, and which of it is looked for."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Trigger(StrEnum):
    """What an answer falls short by."""

    REFUSAL = "refusal"  # The model refused, or a filter of its provider did, and said so outside the text.
    CUT = "cut"  # It reached an output limit.
    EMPTY = "empty"  # Neither text nor a tool call.
    INVALID_JSON = "invalid_json"  # It was to be JSON.
    SCHEMA = "schema"  # It is JSON, but not as its schema says.
    TOOL_ARGUMENTS = "tool_arguments"  # Not as the tool's schema says, or there is no such tool.
    SHORT = "short"  # Fewer characters than its task needs.
    UNCERTAIN = "uncertain"  # It says that it does not know.
    LOGPROBS = "logprobs"  # Its tokens were unlikely to the model itself.

    @property
    def is_verifiable(self) -> bool:
        """Whether an answer that it is seen in is wanting for certain."""
        return self not in {Trigger.SHORT, Trigger.UNCERTAIN, Trigger.LOGPROBS}


class TaskAdequacy(msgspec.Struct, frozen=True):
    """What is set for a task; None for what is set for its agent.

    Attributes:
        triggers: What is looked for.
        min_chars: As of `AdequacyOptions`.
        uncertain: As of `AdequacyOptions`.
        phrases: As of `AdequacyOptions`.
        logprob_min_per_mille: As of `AdequacyOptions`.
    """

    triggers: frozenset[Trigger] | None = None
    min_chars: int | None = None
    uncertain: bool | None = None
    phrases: tuple[str, ...] | None = None
    logprob_min_per_mille: int | None = None


class AdequacyOptions(msgspec.Struct, frozen=True):
    """What is set for an agent about answers that are not good enough.

    Attributes:
        enabled: Whether answers are judged.
        triggers: What is looked for. Of those that cannot be verified only what is set beside counts.
        min_chars: Characters that an answer in plain text needs; 0 for any.
        uncertain: Whether our phrases of doubt are looked for (`data/phrases.toml`).
        phrases: The operator's own, in whatever case.
        logprob_min_per_mille: The least mean log probability of an answer's tokens, times 1,000, so at most
            0; None for any. Answers without log probabilities are not judged by it.
        tasks: What differs for a task, by its name.
    """

    enabled: bool = True
    triggers: frozenset[Trigger] = frozenset(Trigger)
    min_chars: int = 0
    uncertain: bool = False
    phrases: tuple[str, ...] = ()
    logprob_min_per_mille: int | None = None
    tasks: Mapping[str, TaskAdequacy] = msgspec.field(default_factory=dict[str, TaskAdequacy])

    def for_task(self, task: str) -> "AdequacyOptions":
        """Return what counts for a task; empty for none."""
        own = self.tasks.get(task)
        if own is None:
            return self
        said = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(self, **said)
