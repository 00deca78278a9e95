"""Recorded conversations, in OpenAI message form, as requests and answers of either dialect.

Each assistant message of a recording is the answer to one call, whose messages are all that came before
it. What is made here is valid for the provider, and a conversation's requests extend one another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bursar.wire.transcript_messages import Message, calls_of, ordered, text_of

ANTHROPIC = "anthropic.messages"
OPENAI = "openai.chat"

# Both want a message at all; Anthropic wants a user's message first, text in every text block, and no
# assistant's message last.
_BEGIN = "(The conversation begins.)"
_CONTINUE = "(Continue.)"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One call of a recorded conversation.

    Attributes:
        model: The model to ask for.
        messages: Everything before the answer, in OpenAI form.
        tools: Tool definitions, in either dialect's form.
        max_tokens: Output limit; None leaves it out at OpenAI, and means 4,096 at Anthropic, which
            requires one.
        stream: Whether to ask for a stream.
    """

    model: str
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    max_tokens: int | None = None
    stream: bool = False


def request_body(dialect: str, turn: Turn) -> Json:
    """Return a call's request body.

    Without tools, those that the messages call are defined by name only, since Anthropic refuses calls
    of undefined tools; `tools_named_in` a whole conversation keeps them the same at every turn.
    """
    tools = tools_for(dialect, turn.tools or tools_named_in(turn.messages))
    body: Json = {"model": turn.model}
    if dialect == ANTHROPIC:
        system, messages = _anthropic_messages(turn.messages)
        body["max_tokens"] = 4_096 if turn.max_tokens is None else turn.max_tokens
        if system:
            body["system"] = system
        body["messages"] = messages
    else:
        messages = [openai_message(message, position) for position, message in ordered(turn.messages)]
        body["messages"] = messages or [{"role": "user", "content": _BEGIN}]
        if turn.max_tokens is not None:
            body["max_completion_tokens"] = turn.max_tokens
    if tools:
        body["tools"] = tools
    if turn.stream:
        body["stream"] = True
    return body


def answer_content(dialect: str, message: Message, position: int = 0) -> list[Json] | Json:
    """Return an assistant's message as an answer holds it: content blocks, or an OpenAI message.

    Args:
        dialect: Name of the dialect.
        message: The assistant's message, in OpenAI form.
        position: Its index in the transcript, from which ids that are missing are made.
    """
    if dialect == ANTHROPIC:
        return anthropic_content(message, position)
    return openai_message(message, position)


def anthropic_content(message: Message, position: int = 0) -> list[Json]:
    """Return an assistant's message as content blocks. Blank text is left out, as the provider does."""
    text = text_of(message.get("content"))
    blocks: list[Json] = [{"type": "text", "text": text}] if text.strip() else []
    blocks.extend(
        {"type": "tool_use", "id": call.call_id, "name": call.name, "input": call.input()}
        for call in calls_of(message, position)
    )
    return blocks


def openai_message(message: Message, position: int = 0) -> Json:
    """Return a message with the members that OpenAI's schema knows, in its order."""
    role = str(message.get("role"))
    content = message.get("content")
    if role == "tool":
        return {"role": "tool", "tool_call_id": message.get("tool_call_id"), "content": content}
    if role != "assistant":
        return {"role": role, "content": content or ""}
    calls = calls_of(message, position)
    text = text_of(content)
    result: Json = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        result["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    return result


def tools_for(dialect: str, tools: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return tool definitions in a dialect's form, whichever of the two they come in."""
    return [_anthropic_tool(tool) if dialect == ANTHROPIC else _openai_tool(tool) for tool in tools]


def tools_named_in(messages: Sequence[Message]) -> list[Json]:
    """Define the tools that messages call, by name only, sorted by name; in OpenAI form."""
    names = {call.name for position, message in enumerate(messages) for call in calls_of(message, position)}
    return [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in sorted(names)
    ]


def _anthropic_messages(messages: Sequence[Message]) -> tuple[str, list[Json]]:
    """Return the system prompt (the system messages at the front) and Anthropic's messages."""
    front = 0
    while front < len(messages) and messages[front].get("role") in {"system", "developer"}:
        front += 1
    system = "\n\n".join([text_of(message.get("content")) for message in messages[:front]])
    result: list[Json] = []
    for position, message in ordered(messages):
        if position < front:
            continue
        role, content = _anthropic_turn(message, position)
        last = result[-1] if result else None
        if role == "assistant":
            if last is None:
                result.append({"role": "user", "content": _BEGIN})
            elif last["role"] == "assistant":
                result.append({"role": "user", "content": _CONTINUE})
            result.append({"role": role, "content": content})
        elif _is_result(content) and last is not None and _is_result(last["content"]):
            last["content"].extend(content)
        else:
            result.append({"role": role, "content": content})
    if not result:
        result.append({"role": "user", "content": _BEGIN})
    elif result[-1]["role"] == "assistant":
        result.append({"role": "user", "content": _CONTINUE})
    return system, result


def _anthropic_turn(message: Message, position: int) -> tuple[str, str | list[Json]]:
    role = message.get("role")
    if role == "assistant":
        text = text_of(message.get("content"))
        if not calls_of(message, position):
            return "assistant", text if text.strip() else "(No text.)"
        return "assistant", anthropic_content(message, position)
    if role == "tool":
        content = text_of(message.get("content"))
        return "user", [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": content}]
    content = message.get("content")
    if isinstance(content, list):
        blocks = [block for part in cast("list[Any]", content) for block in _anthropic_part(part)]
        return "user", blocks or _CONTINUE
    text = text_of(content)
    return "user", text if text.strip() else _CONTINUE


def _anthropic_part(part: object) -> list[Json]:
    """Return a user's content part as blocks; what has no counterpart is left out."""
    match part:
        case {"type": "text", "text": str(text)} if text.strip():
            return [{"type": "text", "text": text}]
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            media_type, comma, data = url.removeprefix("data:").partition(";base64,")
            if url.startswith("data:") and comma:
                return [
                    {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
                ]
            return [{"type": "image", "source": {"type": "url", "url": url}}]
        case _:
            return []


def _is_result(content: str | list[Json]) -> bool:
    return not isinstance(content, str) and bool(content) and content[0].get("type") == "tool_result"


def _anthropic_tool(tool: Mapping[str, Any]) -> Json:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)
    definition = cast("Mapping[str, Any]", function)
    result: Json = {"name": definition.get("name")}
    if definition.get("description"):
        result["description"] = definition["description"]
    result["input_schema"] = {"type": "object", **(definition.get("parameters") or {})}
    return result


def _openai_tool(tool: Mapping[str, Any]) -> Json:
    if "input_schema" not in tool:
        return dict(tool)
    function: Json = {"name": tool.get("name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = tool["input_schema"]
    return {"type": "function", "function": function}
