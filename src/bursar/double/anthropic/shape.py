"""What a Messages request may hold, and how the API words a fault in it.

Source: the request types of Anthropic's Python SDK 2.12 and error messages as publicly reported, checked
2026-11-24.
"""

from collections.abc import Sequence

from bursar.double.json_schemas import JsonSchema
from bursar.double.refused import Refusal
from bursar.double.shapes import (
    Anything,
    Array,
    Both,
    Flag,
    Json,
    Nullable,
    Number,
    OneOf,
    Record,
    Shape,
    Tagged,
    Text,
    TextOr,
)

_TYPE_NAMES = {
    "string": "Input should be a valid string",
    "boolean": "Input should be a valid boolean",
    "integer": "Input should be a valid integer",
    "number": "Input should be a valid number",
    "array": "Input should be a valid list",
    "object": "Input should be a valid dictionary",
    "string or array": "Input should be a valid string or list",
}


def invalid(message: str) -> Refusal:
    """Return the API's answer to a request that is wrong in itself."""
    return Refusal(400, "invalid_request_error", message)


class AnthropicWording:
    """Places are joined by dots, and every fault is an `invalid_request_error`."""

    def member(self, place: str, name: str) -> str:
        """Name a member of the object at `place`."""
        return f"{place}.{name}" if place else name

    def item(self, place: str, index: int) -> str:
        """Name an item of the array at `place`."""
        return f"{place}.{index}"

    def branch(self, place: str, tag: str) -> str:
        """Name the branch that a value's tag chose at `place`."""
        return f"{place}.{tag}"

    def wrong_type(self, place: str, expected: str, value: Json) -> Refusal:  # noqa: ARG002 - the API does not show it
        """Word a value of the wrong JSON type."""
        return invalid(f"{place}: {_TYPE_NAMES[expected]}" if place else _TYPE_NAMES[expected])

    def missing(self, place: str) -> Refusal:
        """Word a required member that is absent."""
        return invalid(f"{place}: Field required")

    def unknown(self, place: str) -> Refusal:
        """Word a member that is not known."""
        return invalid(f"{place}: Extra inputs are not permitted")

    def not_one_of(self, place: str, allowed: Sequence[str], value: Json) -> Refusal:  # noqa: ARG002 - the same
        """Word a value outside of a list."""
        return invalid(f"{place}: Input should be {_choice(allowed)}")

    def bad_tag(self, place: str, tags: Sequence[str], value: Json) -> Refusal:
        """Word an object whose `type` is not known."""
        listed = ", ".join(f"'{tag}'" for tag in tags)
        return invalid(
            f"{place}: Input tag '{value}' found using 'type' does not match any of the expected tags: "
            f"{listed}"
        )

    def out_of_range(self, place: str, bound: int, value: Json, *, below: bool) -> Refusal:  # noqa: ARG002 - the same
        """Word a number below its lower, or above its upper bound."""
        return invalid(f"{place}: Input should be {'greater' if below else 'less'} than or equal to {bound}")

    def too_short(self, place: str, items_min: int) -> Refusal:
        """Word an array with too few items."""
        if place == "messages":
            return invalid("messages: at least one message is required")
        return invalid(f"{place}: List should have at least {items_min} item after validation, not 0")

    def bad_pattern(self, place: str, pattern: str, value: str) -> Refusal:  # noqa: ARG002 - the same
        """Word a string that does not match its pattern."""
        return invalid(f"{place}: String should match pattern '{pattern}'")

    def bad_schema(self, place: str) -> Refusal:
        """Word a JSON schema that is none."""
        return invalid(
            f"{place}: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12)."
        )


def _choice(allowed: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in allowed]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


TEXT = Text()
_OPEN = Record(open=True)
_CACHE_CONTROL = Nullable(Record({"type": OneOf(("ephemeral",))}, {"ttl": OneOf(("5m", "1h"))}))
_MARKED: dict[str, Shape] = {"cache_control": _CACHE_CONTROL}
_CITATIONS = Nullable(Record(optional={"enabled": Flag()}))

