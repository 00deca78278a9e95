"""Which conversations the Messages API takes: roles, empty content, tool calls and their results.

Source: error messages of the API as publicly reported, checked 2026-11-24. Where the provider's own
conduct is looser by model (a thinking block that must open a tool turn, say), the double does not judge.
"""

from collections.abc import Iterator
from typing import cast

from bursar.double.anthropic.shape import invalid
from bursar.double.models import ModelLimits
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import JsonObject


def check_conversation(body: JsonObject, limits: ModelLimits) -> None:
    """Check the messages and system of a request whose shape is right.

    Raises:
        Refused: The provider would not take it.
    """
    messages = cast("list[JsonObject]", body["messages"])
    _check_system(body)
    _check_roles(messages, limits)
    last = len(messages) - 1
    for index, message in enumerate(messages):
        _check_content(message, index, is_final_assistant=index == last and message["role"] == "assistant")
    _check_tool_pairs(messages)


def blocks_of(content: object) -> list[JsonObject]:
    """Return content as blocks; a string is one block of text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return cast("list[JsonObject]", content)


def _check_system(body: JsonObject) -> None:
    system = body.get("system")
    if isinstance(system, list) and any(not block["text"] for block in cast("list[JsonObject]", system)):
        raise Refused(invalid("system: text content blocks must be non-empty"))


def _check_roles(messages: list[JsonObject], limits: ModelLimits) -> None:
    if not limits.system_messages and any(message["role"] == "system" for message in messages):
        raise Refused(
            invalid(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                "parameter, "
                'not "system" as an input message role.'
            )
        )
    if messages[0]["role"] != "user":
        raise Refused(invalid('messages: first message must use the "user" role'))


def _check_content(message: JsonObject, index: int, *, is_final_assistant: bool) -> None:
    content = message["content"]
    if not content and not is_final_assistant:
        raise Refused(
            invalid(
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        )
    role = message["role"]
    blocks = blocks_of(content) if content else []
    for place, block in _with_results(blocks, f"messages.{index}.content"):
        kind = block["type"]
        if kind == "text":
            _check_text(block["text"])
        elif (kind == "tool_result" and role != "user") or (kind == "tool_use" and role != "assistant"):
            right = "user" if kind == "tool_result" else "assistant"
            raise Refused(invalid(f"{place}: `{kind}` blocks can only be in `{right}` messages"))
    if is_final_assistant and blocks and blocks[-1]["type"] == "text":
        text = cast("str", blocks[-1]["text"])
        if text != text.rstrip():
            raise Refused(invalid("messages: final assistant content cannot end with trailing whitespace"))


def _check_text(text: str) -> None:
    if not text:
        raise Refused(invalid("messages: text content blocks must be non-empty"))
    if text.isspace():
        raise Refused(invalid("messages: text content blocks must contain non-whitespace text"))


def _with_results(blocks: list[JsonObject], place: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield blocks with their places, and those inside of tool results after them."""
    for index, block in enumerate(blocks):
        here = f"{place}.{index}"
        yield here, block
        if block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from _with_results(block["content"], f"{here}.tool_result.content")


def _check_tool_pairs(messages: list[JsonObject]) -> None:
    """Check that every tool call is answered at once, and that every result answers one."""
    asked: list[str] = []
    for index, message in enumerate(messages):
        blocks = [] if isinstance(message["content"], str) else blocks_of(message["content"])
        leading = _leading_results(blocks)
        missing = [call for call in asked if call not in leading]
        if missing:
            raise Refused(_unanswered(index - 1, missing))
        _check_results(blocks, index, set(asked))
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(asked)) < len(asked):
            raise Refused(invalid(f"messages.{index}.content: `tool_use` ids must be unique"))
    if asked:
        raise Refused(_unanswered(len(messages) - 1, asked))


def _leading_results(blocks: list[JsonObject]) -> set[str]:
    """Return the calls that are answered before anything else is said."""
    leading: set[str] = set()
    for block in blocks:
        if block["type"] != "tool_result":
            break
        leading.add(block["tool_use_id"])
    return leading


def _check_results(blocks: list[JsonObject], index: int, asked: set[str]) -> None:
    answered: set[str] = set()
    for number, block in enumerate(blocks):
        if block["type"] != "tool_result":
            continue
        name = block["tool_use_id"]
        if name not in asked:
            raise Refused(
                invalid(
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` "
                    "blocks: "
                    f"{name}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                    "previous "
                    "message."
                )
            )
        if name in answered:
            raise Refused(
                invalid(
                    f"messages.{index}.content.{number}: each tool_use must have a single result. Found "
                    "multiple "
                    f"`tool_result` blocks with id: {name}"
                )
            )
        answered.add(name)


def _unanswered(index: int, calls: list[str]) -> Refusal:
    return invalid(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
        "next "
        "message."
    )
