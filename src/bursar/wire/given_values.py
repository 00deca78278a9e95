"""An answer as it is judged."""

from enum import StrEnum

import msgspec


class Ending(StrEnum):
    """Why an answer ended."""

    DONE = "done"
    TOOL_USE = "tool_use"
    LIMIT = "limit"  # At the limit that the request states, or its model's own.
    WINDOW = "window"  # Prompt and answer together have filled the model's window.
    REFUSAL = "refusal"
    FILTERED = "filtered"
    PAUSED = "paused"  # The provider wants to be asked to go on.
    OTHER = "other"  # Unsaid, or a reason that we do not know.


class ToolUse(msgspec.Struct, frozen=True, gc=False):
    """A call of one of the client's tools.

    Attributes:
        name: The tool.
        arguments: As the model wrote them, to be JSON; None where the tool takes free text.
    """

    name: str
    arguments: bytes | None


class Said(msgspec.Struct, frozen=True, gc=False):
    """One choice of an answer.

    Attributes:
        text: All its text, without the model's thinking.
        last_text: Its text after the last call of a tool of the provider's: where an answer that is to be
            JSON stands.
        tool_uses: Calls of the client's tools.
        ending: Why it ended.
        holds_more: Whether it holds anything else, such as a recording, or calls of the provider's tools.
        logprob_per_mille: Mean log probability of its tokens, times 1,000; None where it has none.
    """

    text: str
    last_text: str
    tool_uses: tuple[ToolUse, ...]
    ending: Ending
    holds_more: bool = False
    logprob_per_mille: int | None = None


class Given(msgspec.Struct, frozen=True, gc=False):
    """An answer.

    Attributes:
        choices: Its choices; at least one.
        output_tokens: Tokens of all choices together; None where unsaid.
    """

    choices: tuple[Said, ...]
    output_tokens: int | None = None
