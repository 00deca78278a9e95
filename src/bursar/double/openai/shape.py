"""What a Chat Completions request may hold, and how the API words a fault in it.

Source: the request types of OpenAI's Python SDK 3.54 and error messages as publicly reported, checked
2026-11-24.
"""

from collections.abc import Sequence

from bursar.double.json_schemas import JsonSchema
from bursar.double.refused import Refusal
from bursar.double.shapes import (
    Anything,
    Array,
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
    TextOrObject,
)

_EXPECTED = {
    "string": "a string",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a decimal",
    "array": "an array",
    "object": "an object",
    "string or array": "one of a string or array of objects",
}


def invalid(message: str, param: str | None, code: str | None) -> Refusal:
    """Return the API's answer to a request that is wrong in itself."""
    return Refusal(400, "invalid_request_error", message, code, param)


class OpenAIWording:
    """Places are written as in JavaScript, and every fault has a code."""

    def member(self, place: str, name: str) -> str:
        """Name a member of the object at `place`."""
        return f"{place}.{name}" if place else name

    def item(self, place: str, index: int) -> str:
        """Name an item of the array at `place`."""
        return f"{place}[{index}]"

    def branch(self, place: str, tag: str) -> str:  # noqa: ARG002 - this API does not name branches
        """Name the branch that a value's tag chose at `place`."""
        return place

    def wrong_type(self, place: str, expected: str, value: Json) -> Refusal:
        """Word a value of the wrong JSON type."""
        return invalid(
            f"Invalid type for '{place}': expected {_EXPECTED[expected]}, but got {_kind(value)} instead.",
            place,
            "invalid_type",
        )

    def missing(self, place: str) -> Refusal:
        """Word a required member that is absent."""
        return invalid(f"Missing required parameter: '{place}'.", place, "missing_required_parameter")

    def unknown(self, place: str) -> Refusal:
        """Word a member that is not known."""
        return invalid(f"Unknown parameter: '{place}'.", place, "unknown_parameter")

    def not_one_of(self, place: str, allowed: Sequence[str], value: Json) -> Refusal:
        """Word a value outside of a list."""
        if not isinstance(value, str):
            return self.wrong_type(place, "string", value)
        return invalid(
            f"Invalid value: '{value}'. Supported values are: {_choice(allowed)}.", place, "invalid_value"
        )

    def bad_tag(self, place: str, tags: Sequence[str], value: Json) -> Refusal:
        """Word an object whose tag is not known."""
        return self.not_one_of(place, tags, value)

    def out_of_range(self, place: str, bound: int, value: Json, *, below: bool) -> Refusal:
        """Word a number below its lower, or above its upper bound."""
        kind = "integer" if isinstance(value, int) else "decimal"
        side, extreme, sign = ("below", "min", ">=") if below else ("above", "max", "<=")
        return invalid(
            f"Invalid '{place}': {kind} {side} {extreme}imum value. Expected a value {sign} {bound}, but got "
            f"{value} instead.",
            place,
            f"{kind}_{side}_{extreme}_value",
        )

    def too_short(self, place: str, items_min: int) -> Refusal:
        """Word an array with too few items."""
        return invalid(
            f"Invalid '{place}': empty array. Expected an array with minimum length {items_min}, but got an "
            "empty "
            "array instead.",
            place,
            "empty_array",
        )

    def bad_pattern(self, place: str, pattern: str, value: str) -> Refusal:
        """Word a string that does not match its pattern."""
        if not value:
            return invalid(
                f"Invalid '{place}': empty string. Expected a string with minimum length 1, but got an empty "
                "string "
                "instead.",
                place,
                "empty_string",
            )
        return invalid(
            f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern "
            f"'{pattern}'.",
            place,
            "invalid_value",
        )

    def bad_schema(self, place: str) -> Refusal:
        """Word a JSON schema that is none."""
        return invalid(
            f"Invalid schema for '{place}': it is not a valid JSON Schema.",
            place,
            "invalid_function_parameters" if place.endswith("parameters") else "invalid_json_schema",
        )


def _choice(allowed: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in allowed]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    # A boolean is an integer to Python, so it comes first.
    kinds = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a decimal"),
        (str, "a string"),
        (list, "an array"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "an object")


