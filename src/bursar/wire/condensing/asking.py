"""Asking a model for a summary, and reading it, in each dialect."""

from collections.abc import Callable, Mapping

import msgspec

from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw
from bursar.wire.plain_calls import Ending, read_plain_answer

# What an OpenAI model that always reasons may use up before it writes.
REASONING_TOKENS = 4_000


class SummaryRequest(msgspec.Struct, frozen=True, gc=False):
    """What a model is asked.

    Attributes:
        model: The model.
        instructions: What it is to do: the system text.
        text: What it is to summarise: the one message of a user.
        tokens_max: How long the answer may be.
        reasons: Whether it always reasons (OpenAI).
    """

    model: str
    instructions: str
    text: str
    tokens_max: int
    reasons: bool = False

    @property
    def output_tokens_max(self) -> int:
        """All that it may write, reasoning included."""
        return self.tokens_max + (REASONING_TOKENS if self.reasons else 0)


def write_summary_request(dialect: str, request: SummaryRequest) -> bytes:
    """Return the body of a request for a summary."""
    return raw.join_object(_WRITERS[dialect](request))


def read_summary(dialect: str, body: bytes) -> str | None:
    """Return the summary that a whole answer is.

    Args:
        dialect: The dialect's name.
        body: The answer.

    Returns:
        The summary; None where it was cut off, refused, is empty, or is something else.
    """
    answer = read_plain_answer(dialect, body)
    if answer is None or answer.ending is not Ending.DONE:
        return None
    return answer.text.strip() or None


def _write_anthropic(request: SummaryRequest) -> Mapping[str, bytes]:
    return {
        "model": raw.encode(request.model),
        "max_tokens": raw.encode(request.tokens_max),
        "system": raw.encode(request.instructions),
        "messages": b'[{"role":"user","content":' + raw.encode(request.text) + b"}]",
    }


def _write_openai(request: SummaryRequest) -> Mapping[str, bytes]:
    fields = {
        "model": raw.encode(request.model),
        "messages": b'[{"role":"system","content":'
        + raw.encode(request.instructions)
        + b'},{"role":"user","content":'
        + raw.encode(request.text)
        + b"}]",
        "max_completion_tokens": raw.encode(request.output_tokens_max),
    }
    if request.reasons:
        fields["reasoning_effort"] = b'"low"'
    return fields


_WRITERS: Mapping[str, Callable[[SummaryRequest], Mapping[str, bytes]]] = {
    anthropic.NAME: _write_anthropic,
    openai_chat.NAME: _write_openai,
}
