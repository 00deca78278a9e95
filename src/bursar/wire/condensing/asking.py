"""Asking a model for a summary, and reading it, in each dialect."""

from collections.abc import Callable, Mapping

import msgspec

from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw

# What an OpenAI model that always reasons may use up before it writes.
REASONING_TOKENS = 4_000

_ENDINGS = frozenset(("end_turn", "stop_sequence", "stop"))


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
    try:
        said = _READERS[dialect](body)
    except (msgspec.DecodeError, UnicodeError):
        return None
    if said is None:
        return None
    text, ending = said
    return text.strip() if ending in _ENDINGS and text.strip() else None


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


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_MESSAGE = msgspec.json.Decoder(_Message)
_COMPLETION = msgspec.json.Decoder(_Completion)

_Answer = tuple[str, str | None]


def _read_anthropic(body: bytes) -> _Answer | None:
    message = _MESSAGE.decode(body)
    return "".join([block.text for block in message.content if block.type == "text"]), message.stop_reason


def _read_openai(body: bytes) -> _Answer | None:
    choices = _COMPLETION.decode(body).choices
    if not choices or choices[0].message.content is None:
        return None
    return choices[0].message.content, choices[0].finish_reason


_WRITERS: Mapping[str, Callable[[SummaryRequest], Mapping[str, bytes]]] = {
    anthropic.NAME: _write_anthropic,
    openai_chat.NAME: _write_openai,
}
_READERS: Mapping[str, Callable[[bytes], _Answer | None]] = {
    anthropic.NAME: _read_anthropic,
    openai_chat.NAME: _read_openai,
}
