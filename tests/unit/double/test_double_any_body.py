from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import NOW_S, anthropic_call, claude, gpt, make_double, openai_call

SCALARS = st.none() | st.booleans() | st.integers(-2, 5000) | st.floats(-2, 3) | st.text(max_size=8)
# Words that mean something to either API, so that arbitrary values get past the first checks.
WORDS = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "content",
        "user",
        "assistant",
        "tool",
        "system",
        "name",
        "id",
        "input",
        "function",
        "arguments",
        "tool_use",
        "tool_result",
        "tool_use_id",
        "tool_calls",
        "tool_call_id",
        "cache_control",
        "ephemeral",
        "ttl",
        "1h",
        "5m",
        "schema",
        "input_schema",
        "properties",
        "required",
        "object",
        "array",
        "items",
        "enum",
        "any",
        "auto",
        "json_schema",
        "image",
        "source",
        "url",
        "thinking",
        "enabled",
        "adaptive",
        "budget_tokens",
        "web_search_20250305",
        "parameters",
        "const",
        "anyOf",
        "look",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "max_tokens",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "metadata",
        "stream",
        "stop_sequences",
        "temperature",
        "cache_control",
        "output_config",
        "speed",
        "inference_geo",
        "n",
        "stop",
        "response_format",
        "stream_options",
        "reasoning_effort",
        "user",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "service_tier",
        "max_completion_tokens",
        "functions",
    ]
)
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [CALL]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "found"}]},
]


def settled(call: Any) -> int:
    double = make_double()
    answer, row = double.play(call, NOW_S)
    assert answer.status in {200, 400, 404}
    if answer.status != 200:
        assert orjson.loads(answer.body)["error"]["message"]
        assert row.cost_nusd == 0
    return answer.status


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=4))
def test_any_fields_are_answered_or_refused(fields: dict[str, Any]) -> None:
    settled(anthropic_call(claude(**fields)))
    settled(openai_call(gpt(**fields)))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2), st.sampled_from(["role", "content", "extra"]), VALUES)
def test_any_change_to_a_conversation_is_answered_or_refused(turn: int, member: str, value: Any) -> None:
    turns = [dict(message) for message in TURNS]
    turns[turn][member] = value
    settled(anthropic_call(claude(messages=turns)))
    settled(openai_call(gpt(messages=turns)))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_any_schema_of_a_forced_tool_is_answered_or_refused(schema: dict[str, Any]) -> None:
    tool = {"name": "look", "input_schema": {**schema, "type": "object"}}
    settled(anthropic_call(claude(tools=[tool], tool_choice={"type": "any"})))
    function = {"type": "function", "function": {"name": "look", "parameters": schema}}
    settled(openai_call(gpt(tools=[function], tool_choice="required")))
    form = {"type": "json_schema", "json_schema": {"name": "plan", "schema": schema}}
    settled(openai_call(gpt(response_format=form)))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert settled(anthropic_call(raw)) == settled(openai_call(raw)) == 400
