from typing import Any

import orjson
import pytest
from small_world import gpt, make_double, openai_call, play, words

from bursar.double.calls import DoubleCall

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "found"}
USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def messages(*turns: Any) -> dict[str, Any]:
    return {"messages": list(turns)}


UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'. "
    "The following tool_call_ids did not have response messages: call_1"
)
ORPHAN = (
    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
    "with 'tool_calls'."
)

REFUSALS: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    (
        {"messages": "Hello"},
        "Invalid type for 'messages': expected an array, but got a string instead.",
        "messages",
        "invalid_type",
    ),
    (
        {"messages": []},
        (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
            "array "
            "instead."
        ),
        "messages",
        "empty_array",
    ),
    (
        messages({"role": "user"}),
        "Missing required parameter: 'messages[0].content'.",
        "messages[0].content",
        "missing_required_parameter",
    ),
    (
        messages({"content": "Hi"}),
        "Missing required parameter: 'messages[0].role'.",
        "messages[0].role",
        "missing_required_parameter",
    ),
    (
        messages({"role": "robot", "content": "Hi"}),
        (
            "Invalid value: 'robot'. Supported values are: 'system', 'developer', 'user', 'assistant', "
            "'tool', "
            "and "
            "'function'."
        ),
        "messages[0]",
        "invalid_value",
    ),
    (
        messages({"role": "user", "content": 5}),
        (
            "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got "
            "an "
            "integer "
            "instead."
        ),
        "messages[0].content",
        "invalid_type",
    ),
    (
        messages({"role": "user", "content": [{"type": "text"}]}),
        "Missing required parameter: 'messages[0].content[0].text'.",
        "messages[0].content[0].text",
        "missing_required_parameter",
    ),
    (
        {"colour": "red"},
        "Unknown parameter: 'colour'.",
        "colour",
        "unknown_parameter",
    ),
    (
        {"temperature": 2.5},
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    (
        {"max_tokens": 0},
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "max_tokens",
        "integer_below_min_value",
    ),
    (
        {"max_tokens": 5000},
        (
            "max_tokens is too large: 5000. This model supports at most 4096 completion tokens, whereas you "
            "provided "
            "5000."
        ),
        "max_tokens",
        "invalid_value",
    ),
    (
        {"max_tokens": 5, "max_completion_tokens": 5},
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        "max_tokens",
        "invalid_parameter_combination",
    ),
    (
        {"model": "gpt-reasoner", "max_tokens": 5},
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' "
            "instead."
        ),
        "max_tokens",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-reasoner", "temperature": 0.2},
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) "
            "value "
            "is "
            "supported."
        ),
        "temperature",
        "unsupported_value",
    ),
    (
        {"reasoning_effort": "high"},
        "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
        "reasoning_effort",
        "unsupported_parameter",
    ),
    (
        {"prompt_cache_options": {"mode": "explicit"}},
        "Unsupported parameter: 'prompt_cache_options' is not supported with this model.",
        "prompt_cache_options",
        "unsupported_parameter",
    ),
    (
        messages({"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]}),
        (
            "Unsupported parameter: 'messages[0].content[0].prompt_cache_breakpoint' is not supported with "
            "this "
            "model."
        ),
        "messages[0].content[0].prompt_cache_breakpoint",
        "unsupported_parameter",
    ),
    (
        {"stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        None,
    ),
    (
        {"tools": []},
        (
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead."
        ),
        "tools",
        "empty_array",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "look up"}}]},
        (
            "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches "
            "the "
            "pattern '^[a-zA-Z0-9_-]{1,64}$'."
        ),
        "tools[0].function.name",
        "invalid_value",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"required": "city"}}}]},
        "Invalid schema for 'tools[0].function.parameters': it is not a valid JSON Schema.",
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    (
        {"tool_choice": "auto"},
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        "tool_choice",
        None,
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "find"}}},
        "Invalid value for 'tool_choice': function 'find' not found in 'tools'.",
        "tool_choice",
        None,
    ),
    (messages(USER, ASKS), UNANSWERED, "messages.[1].role", None),
    (messages(USER, ASKS, USER), UNANSWERED, "messages.[1].role", None),
    (messages(USER, RESULT), ORPHAN, "messages.[1].role", None),
    (messages(USER, ASKS, RESULT, USER, RESULT), ORPHAN, "messages.[4].role", None),
    (
        messages(USER, ASKS, {**RESULT, "tool_call_id": "call_2"}),
        "Invalid parameter: 'tool_call_id' of 'call_2' not found in 'tool_calls' of previous message.",
        "messages.[2].tool_call_id",
        None,
    ),
    (
        messages(USER, {"role": "assistant", "content": None}),
        "Invalid value for 'content': expected a string, got null.",
        "messages.[1].content",
        None,
    ),
    (
        messages({"role": "user", "content": words(10_001)}),
        (
            "This model's maximum context length is 10000 tokens. However, your messages resulted in 10001 "
            "tokens. "
            "Please reduce the length of the messages."
        ),
        "messages",
        "context_length_exceeded",
    ),
    (
        {"model": "gpt-reasoner", "service_tier": "flex"},
        "Invalid service_tier argument: 'flex' is not available for gpt-reasoner.",
        "service_tier",
        "invalid_value",
    ),
    ({"model": ""}, "you must provide a model parameter", None, None),
]


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"), REFUSALS, ids=[refusal[1][:60] for refusal in REFUSALS]
)
def test_it_refuses_in_the_providers_words(
    fields: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    answer, row = play(make_double(), openai_call(gpt(**fields)))
    assert answer == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }
    assert (row.status, row.cost_nusd) == (400, 0)


def test_missing_messages_are_named() -> None:
    answer, row = play(make_double(), openai_call({"model": "gpt-test"}))
    assert (row.status, answer["error"]["code"]) == (400, "missing_required_parameter")


def test_an_unknown_model_is_not_found() -> None:
    answer, row = play(make_double(), openai_call(gpt(model="gpt-unknown")))
    assert (row.status, answer["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"model": Infinity}', b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    answer, row = play(make_double(), openai_call(raw))
    assert row.status == 400
    assert answer["error"]["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic key"}, {"authorization": "Bearer "}])
def test_a_call_without_a_key_is_unauthorised(headers: dict[str, str]) -> None:
    call = DoubleCall("/v1/chat/completions", headers, orjson.dumps(gpt()))
    answer, row = play(make_double(), call)
    assert (row.status, answer["error"]["type"]) == (401, "invalid_request_error")


PARTS = [{"type": "text", "text": str(number), **MARK} for number in range(6)]
VALID: list[dict[str, Any]] = [
    messages(USER, ASKS, RESULT, USER),
    messages({"role": "system", "content": "Be brief."}, {"role": "user", "content": ""}),
    messages(USER, {"role": "assistant", "content": "So:"}),
    messages(USER, {**ASKS, "content": "Let me look."}, RESULT),
    {"tools": [TOOL, TOOL], "tool_choice": "required"},
    {"max_completion_tokens": 5, "temperature": 0, "stop": "x", "n": 2},
    {"model": "gpt-reasoner", "messages": [{"role": "user", "content": PARTS}]},
    {"model": "gpt-reasoner", "reasoning_effort": "low", "temperature": 1},
    {"response_format": {"type": "json_object"}, "user": "u", "metadata": {"conversation": "c"}},
]


@pytest.mark.parametrize("fields", VALID)
def test_what_the_provider_takes_is_answered(fields: dict[str, Any]) -> None:
    _, row = play(make_double(), openai_call(gpt(**fields)))
    assert row.status == 200
