from typing import Any

import orjson
import pytest
from small_world import NOW_S, anthropic_call, claude, make_double, play, words

from bursar.double.calls import DoubleCall

CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
TOOL = {"name": "look", "input_schema": {"type": "object"}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words_: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words_, **more}


def messages(*turns: Any) -> dict[str, Any]:
    return {"messages": list(turns)}


REFUSALS: list[tuple[dict[str, Any], str]] = [
    # Types and fields.
    ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 10.0}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": -0.1}, "temperature: Input should be greater than or equal to 0"),
    ({"top_k": 1.5}, "top_k: Input should be a valid integer"),
    ({"stop_sequences": "END"}, "stop_sequences: Input should be a valid list"),
    ({"stop_sequences": [1]}, "stop_sequences.0: Input should be a valid string"),
    ({"n": 2}, "n: Extra inputs are not permitted"),
    ({"metadata": {"tenant": "a"}}, "metadata.tenant: Extra inputs are not permitted"),
    ({"metadata": "x"}, "metadata: Input should be a valid dictionary"),
    ({"service_tier": "flex"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"system": 1}, "system: Input should be a valid string or list"),
    ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    ({"system": ["policy"]}, "system.0: Input should be a valid dictionary"),
    ({"mcp_servers": []}, "mcp_servers: Extra inputs are not permitted"),
    # Messages.
    ({"messages": "Hello"}, "messages: Input should be a valid list"),
    ({"messages": []}, "messages: at least one message is required"),
    (messages({"role": "user"}), "messages.0.content: Field required"),
    (messages({"content": "Hi"}), "messages.0.role: Field required"),
    (
        messages({"role": "tool", "content": "Hi"}),
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    (messages({"role": "user", "content": 5}), "messages.0.content: Input should be a valid string or list"),
    (
        messages({"role": "user", "content": "Hi", "name": "Al"}),
        "messages.0.name: Extra inputs are not permitted",
    ),
    (
        messages({"role": "system", "content": "Hi"}),
        (
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
            "not "
            '"system" as an input message role.'
        ),
    ),
    (
        messages({"role": "assistant", "content": "Hi"}),
        'messages: first message must use the "user" role',
    ),
    (
        messages({"role": "user", "content": ""}),
        (
            "messages.0: all messages must have non-empty content except for the optional final assistant "
            "message"
        ),
    ),
    (messages(user(text(""))), "messages: text content blocks must be non-empty"),
    (messages(user(text(" \n"))), "messages: text content blocks must contain non-whitespace text"),
    (
        messages({"role": "user", "content": "  "}),
        "messages: text content blocks must contain non-whitespace text",
    ),
    (
        messages(user(text()), {"role": "assistant", "content": "So: "}),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    (
        messages(user({"type": "text"})),
        "messages.0.content.0.text.text: Field required",
    ),
    (messages(user({"text": "Hi"})), "messages.0.content.0.type: Field required"),
    (
        messages(user({"type": "text", "text": "Hi", "colour": 1})),
        "messages.0.content.0.text.colour: Extra inputs are not permitted",
    ),
    (
        messages(
            user({"type": "image", "source": {"type": "base64", "data": "", "media_type": "image/bmp"}})
        ),
        (
            "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', "
            "'image/gif' or 'image/webp'"
        ),
    ),
    # Tool calls and results.
    (
        messages(user(text()), assistant(CALL)),
        (
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. "
            "Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message."
        ),
    ),
    (
        messages(user(text()), assistant(CALL), user(text(), RESULT)),
        (
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. "
            "Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message."
        ),
    ),
    (
        messages(user(RESULT)),
        (
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each "
            "`tool_result` block must have a corresponding `tool_use` block in the previous message."
        ),
    ),
    (
        messages(user(text()), assistant(CALL), user(RESULT, RESULT)),
        (
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` "
            "blocks "
            "with "
            "id: toolu_1"
        ),
    ),
    (
        messages(user(text()), assistant(CALL, CALL), user(RESULT)),
        "messages.1.content: `tool_use` ids must be unique",
    ),
    (
        messages(user(CALL)),
        "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages",
    ),
    (
        messages(user(text()), assistant(RESULT), user(text())),
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
    ),
    (
        messages(user(text()), assistant({**CALL, "input": "{}"}), user(RESULT)),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    (
        messages(user(text()), assistant(CALL), user({**RESULT, "content": [text("")]})),
        "messages: text content blocks must be non-empty",
    ),
    # Tools.
    (
        {"model": "claude-unforced", "tools": [TOOL], "tool_choice": {"type": "any"}},
        "tool_choice: forced tool use is not supported on claude-unforced",
    ),
    (
        {"tools": [{"type": "teleport", "name": "go"}]},
        "tools.0: Input tag 'teleport' found using 'type' does not match any of the expected tags: 'custom'",
    ),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tools": [{"name": "look"}]}, "tools.0.custom.input_schema: Field required"),
    (
        {"tools": [{**TOOL, "input_schema": {"type": "array"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    (
        {"tools": [{**TOOL, "name": "look up"}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    (
        {"tools": [{**TOOL, "input_schema": {"type": "object", "properties": {"city": {"type": "text"}}}}]},
        (
            "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12)."
        ),
    ),
    ({"tools": [{**TOOL, "extra": 1}]}, "tools.0.custom.extra: Extra inputs are not permitted"),
    (
        {"tool_choice": {"type": "any"}},
        "tool_choice: `any` is only allowed when `tools` are specified",
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "find"}},
        "tool_choice: Tool 'find' not found in provided tools",
    ),
    # Cache marks.
    (
        messages(user(*[text(str(number), **MARK) for number in range(5)])),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {**MARK, **messages(user(*[text(str(number), **MARK) for number in range(4)]))},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {"system": [text(**MARK)], **messages(user(text(**HOUR)))},
        (
            "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a "
            "ttl='5m' "
            "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
            "`messages`."
        ),
    ),
    (
        messages(user(text(cache_control={"type": "ephemeral", "ttl": "2h"}))),
        "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
    ),
    (
        messages(user(text(cache_control={"type": "lasting"}))),
        "messages.0.content.0.text.cache_control.type: Input should be 'ephemeral'",
    ),
    (
        messages(
            user(text()),
            assistant({"type": "thinking", "thinking": "Hm", "signature": "s", **MARK}, text()),
            user(text()),
        ),
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
    ),
    (
        messages(user(text("", **MARK))),
        "messages.0.content.0.text: cache_control cannot be set for empty text blocks",
    ),
    # Limits and thinking.
    (
        {"max_tokens": 4097},
        "max_tokens: 4097 > 4096, which is the maximum allowed number of output tokens for claude-test",
    ),
    ({"max_tokens": 0, "stream": True}, "max_tokens: 0 is not allowed together with `stream`"),
    (
        {"max_tokens": 0, "thinking": {"type": "adaptive"}},
        "max_tokens: 0 is not allowed together with `thinking`",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1023}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    (
        {"thinking": {"type": "adaptive"}, "temperature": 0.5},
        "`temperature` may only be set to 1 when thinking is enabled.",
    ),
    ({"thinking": {"type": "adaptive"}, "top_k": 5}, "`top_k` must be unset when thinking is enabled."),
    (
        {"thinking": {"type": "adaptive"}, "tools": [TOOL], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    (
        messages({"role": "user", "content": words(10_001)}),
        "prompt is too long: 10001 tokens > 10000 maximum",
    ),
    ({"model": "claude-unforced", "speed": "fast"}, "speed: 'fast' is not supported for claude-unforced"),
    ({"inference_geo": "mars"}, "inference_geo: 'mars' is not supported for claude-test"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSALS, ids=[message[:60] for _, message in REFUSALS])
def test_it_refuses_in_the_providers_words(fields: dict[str, Any], message: str) -> None:
    answer, row = play(make_double(), anthropic_call(claude(**fields)))
    assert answer["error"] == {"type": "invalid_request_error", "message": message}
    assert (answer["type"], row.status, row.cost_nusd) == ("error", 400, 0)


@pytest.mark.parametrize("field", ["model", "messages", "max_tokens"])
def test_a_required_field_is_named(field: str) -> None:
    body = claude()
    del body[field]
    answer, row = play(make_double(), anthropic_call(body))
    assert (row.status, answer["error"]["message"]) == (400, f"{field}: Field required")


@pytest.mark.parametrize("model", ["claude-unknown", "gpt-test", "claude-test-2", "anthropic/claude-test"])
def test_an_unknown_model_is_not_found(model: str) -> None:
    answer, row = play(make_double(), anthropic_call(claude(model=model)))
    assert row.status == 404
    assert answer["error"] == {"type": "not_found_error", "message": f"model: {model}"}


def test_a_model_without_a_price_is_not_served() -> None:
    _, row = play(make_double(), anthropic_call(claude(model="claude-unpriced")))
    assert row.status == 404


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"text"', b'{"model": NaN}', b'{"a": "\xff"}', b"[" * 5000]
)
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    answer, row = play(make_double(), anthropic_call(raw))
    assert row.status == 400
    assert answer["error"]["message"].startswith("The request body is not valid JSON")


def test_a_call_without_a_key_is_unauthorised() -> None:
    call = DoubleCall("/v1/messages", {"anthropic-version": "2023-06-01"}, orjson.dumps(claude()))
    answer, row = play(make_double(), call)
    assert row.status == 401
    assert answer["error"] == {"type": "authentication_error", "message": "x-api-key header is required"}


def test_a_call_without_a_version_is_refused() -> None:
    call = DoubleCall("/v1/messages", {"authorization": "Bearer key"}, orjson.dumps(claude()))
    answer, row = play(make_double(), call)
    assert (row.status, answer["error"]["message"]) == (400, "anthropic-version: header is required")


VALID: list[dict[str, Any]] = [
    messages({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "So:"}),
    messages({"role": "user", "content": "Hi"}, {"role": "user", "content": "there"}),
    messages(user(text()), assistant(text(), CALL), user(RESULT, text())),
    messages(user(text()), assistant(CALL), user({**RESULT, "content": ""})),
    messages(user(text()), assistant(CALL), user({"type": "tool_result", "tool_use_id": "toolu_1"})),
    {"system": ""},
    {"max_tokens": 0},
    {"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]},
    {"tools": [TOOL], "tool_choice": {"type": "none"}},
    {"system": [text(**HOUR)], **messages(user(text(**MARK)))},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1025},
    {"metadata": {"user_id": "u"}, "top_p": 0.5, "stop_sequences": ["x"], "service_tier": "auto"},
]


@pytest.mark.parametrize("fields", VALID)
def test_what_the_provider_takes_is_answered(fields: dict[str, Any]) -> None:
    _, row = play(make_double(), anthropic_call(claude(**fields)))
    assert row.status == 200


def test_fields_in_beta_need_the_beta_header() -> None:
    call = anthropic_call(claude(mcp_servers=[]), **{"anthropic-beta": "mcp-client-2025-04-04"})
    _, row = play(make_double(), call)
    assert row.status == 200


def test_counting_tokens_takes_no_output_limit_and_checks_the_rest() -> None:
    double = make_double()
    body = claude(messages=[{"role": "user", "content": words(7)}])
    refused = double.count_tokens(anthropic_call(body), NOW_S)
    assert orjson.loads(refused.body)["error"]["message"] == "max_tokens: Extra inputs are not permitted"
    del body["max_tokens"]
    counted = double.count_tokens(anthropic_call(body), NOW_S)
    assert (counted.status, orjson.loads(counted.body)) == (200, {"input_tokens": 7})
    assert double.bill.summary()["calls"] == 0
