"""An answer of the Chat Completions API as a stream of chunks, and a stream as a whole answer.

The stream ends with a chunk of usage, where the answer has usage; a `StreamMeter` drops that chunk where the
client did not ask for it. What cannot be told in the other form without loss or guessing gives None.
Source: openai SDK 3.54 types and its stream accumulation, checked 2026-11-24.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from bursar.wire import raw_json as raw
from bursar.wire.holding import single_line_data
from bursar.wire.sse import EventSplitter

JsonObject = dict[str, Any]

_OBJECT = msgspec.json.Decoder(JsonObject)
_DONE = b"data: [DONE]\n\n"
# Members of a message that stream in parts; the others come whole with its first chunk.
_IN_PARTS = ("content", "refusal", "tool_calls", "function_call")
# Strings that name something are never told in parts, and may be told again.
_NAMES = frozenset({"role", "id", "type"})


class _Unfoldable(Exception):
    """Parts of an answer that we do not know how to put together."""


def as_stream(body: bytes) -> bytes | None:
    """Write a whole answer as a stream; None where it is no completion."""
    completion = raw.attempt(_OBJECT, body)
    if completion is None:
        return None
    frame = {k: v for k, v in completion.items() if k not in {"choices", "usage"}}
    frame["object"] = "chat.completion.chunk"
    try:
        chunks = [
            frame | {"choices": [choice]}
            for whole in _objects(completion.get("choices"))
            for choice in _parts(whole)
        ]
    except _Unfoldable:
        return None
    if not chunks:
        return None
    if completion.get("usage") is not None:
        chunks.append(frame | {"choices": [], "usage": completion["usage"]})
    return b"".join([*(b"data: " + raw.encode(chunk) + b"\n\n" for chunk in chunks), _DONE])


def as_whole(stream: bytes) -> bytes | None:
    """Write a complete stream as a whole answer; None where it is not complete, or cannot be put together."""
    frame: JsonObject = {}
    usage: Any = None
    choices: dict[int, JsonObject] = {}
    complete = False
    for event in EventSplitter().feed(stream + b"\n\n"):
        data = single_line_data(event)
        if data.strip() == b"[DONE]":
            complete = True
            break
        chunk = raw.attempt(_OBJECT, data) if data else {}
        if chunk is None or chunk.get("error") is not None:
            return None
        usage = chunk.get("usage") or usage
        for name, value in chunk.items():
            if name not in {"choices", "usage"} and (value is not None or name not in frame):
                frame[name] = value
        try:
            _take_choices(choices, chunk)
        except _Unfoldable:
            return None
    if not complete or not choices:
        return None
    frame |= {"object": "chat.completion", "choices": [_whole(choices[index]) for index in sorted(choices)]}
    if usage is not None:
        frame["usage"] = usage
    return raw.encode(frame)


def _parts(choice: JsonObject) -> Iterator[JsonObject]:
    """Yield a choice as its parts: the head, content, refusal, each tool call, the end."""
    message: Any = choice.get("message")
    if not isinstance(message, dict):
        raise _Unfoldable
    said = cast("JsonObject", message)
    content, refusal = said.get("content"), said.get("refusal")
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise _Unfoldable
    index = choice.get("index", 0)
    has_logprobs = "logprobs" in choice

    def part(delta: JsonObject, logprobs: Any = None) -> JsonObject:
        shown = {"logprobs": logprobs} if has_logprobs else {}
        return {"index": index, "delta": delta, **shown, "finish_reason": None}

    head = {name: value for name, value in said.items() if name not in _IN_PARTS or value is None}
    if content is not None:
        head["content"] = ""
    # Where there is no content, log probabilities are those of the refusal.
    yield part(head, None if content or refusal else choice.get("logprobs"))
    if content:
        yield part({"content": content}, choice.get("logprobs"))
    if refusal is not None:
        yield part({"refusal": refusal}, None if content else choice.get("logprobs"))
    for number, call in enumerate(_objects(said.get("tool_calls") or [])):
        yield part({"tool_calls": [{"index": number, **call}]})
    if said.get("function_call") is not None:
        yield part({"function_call": said["function_call"]})
    last = {k: v for k, v in choice.items() if k not in {"message", "logprobs"}}
    yield part({}) | last


def _take_choices(choices: dict[int, JsonObject], chunk: JsonObject) -> None:
    for part in _objects(chunk.get("choices") or []):
        index: Any = part.get("index", 0)
        if not isinstance(index, int):
            raise _Unfoldable
        choice = choices.setdefault(index, {"index": index, "message": {}})
        for name, value in part.items():
            if name == "delta":
                choice["message"] = _fold(choice["message"], value or {})
            elif name == "logprobs":
                choice[name] = _fold(choice.get(name), value)
            elif value is not None or name not in choice:
                choice[name] = value


def _whole(choice: JsonObject) -> JsonObject:
    """Leave out what only a stream says."""
    message: JsonObject = choice["message"]
    message.setdefault("role", "assistant")
    message.setdefault("content", None)
    if message.get("tool_calls"):
        calls = sorted(_objects(message["tool_calls"]), key=lambda call: call.get("index", 0))
        message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
    return choice


def _fold(so_far: Any, part: Any) -> Any:
    """Add a part to what came before, as the SDK does: strings and lists grow, objects member by member."""
    if part is None:
        return so_far
    if isinstance(part, dict):
        return _fold_object(so_far, cast("JsonObject", part))
    if isinstance(part, list):
        return _fold_list(so_far, cast("list[Any]", part))
    if so_far is None:
        return part
    if isinstance(so_far, str) and isinstance(part, str):
        return so_far + part
    if so_far == part:
        return so_far
    raise _Unfoldable


def _fold_object(so_far: Any, part: JsonObject) -> JsonObject:
    if not isinstance(so_far, dict | None):
        raise _Unfoldable
    folded = dict(cast("JsonObject", so_far or {}))
    for name, value in part.items():
        named = name in _NAMES and value is not None
        folded[name] = value if named else _fold(folded.get(name), value)
    return folded


def _fold_list(so_far: Any, part: list[Any]) -> list[Any]:
    if not isinstance(so_far, list | None):
        raise _Unfoldable
    folded = list(cast("list[Any]", so_far or []))
    for element in part:
        numbered = isinstance(element, dict) and "index" in element
        number = cast("JsonObject", element)["index"] if numbered else None
        if numbered and not isinstance(number, int):
            raise _Unfoldable
        known = _place(folded, number) if numbered else None
        if known is None:
            folded.append(_fold_object(None, cast("JsonObject", element)) if numbered else element)
        else:
            folded[known] = _fold_object(folded[known], cast("JsonObject", element))
    return folded


def _place(elements: list[Any], number: Any) -> int | None:
    """Return where the element with an index stands."""
    for place, element in enumerate(elements):
        if isinstance(element, dict) and cast("JsonObject", element).get("index") == number:
            return place
    return None


def _objects(value: Any) -> list[JsonObject]:
    """Return the elements of a list of objects."""
    if not isinstance(value, list):
        raise _Unfoldable
    elements = cast("list[Any]", value)
    if not all(isinstance(element, dict) for element in elements):
        raise _Unfoldable
    return elements
