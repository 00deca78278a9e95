"""Recorded messages in OpenAI form, put in order: what every provider's pairing rules ask for.

Recordings are often a little broken: a call that nobody answered, a result that nobody asked for, ids
left out, arguments that are no JSON. What comes out of here has none of that, and the same message comes
out the same at every turn, so that a conversation's prompts stay prefixes of one another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

Message = Mapping[str, Any]

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")


class Call(msgspec.Struct, frozen=True):
    """One tool call.

    Attributes:
        call_id: Fits both providers' pattern.
        name: The tool's name, likewise.
        arguments: As the model wrote them; meant to be a JSON object.
    """

    call_id: str
    name: str
    arguments: str

    def input(self) -> dict[str, Any]:
        """The arguments as an object; what is none is wrapped into one."""
        try:
            value = msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {"invalid_json": self.arguments} if self.arguments.strip() else {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}


def ordered(messages: Sequence[Message]) -> Iterator[tuple[int, Message]]:
    """Yield messages with their positions, so that every call has one result and every result a call.

    The results of a message's calls follow it, in the order of its calls; one that is missing is empty;
    one that nobody asked for becomes a user's message. An id that comes again gets another.
    """
    seen: set[str] = set()
    position = 0
    while position < len(messages):
        message = messages[position]
        role = message.get("role")
        if role in {"tool", "function"}:
            yield position, {"role": "user", "content": text_of(message.get("content"))}
            position += 1
            continue
        calls = calls_of(message, position) if role == "assistant" else []
        ids = _unique_ids(calls, position, seen)
        yield position, _renamed(message, calls, ids)
        end = position + 1
        while calls and end < len(messages) and messages[end].get("role") in {"tool", "function"}:
            end += 1
        yield from _results(messages, range(position + 1, end), list(zip(calls, ids, strict=True)))
        position = end


def calls_of(message: Message, position: int) -> list[Call]:
    """Read an assistant's tool calls; an id that is missing is made from the message's position."""
    listed = message.get("tool_calls")
    calls: list[Call] = []
    for number, entry in enumerate(cast("list[Any]", listed) if isinstance(listed, list) else []):
        call = _mapping(entry)
        function = _mapping(call.get("function"))
        call_id = _clean(call.get("id")) or f"call_{position}_{number}"
        calls.append(Call(call_id, _clean(function.get("name")) or "unnamed", _arguments(function)))
    legacy = _mapping(message.get("function_call"))
    if legacy and not calls:
        calls.append(Call(f"call_{position}_0", _clean(legacy.get("name")) or "unnamed", _arguments(legacy)))
    return calls


def text_of(content: object) -> str:
    """Read content as text: a string, or the text of its parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [_mapping(part) for part in cast("list[Any]", content)]
    return "".join([str(part.get("text") or part.get("refusal") or "") for part in parts])


def _unique_ids(calls: list[Call], position: int, seen: set[str]) -> list[str]:
    ids: list[str] = []
    for number, call in enumerate(calls):
        call_id = f"{call.call_id[:100]}_{position}_{number}" if call.call_id in seen else call.call_id
        seen.add(call_id)
        ids.append(call_id)
    return ids


def _renamed(message: Message, calls: list[Call], ids: list[str]) -> Message:
    if ids == [call.call_id for call in calls]:
        return message
    entries = [
        {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call, call_id in zip(calls, ids, strict=True)
    ]
    return {**message, "tool_calls": entries}


def _results(
    messages: Sequence[Message], positions: range, calls: list[tuple[Call, str]]
) -> Iterator[tuple[int, Message]]:
    """Yield one result per call, then what nobody asked for. Calls come with the ids that they have now."""
    left = list(positions)
    for number, (call, call_id) in enumerate(calls):
        # A legacy result names no call: it answers the next one that is open.
        found = next(
            (i for i in left if _clean(messages[i].get("tool_call_id")) == call.call_id),
            next((i for i in left if not messages[i].get("tool_call_id")), None),
        )
        content = ""
        if found is not None:
            left.remove(found)
            content = text_of(messages[found].get("content"))
        yield positions.start + number, {"role": "tool", "tool_call_id": call_id, "content": content}
    for i in left:
        yield i, {"role": "user", "content": text_of(messages[i].get("content"))}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _clean(name: object) -> str:
    return _FORBIDDEN.sub("_", name)[:128] if isinstance(name, str) else ""


def _arguments(function: Mapping[str, Any]) -> str:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return "{}" if arguments is None else msgspec.json.encode(arguments).decode()
