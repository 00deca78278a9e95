"""Agent conversations made up for tests of history, in either dialect, and the double to judge them."""

import json
from itertools import pairwise
from typing import Any, NamedTuple

from bursar.double.anthropic.face import AnthropicFace
from bursar.double.models import ModelLimits
from bursar.double.openai.face import OpenAIFace
from bursar.policy.history.steps import Conversation
from bursar.wire.condensing.forms import FORMS
from bursar.wire.dialect import Dialect, Request
from wire_bodies import ANTHROPIC, OPENAI, read

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Call(NamedTuple):
    """A tool call and what it returns; `image` where the result holds one too."""

    tool: str
    arguments: dict[str, Any]
    result: str
    image: bool = False


class Step(NamedTuple):
    """What an assistant says at once: text, and calls that are made side by side."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinks: bool = False


class Turn(NamedTuple):
    """What a user says, and the assistant's steps."""

    text: str
    steps: tuple[Step, ...] = ()
    image: bool = False


def anthropic_messages(turns: list[Turn]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(turns):
        content: Any = turn.text
        if turn.image:
            content = [{"type": "text", "text": turn.text}, _anthropic_image()]
        messages.append({"role": "user", "content": content})
        for index, step in enumerate(turn.steps):
            blocks: list[dict[str, Any]] = []
            if step.thinks:
                blocks.append({"type": "thinking", "thinking": "hm", "signature": f"s{number}.{index}"})
            if step.text:
                blocks.append({"type": "text", "text": step.text})
            ids = [f"toolu_{number}_{index}_{n}" for n in range(len(step.calls))]
            blocks += [
                {"type": "tool_use", "id": call_id, "name": call.tool, "input": call.arguments}
                for call_id, call in zip(ids, step.calls, strict=True)
            ]
            messages.append({"role": "assistant", "content": blocks})
            if step.calls:
                results = [_anthropic_result(i, c) for i, c in zip(ids, step.calls, strict=True)]
                messages.append({"role": "user", "content": results})
    return messages


def openai_messages(turns: list[Turn], system: str = "Be kind.") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for number, turn in enumerate(turns):
        content: Any = turn.text
        if turn.image:
            url = f"data:image/png;base64,{_PNG}"
            content = [{"type": "text", "text": turn.text}, {"type": "image_url", "image_url": {"url": url}}]
        messages.append({"role": "user", "content": content})
        for index, step in enumerate(turn.steps):
            ids = [f"call_{number}_{index}_{n}" for n in range(len(step.calls))]
            calls = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.tool, "arguments": json.dumps(call.arguments)},
                }
                for call_id, call in zip(ids, step.calls, strict=True)
            ]
            said: dict[str, Any] = {"role": "assistant", "content": step.text or None}
            messages.append({**said, "tool_calls": calls} if calls else said)
            messages += [
                {"role": "tool", "tool_call_id": call_id, "content": call.result}
                for call_id, call in zip(ids, step.calls, strict=True)
            ]
    return messages


def messages_of(dialect: Dialect, turns: list[Turn]) -> list[dict[str, Any]]:
    return anthropic_messages(turns) if dialect is ANTHROPIC else openai_messages(turns)


def request_of(dialect: Dialect, messages: Any) -> Request:
    model = "claude-sonnet-4-6" if dialect is ANTHROPIC else "gpt-4o"
    # Without blanks, so that a conversation that goes on begins with the same bytes.
    body = {"model": model, "max_tokens": 9, "messages": messages}
    return read(dialect, json.dumps(body, separators=(",", ":")).encode())


def conversation_of(request: Request) -> Conversation:
    return Conversation(
        FORMS[request.dialect],
        request.fields["messages"],
        request.piece_ends["messages"],
        request.prompt.messages,
    )


def judge(dialect: Dialect, messages: Any) -> None:
    """Let the double check a conversation, and what it does not look at ourselves.

    Raises:
        Refused: The provider would not take it.
    """
    model = "claude-sonnet-4-6" if dialect is ANTHROPIC else "gpt-4o"
    limits = ModelLimits(model, dialect.name, 10**9, 10**6, system_messages=True)
    body = {"model": model, "max_tokens": 9, "messages": messages}
    if dialect is OPENAI:
        OpenAIFace().check(body, limits, {})
        return
    AnthropicFace().check(body, limits, {})
    roles = [message["role"] for message in messages if message["role"] != "system"]
    assert all(first != second for first, second in pairwise(roles)), roles
    assert begins_with_its_thinking(messages)


def begins_with_its_thinking(messages: list[dict[str, Any]]) -> bool:
    """Whether the answer that is under way, if it thought at all, begins with thinking.

    An answer goes on through tool results; whatever else a user says begins another (Anthropic's page on
    extended thinking, checked 2026-11-24).
    """
    answer: list[list[str]] = []
    for message in reversed(messages):
        kinds = _kinds(message)
        if message["role"] == "assistant":
            answer.append(kinds)
        elif set(kinds) != {"tool_result"}:
            break
    return not any("thinking" in kinds for kinds in answer) or answer[-1][0] == "thinking"


def _kinds(message: dict[str, Any]) -> list[str]:
    content = message["content"]
    return ["text"] if isinstance(content, str) else [block["type"] for block in content]


def _anthropic_result(call_id: str, call: Call) -> dict[str, Any]:
    content: Any = call.result
    if call.image:
        content = [{"type": "text", "text": call.result}, _anthropic_image()]
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def _anthropic_image() -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PNG}}
