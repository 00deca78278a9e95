"""What the Messages API demands of a request's settings beyond their types: limits, marks, thinking, tools.

Source: error messages of the API as publicly reported, checked 2026-11-24.
"""

from collections.abc import Iterator
from typing import cast

from bursar.double.anthropic.conversation import blocks_of
from bursar.double.anthropic.shape import invalid
from bursar.double.models import ModelLimits
from bursar.double.refused import Refused
from bursar.double.shapes import JsonObject

_MARKS_MAX = 4


def check_settings(body: JsonObject, limits: ModelLimits) -> None:
    """Check the settings of a request whose shape is right.

    Raises:
        Refused: The provider would not take it.
    """
    check_tools(body, limits)
    _check_output_limit(body, limits)
    _check_thinking(body)
    _check_effort(body, limits)


def check_marks(body: JsonObject) -> None:
    """Check where cache marks stand, how many there are, and that longer ones come first."""
    marks: list[tuple[str, str]] = []
    for place, block in _markable(body):
        control = block.get("cache_control")
        if control is None:
            continue
        if block.get("type") == "text" and not block["text"]:
            raise Refused(invalid(f"{place}.text: cache_control cannot be set for empty text blocks"))
        marks.append((place, control.get("ttl", "5m")))
    automatic = body.get("cache_control")
    count = len(marks) + (automatic is not None)
    if count > _MARKS_MAX:
        raise Refused(
            invalid(f"A maximum of {_MARKS_MAX} blocks with cache_control may be provided. Found {count}.")
        )
    if automatic is not None:
        marks.append(("", automatic.get("ttl", "5m")))
    short_seen = False
    for place, ttl in marks:
        if ttl == "1h" and short_seen:
            raise Refused(
                invalid(
                    f"{place}{'.' if place else ''}cache_control.ttl: a ttl='1h' cache_control block must "
                    "not come "
                    "after a ttl='5m' cache_control block. Note that blocks are processed in the following "
                    "order: "
                    "`tools`, `system`, `messages`."
                )
            )
        short_seen = short_seen or ttl == "5m"


def check_tools(body: JsonObject, limits: ModelLimits) -> None:
    """Check that tool names are unique, and that a forced tool exists."""
    tools = cast("list[JsonObject]", body.get("tools") or [])
    names = [cast("str", tool["name"]) for tool in tools if "name" in tool]
    if len(set(names)) < len(names):
        raise Refused(invalid("tools: Tool names must be unique."))
    choice = cast("JsonObject", body.get("tool_choice") or {"type": "auto"})
    kind = choice["type"]
    if kind in {"any", "tool"} and not tools:
        raise Refused(invalid(f"tool_choice: `{kind}` is only allowed when `tools` are specified"))
    if kind in {"any", "tool"} and not limits.forced_tools:
        raise Refused(invalid(f"tool_choice: forced tool use is not supported on {limits.model}"))
    if kind == "tool" and choice["name"] not in names:
        raise Refused(invalid(f"tool_choice: Tool '{choice['name']}' not found in provided tools"))


def _markable(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield what may carry a mark, in the order in which the provider reads it."""
    for index, tool in enumerate(cast("list[JsonObject]", body.get("tools") or [])):
        yield f"tools.{index}", tool
    system = body.get("system")
    if isinstance(system, list):
        for index, block in enumerate(cast("list[JsonObject]", system)):
            yield f"system.{index}", block
    for number, message in enumerate(cast("list[JsonObject]", body["messages"])):
        if isinstance(message["content"], str):
            continue
        for index, block in enumerate(blocks_of(message["content"])):
            place = f"messages.{number}.content.{index}"
            inner = block.get("content")
            if block["type"] == "tool_result" and isinstance(inner, list):
                for inner_index, part in enumerate(cast("list[JsonObject]", inner)):
                    yield f"{place}.tool_result.content.{inner_index}", part
            yield place, block


def _check_output_limit(body: JsonObject, limits: ModelLimits) -> None:
    asked = cast("int", body["max_tokens"])
    if asked > limits.output_tokens_max:
        raise Refused(
            invalid(
                f"max_tokens: {asked} > {limits.output_tokens_max}, which is the maximum allowed number of "
                "output "
                f"tokens for {body['model']}"
            )
        )
    if asked == 0:
        _check_prewarming(body)


def _check_prewarming(body: JsonObject) -> None:
    """Check a request that only fills the cache (`max_tokens: 0`)."""
    thinking = cast("JsonObject", body.get("thinking") or {"type": "disabled"})
    choice = cast("JsonObject", body.get("tool_choice") or {"type": "auto"})
    output = cast("JsonObject", body.get("output_config") or {})
    conflicts = {
        "stream": body.get("stream") is True,
        "thinking": thinking["type"] != "disabled",
        "output_config.format": output.get("format") is not None,
        "tool_choice": choice["type"] in {"any", "tool"},
    }
    for name, conflicting in conflicts.items():
        if conflicting:
            raise Refused(invalid(f"max_tokens: 0 is not allowed together with `{name}`"))


def _check_effort(body: JsonObject, limits: ModelLimits) -> None:
    config = cast("JsonObject", body.get("output_config") or {})
    effort, known = config.get("effort"), limits.efforts
    if effort is None or known is None or effort in known:
        return
    if not known:
        raise Refused(invalid("This model does not support the effort parameter."))
    raise Refused(
        invalid(f"This model does not support effort level '{effort}'. Supported levels: {', '.join(known)}.")
    )


def _check_thinking(body: JsonObject) -> None:
    thinking = cast("JsonObject", body.get("thinking") or {"type": "disabled"})
    if thinking["type"] == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        raise Refused(invalid("`max_tokens` must be greater than `thinking.budget_tokens`."))
    if thinking["type"] == "disabled":
        return
    if body.get("temperature", 1) != 1:
        raise Refused(invalid("`temperature` may only be set to 1 when thinking is enabled."))
    if "top_k" in body:
        raise Refused(invalid("`top_k` must be unset when thinking is enabled."))
    choice = cast("JsonObject", body.get("tool_choice") or {"type": "auto"})
    if choice["type"] in {"any", "tool"}:
        raise Refused(invalid("Thinking may not be enabled when tool_choice forces tool use."))
