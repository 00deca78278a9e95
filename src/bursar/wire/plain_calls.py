"""Asking a model one thing in text, and reading the text of its answer, in each dialect."""

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw


class Ending(StrEnum):
    """Why an answer ended."""

    DONE = "done"
    LIMIT = "limit"  # At the request's output limit, or the model's window.
    REFUSED = "refused"  # By the model, or a filter of the provider.
    OTHER = "other"


_ENDINGS = {
    "end_turn": Ending.DONE,
    "stop_sequence": Ending.DONE,
    "stop": Ending.DONE,
    "max_tokens": Ending.LIMIT,
    "model_context_window_exceeded": Ending.LIMIT,
    "length": Ending.LIMIT,
    "refusal": Ending.REFUSED,
    "content_filter": Ending.REFUSED,
}
_MARK = b',"cache_control":{"type":"ephemeral"}'


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    """What a model is asked.

    Attributes:
        model: The model.
        instructions: What it is to do: the system text.
        text: The one message of a user.
        tokens_max: All that it may write, reasoning included.
        marked: Whether the instructions are to be kept in the provider's cache, where that has to be asked
            for.
    """

    model: str
    instructions: str
    text: str
    tokens_max: int
    marked: bool = False


class PlainAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a model said, and why it ended."""

    text: str
    ending: Ending


def write_plain_request(dialect: str, request: PlainRequest) -> bytes:
    """Return the body of a request; equal requests have equal bytes."""
    return raw.join_object(_WRITERS[dialect](request))


def read_plain_answer(dialect: str, body: bytes) -> PlainAnswer | None:
    """Return the text that a whole answer says; None where it is no answer."""
    try:
        text, ending = _READERS[dialect](body)
    except (msgspec.DecodeError, UnicodeError, LookupError):
        return None
    return PlainAnswer(text, _ENDINGS.get(ending or "", Ending.OTHER))


def _write_anthropic(request: PlainRequest) -> Mapping[str, bytes]:
    system = b'[{"type":"text","text":' + raw.encode(request.instructions)
    return {
        "model": raw.encode(request.model),
        "max_tokens": raw.encode(request.tokens_max),
        "system": system + (_MARK if request.marked else b"") + b"}]",
        "messages": b'[{"role":"user","content":' + raw.encode(request.text) + b"}]",
    }


def _write_openai(request: PlainRequest) -> Mapping[str, bytes]:
    messages = b'[{"role":"system","content":%b},{"role":"user","content":%b}]'
    return {
        "model": raw.encode(request.model),
        "messages": messages % (raw.encode(request.instructions), raw.encode(request.text)),
        "max_completion_tokens": raw.encode(request.tokens_max),
    }


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_MESSAGE = msgspec.json.Decoder(_Message)
_COMPLETION = msgspec.json.Decoder(_Completion)

_TextAndEnding = tuple[str, str | None]


def _read_anthropic(body: bytes) -> _TextAndEnding:
    message = _MESSAGE.decode(body)
    return "".join([block.text for block in message.content if block.type == "text"]), message.stop_reason


def _read_openai(body: bytes) -> _TextAndEnding:
    choice = _COMPLETION.decode(body).choices[0]
    if choice.message.refusal:
        return "", "refusal"
    return choice.message.content or "", choice.finish_reason


_WRITERS: Mapping[str, Callable[[PlainRequest], Mapping[str, bytes]]] = {
    anthropic.NAME: _write_anthropic,
    openai_chat.NAME: _write_openai,
}
_READERS: Mapping[str, Callable[[bytes], _TextAndEnding]] = {
    anthropic.NAME: _read_anthropic,
    openai_chat.NAME: _read_openai,
}
