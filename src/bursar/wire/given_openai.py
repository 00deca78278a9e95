"""What an answer of the Chat Completions API gives its client.

Source: the types of the openai SDK 3.54, checked 2026-11-24. Other servers of this API write a call's
arguments as an object at times, or leave them empty where there are none.
"""

import math
from collections.abc import Iterator, Mapping

import msgspec

from bursar.wire import openai_replay
from bursar.wire import raw_json as raw
from bursar.wire.given_values import Ending, Given, Said, ToolUse

_ENDINGS: Mapping[str | None, Ending] = {
    "stop": Ending.DONE,
    "tool_calls": Ending.TOOL_USE,
    "function_call": Ending.TOOL_USE,
    "length": Ending.LIMIT,
    "content_filter": Ending.FILTERED,
}
_NOTHING = msgspec.Raw(b"{}")


class _Function(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = _NOTHING


class _Custom(msgspec.Struct):
    name: str


class _Call(msgspec.Struct):
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    audio: msgspec.Raw = msgspec.Raw(raw.NULL)


class _Token(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    completion_tokens: raw.Count | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_COMPLETION = msgspec.json.Decoder(_Completion)
_TEXT = msgspec.json.Decoder(str)


def read_given(body: bytes) -> Given | None:
    """Read a whole answer; None where it is none."""
    completion = raw.attempt(_COMPLETION, body)
    if completion is None or not completion.choices:
        return None
    usage = completion.usage
    return Given(
        tuple([_read_choice(choice) for choice in completion.choices]),
        usage.completion_tokens if usage is not None else None,
    )


def read_given_stream(stream: bytes) -> Given | None:
    """Read a stream; None where it has not ended well."""
    body = openai_replay.as_whole(stream)
    return None if body is None else read_given(body)


def _read_choice(choice: _Choice) -> Said:
    message = choice.message
    text = message.content or ""
    return Said(
        text=text,
        last_text=text,
        tool_uses=tuple(_uses(message)),
        ending=Ending.REFUSAL if message.refusal else _ENDINGS.get(choice.finish_reason, Ending.OTHER),
        holds_more=not raw.is_null(message.audio),
        logprob_per_mille=_mean(choice.logprobs) if choice.logprobs is not None else None,
    )


def _uses(message: _Message) -> Iterator[ToolUse]:
    for call in message.tool_calls or ():
        if call.function is not None:
            yield ToolUse(call.function.name, _arguments(call.function.arguments))
        elif call.custom is not None:
            yield ToolUse(call.custom.name, None)
    if message.function_call is not None:
        yield ToolUse(message.function_call.name, _arguments(message.function_call.arguments))


def _arguments(value: msgspec.Raw) -> bytes:
    text = raw.attempt(_TEXT, value)
    written = bytes(value) if text is None else text.encode()
    return b"{}" if not written.strip() or written == raw.NULL else written


def _mean(logprobs: _Logprobs) -> int | None:
    tokens = logprobs.content or logprobs.refusal
    if not tokens:
        return None
    mean = math.fsum([token.logprob for token in tokens]) / len(tokens) * 1_000
    return round(mean) if math.isfinite(mean) else None