_TEXT_BLOCK = Record({"type": TEXT, "text": TEXT}, {**_MARKED, "citations": Nullable(Array(Anything()))})
_IMAGE_SOURCE = Tagged(
    {
        "base64": Record(
            {
                "type": TEXT,
                "data": TEXT,
                "media_type": OneOf(("image/jpeg", "image/png", "image/gif", "image/webp")),
            }
        ),
        "url": Record({"type": TEXT, "url": TEXT}),
        "file": Record({"type": TEXT, "file_id": TEXT}),
    }
)
_IMAGE = Record({"type": TEXT, "source": _IMAGE_SOURCE}, {**_MARKED, "transformations": Anything()})
_DOCUMENT_SOURCE = Tagged(
    {
        "base64": Record({"type": TEXT, "data": TEXT, "media_type": OneOf(("application/pdf",))}),
        "text": Record({"type": TEXT, "data": TEXT, "media_type": OneOf(("text/plain",))}),
        "content": Record({"type": TEXT, "content": TextOr(Array(_OPEN))}),
        "url": Record({"type": TEXT, "url": TEXT}),
        "file": Record({"type": TEXT, "file_id": TEXT}),
    }
)
_DOCUMENT = Record(
    {"type": TEXT, "source": _DOCUMENT_SOURCE},
    {**_MARKED, "citations": _CITATIONS, "context": Nullable(TEXT), "title": Nullable(TEXT)},
)
_SEARCH_RESULT = Record(
    {"type": TEXT, "content": Array(_TEXT_BLOCK), "source": TEXT, "title": TEXT},
    {**_MARKED, "citations": _CITATIONS},
)
_RESULT_CONTENT = Tagged(
    {
        "text": _TEXT_BLOCK,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "tool_reference": _OPEN,
    }
)
_TOOL_USE_ID = Text(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = Text(r"[a-zA-Z0-9_-]{1,128}")
_BLOCK = Tagged(
    {
        "text": _TEXT_BLOCK,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH_RESULT,
        "thinking": Record({"type": TEXT, "thinking": TEXT, "signature": TEXT}),
        "redacted_thinking": Record({"type": TEXT, "data": TEXT}),
        "tool_use": Record(
            {"type": TEXT, "id": _TOOL_USE_ID, "name": Text(r"[\s\S]{1,200}"), "input": _OPEN},
            {**_MARKED, "caller": Anything()},
        ),
        "tool_result": Record(
            {"type": TEXT, "tool_use_id": _TOOL_USE_ID},
            {**_MARKED, "content": TextOr(Array(_RESULT_CONTENT)), "is_error": Flag()},
        ),
        # What the provider's own tools leave in a conversation is sent back as it came.
        "server_tool_use": _OPEN,
        "web_search_tool_result": _OPEN,
        "web_fetch_tool_result": _OPEN,
        "code_execution_tool_result": _OPEN,
        "bash_code_execution_tool_result": _OPEN,
        "text_editor_code_execution_tool_result": _OPEN,
        "tool_search_tool_result": _OPEN,
        "container_upload": _OPEN,
        "compaction": _OPEN,
    }
)
_MESSAGE = Record({"role": OneOf(("user", "assistant", "system")), "content": TextOr(Array(_BLOCK))})

_CUSTOM_TOOL = Record(
    {"name": _TOOL_NAME, "input_schema": Both(Record({"type": OneOf(("object",))}, open=True), JsonSchema())},
    {
        **_MARKED,
        "type": TEXT,
        "description": TEXT,
        "allowed_callers": Array(TEXT),
        "defer_loading": Flag(),
        "eager_input_streaming": Nullable(Flag()),
        "input_examples": Array(_OPEN),
        "strict": Flag(),
    },
)
_PROVIDERS_TOOL = Record({"type": TEXT, "name": TEXT}, _MARKED, open=True)
_TOOLSET = Record({"type": TEXT}, _MARKED, open=True)
_TOOL = Tagged(
    {"custom": _CUSTOM_TOOL},
    default="custom",
    prefixes={
        "web_search_": _PROVIDERS_TOOL,
        "web_fetch_": _PROVIDERS_TOOL,
        "bash_": _PROVIDERS_TOOL,
        "text_editor_": _PROVIDERS_TOOL,
        "code_execution_": _PROVIDERS_TOOL,
        "memory_": _PROVIDERS_TOOL,
        "computer_toolset_": _TOOLSET,
        "computer_": _PROVIDERS_TOOL,
        "browser_toolset_": _TOOLSET,
        "tool_search_tool_": _PROVIDERS_TOOL,
    },
)
_PARALLEL: dict[str, Shape] = {"disable_parallel_tool_use": Flag()}
_TOOL_CHOICE = Tagged(
    {
        "auto": Record({"type": TEXT}, _PARALLEL),
        "any": Record({"type": TEXT}, _PARALLEL),
        "tool": Record({"type": TEXT, "name": TEXT}, _PARALLEL),
        "none": Record({"type": TEXT}),
    }
)
_DISPLAY: dict[str, Shape] = {"display": Nullable(OneOf(("summarized", "omitted")))}
_THINKING = Tagged(
    {
        "enabled": Record({"type": TEXT, "budget_tokens": Number(low=1024, whole=True)}, _DISPLAY),
        "adaptive": Record({"type": TEXT}, _DISPLAY),
        "between_tools": Record({"type": TEXT}, _DISPLAY),
        "disabled": Record({"type": TEXT}),
    }
)
_OUTPUT_CONFIG = Record(
    optional={
        "effort": Nullable(OneOf(("low", "medium", "high", "xhigh", "max"))),
        "format": Nullable(Record({"type": OneOf(("json_schema",)), "schema": JsonSchema()})),
    }
)
_PROMPT: dict[str, Shape] = {"model": TEXT, "messages": Array(_MESSAGE, items_min=1)}
_SHARED: dict[str, Shape] = {
    "cache_control": _CACHE_CONTROL,
    "output_config": _OUTPUT_CONFIG,
    "speed": Nullable(OneOf(("standard", "fast"))),
    "system": TextOr(Array(_TEXT_BLOCK)),
    "thinking": _THINKING,
    "tool_choice": _TOOL_CHOICE,
    "tools": Array(_TOOL),
    "user_profile_id": TEXT,
}
_GENERATION: dict[str, Shape] = {
    "container": Anything(),
    "diagnostics": Nullable(Record(optional={"previous_message_id": Nullable(TEXT)})),
    "inference_geo": Nullable(TEXT),
    "metadata": Record(optional={"user_id": Nullable(TEXT)}),
    "service_tier": OneOf(("auto", "standard_only")),
    "stop_sequences": Array(TEXT),
    "stream": Flag(),
    "temperature": Number(low=0, high=1),
    "top_k": Number(low=0, whole=True),
    "top_p": Number(low=0, high=1),
}
_BETA: dict[str, Shape] = {"mcp_servers": Array(_OPEN), "context_management": _OPEN, "output_format": _OPEN}

MESSAGES_REQUEST = Record({**_PROMPT, "max_tokens": Number(low=0, whole=True)}, {**_SHARED, **_GENERATION})
"""The body of `POST /v1/messages`."""

BETA_MESSAGES_REQUEST = Record(MESSAGES_REQUEST.required, {**MESSAGES_REQUEST.optional, **_BETA})
"""The same where an `anthropic-beta` header came with it."""

COUNT_REQUEST = Record(_PROMPT, {**_SHARED, **_BETA})
"""The body of `POST /v1/messages/count_tokens`."""