TEXT = Text()
_OPEN = Record(open=True)
_MARKED: dict[str, Shape] = {
    "prompt_cache_breakpoint": Nullable(
        Record({"mode": OneOf(("explicit",))}, {"ttl": Nullable(OneOf(("30m", "12h")))})
    )
}
_TEXT_PART = Record({"type": TEXT, "text": TEXT}, _MARKED)
_IMAGE_PART = Record(
    {
        "type": TEXT,
        "image_url": Record({"url": TEXT}, {"detail": OneOf(("auto", "low", "high", "original"))}),
    },
    _MARKED,
)
_AUDIO_PART = Record({"type": TEXT, "input_audio": _OPEN}, _MARKED)
_FILE_PART = Record({"type": TEXT, "file": _OPEN}, _MARKED)
_REFUSAL_PART = Record({"type": TEXT, "refusal": TEXT})
_TEXTS = TextOr(Array(Tagged({"text": _TEXT_PART}), items_min=1))
_USER_CONTENT = TextOr(
    Array(
        Tagged(
            {"text": _TEXT_PART, "image_url": _IMAGE_PART, "input_audio": _AUDIO_PART, "file": _FILE_PART}
        ),
        items_min=1,
    )
)
_ASSISTANT_CONTENT = Nullable(
    TextOr(Array(Tagged({"text": _TEXT_PART, "refusal": _REFUSAL_PART}), items_min=1))
)
_FUNCTION_CALL = Record({"name": TEXT, "arguments": TEXT})
_TOOL_CALL = Tagged(
    {
        "function": Record({"id": TEXT, "type": TEXT, "function": _FUNCTION_CALL}),
        "custom": Record({"id": TEXT, "type": TEXT, "custom": Record({"name": TEXT, "input": TEXT})}),
    }
)
_NAMED: dict[str, Shape] = {"name": TEXT}
_INSTRUCTION = Record({"role": TEXT, "content": _TEXTS}, _NAMED)
_MESSAGE = Tagged(
    {
        "system": _INSTRUCTION,
        "developer": _INSTRUCTION,
        "user": Record({"role": TEXT, "content": _USER_CONTENT}, _NAMED),
        "assistant": Record(
            {"role": TEXT},
            {
                **_NAMED,
                "content": _ASSISTANT_CONTENT,
                "tool_calls": Array(_TOOL_CALL, items_min=1),
                "function_call": Nullable(_FUNCTION_CALL),
                "refusal": Nullable(TEXT),
                "audio": Nullable(_OPEN),
                # What an answer carries besides may come back as it was.
                "annotations": Nullable(Array(Anything())),
                "reasoning_content": Anything(),
            },
        ),
        "tool": Record({"role": TEXT, "content": _TEXTS, "tool_call_id": TEXT}, _NAMED),
        "function": Record({"role": TEXT, "content": Nullable(TEXT), "name": TEXT}),
    },
    tag="role",
)
_NAME = Text(r"[a-zA-Z0-9_-]{1,64}")
_FUNCTION = Record(
    {"name": _NAME},
    {
        "description": TEXT,
        "parameters": JsonSchema(),
        "strict": Nullable(Flag()),
    },
)
_TOOL = Tagged(
    {
        "function": Record({"type": TEXT, "function": _FUNCTION}),
        "custom": Record({"type": TEXT, "custom": Record({"name": _NAME}, open=True)}),
    }
)
_TOOL_CHOICE = TextOrObject(
    OneOf(("none", "auto", "required")),
    Tagged(
        {
            "function": Record({"type": TEXT, "function": Record({"name": TEXT})}),
            "custom": Record({"type": TEXT, "custom": Record({"name": TEXT})}),
            "allowed_tools": _OPEN,
        }
    ),
)
_RESPONSE_FORMAT = Tagged(
    {
        "text": Record({"type": TEXT}),
        "json_object": Record({"type": TEXT}),
        "json_schema": Record(
            {"type": TEXT, "json_schema": Record({"name": _NAME}, {"schema": JsonSchema()}, open=True)}
        ),
    }
)
_PENALTY = Nullable(Number(low=-2, high=2))
_LIMIT = Nullable(Number(low=1, whole=True))

CHAT_REQUEST = Record(
    {"model": TEXT, "messages": Array(_MESSAGE, items_min=1)},
    {
        "audio": Nullable(_OPEN),
        "frequency_penalty": _PENALTY,
        "function_call": Anything(),
        "functions": Array(_FUNCTION, items_min=1),
        "logit_bias": Nullable(_OPEN),
        "logprobs": Nullable(Flag()),
        "max_completion_tokens": _LIMIT,
        "max_tokens": _LIMIT,
        "metadata": Nullable(_OPEN),
        "modalities": Nullable(Array(OneOf(("text", "audio")))),
        "moderation": Nullable(_OPEN),
        "n": Nullable(Number(low=1, high=128, whole=True)),
        "parallel_tool_calls": Flag(),
        "prediction": Nullable(_OPEN),
        "presence_penalty": _PENALTY,
        "prompt_cache_key": Nullable(TEXT),
        "prompt_cache_options": Record(
            optional={"mode": OneOf(("implicit", "explicit")), "ttl": OneOf(("30m",))}
        ),
        "prompt_cache_retention": Nullable(OneOf(("in_memory", "in-memory", "24h"))),
        "reasoning_effort": Nullable(OneOf(("none", "minimal", "low", "medium", "high", "xhigh", "max"))),
        "response_format": _RESPONSE_FORMAT,
        "safety_identifier": Nullable(TEXT),
        "seed": Nullable(Number(whole=True)),
        "service_tier": Nullable(OneOf(("auto", "default", "flex", "scale", "priority", "fast"))),
        "stop": Nullable(TextOr(Array(TEXT))),
        "store": Nullable(Flag()),
        "stream": Nullable(Flag()),
        "stream_options": Nullable(Record(optional={"include_usage": Flag(), "include_obfuscation": Flag()})),
        "temperature": Nullable(Number(low=0, high=2)),
        "tool_choice": _TOOL_CHOICE,
        "tools": Array(_TOOL, items_min=1),
        "top_logprobs": Nullable(Number(low=0, high=20, whole=True)),
        "top_p": Nullable(Number(low=0, high=1)),
        "user": Nullable(TEXT),
        "verbosity": Nullable(OneOf(("low", "medium", "high"))),
        "web_search_options": _OPEN,
    },
)
"""The body of `POST /v1/chat/completions`."""
