import json
from typing import Any

import pytest

from bursar.domain.prices import Terms
from bursar.domain.usage import Usage
from bursar.wire.dialect import Answer, Fault
from wire_bodies import ANTHROPIC, OPENAI, anthropic, openai

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"id": 7}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "One moment.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": '{"id":7}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def anthropic_answer(usage: Any) -> Answer:
    return ANTHROPIC.answer(json.dumps({**MESSAGE, "usage": usage}).encode())


def openai_answer(usage: Any, **fields: Any) -> Answer:
    request = openai([{"role": "user", "content": "Hi"}], **fields)
    return OPENAI.answer(json.dumps({**COMPLETION, "usage": usage}).encode(), request)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, Usage(input=3, output=2)),
        (
            {"cache_read_input_tokens": 5, "cache_creation_input_tokens": None},
            Usage(input=3, cache_read=5, output=2),
        ),
        ({"cache_creation_input_tokens": 7}, Usage(input=3, cache_write_5m=7, output=2)),
        (
            {
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
            },
            Usage(input=3, cache_write_5m=4, cache_write_1h=5, output=2),
        ),
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 5}},
            Usage(input=3, cache_write_1h=5, output=2),
        ),
        # What a total holds beyond its breakdown was written as the rest was.
        (
            {"cache_creation_input_tokens": 8, "cache_creation": {"ephemeral_1h_input_tokens": 5}},
            Usage(input=3, cache_write_1h=8, output=2),
        ),
        ({"output_tokens_details": {"thinking_tokens": 2}}, Usage(input=3, reasoning=2)),
        (
            {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1, "new_requests": 0}},
            Usage(input=3, output=2, web_search=2, web_fetch=1),
        ),
        (
            {"server_tool_use": {"new_requests": 4}},
            Usage(input=3, output=2, other=("new_requests",)),
        ),
        # A compaction is billed beside the top level; message iterations are inside it.
        (
            {
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 100,
                        "output_tokens": 10,
                        "cache_read_input_tokens": 50,
                    },
                    {"type": "message", "input_tokens": 3, "output_tokens": 2},
                ]
            },
            Usage(input=103, cache_read=50, output=12),
        ),
        (
            {
                "iterations": [
                    {"type": "advisor_message", "model": "m", "input_tokens": 1, "output_tokens": 1}
                ]
            },
            Usage(input=3, output=2, other=("iteration:advisor_message",)),
        ),
    ],
)
def test_anthropic_usage_becomes_disjoint_classes(usage: dict[str, Any], expected: Usage) -> None:
    answer = anthropic_answer({"input_tokens": 3, "output_tokens": 2, **usage})
    assert answer.usage == expected
    assert (answer.complete, answer.problem, answer.received) == (True, "", "")


@pytest.mark.parametrize(
    ("usage", "fields", "expected"),
    [
        ({}, {}, Usage(input=10, output=8)),
        ({"prompt_tokens_details": {"cached_tokens": 6}}, {}, Usage(input=4, cache_read=6, output=8)),
        (
            {"prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 4}},
            {},
            Usage(cache_read=6, cache_write_30m=4, output=8),
        ),
        (
            {"prompt_tokens_details": {"cache_write_tokens": 4}},
            {"prompt_cache_options": {"ttl": "12h"}},
            Usage(input=6, cache_write_12h=4, output=8),
        ),
        (
            {"completion_tokens_details": {"reasoning_tokens": 5, "rejected_prediction_tokens": 2}},
            {},
            Usage(input=10, output=3, reasoning=5),
        ),
        ({"prompt_tokens_details": None, "completion_tokens_details": {}}, {}, Usage(input=10, output=8)),
        (
            {"prompt_tokens_details": {"audio_tokens": 3}, "completion_tokens_details": {"audio_tokens": 0}},
            {},
            Usage(input=10, output=8, other=("audio_input_tokens",)),
        ),
    ],
)
def test_openai_usage_becomes_disjoint_classes(
    usage: dict[str, Any], fields: dict[str, Any], expected: Usage
) -> None:
    answer = openai_answer({"prompt_tokens": 10, "completion_tokens": 8, **usage}, **fields)
    assert answer.usage == expected
    assert expected.prompt_tokens == 10
    assert expected.output_tokens == 8


def test_a_long_mark_of_the_client_makes_openai_writes_long() -> None:
    part = {"type": "text", "text": "u", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    request = openai([{"role": "user", "content": [part]}])
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": 9}}
    answer = OPENAI.answer(json.dumps({**COMPLETION, "usage": usage}).encode(), request)
    assert answer.usage == Usage(cache_write_12h=9, output=1)


@pytest.mark.parametrize("bad", [-1, 1.5, "3", True, [], {}, 10**16])
@pytest.mark.parametrize("name", ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"])
def test_a_count_that_is_none_leaves_anthropic_usage_unknown(name: str, bad: Any) -> None:
    answer = anthropic_answer({"input_tokens": 3, "output_tokens": 2, name: bad})
    assert answer.usage is None
    assert name in answer.problem
    assert answer.complete
    assert "One moment." in answer.received


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"input_tokens": None, "output_tokens": 2},
        {"input_tokens": 3},
        {"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}},
        {"input_tokens": 3, "output_tokens": 2, "cache_creation": 5},
        {
            "input_tokens": 3,
            "output_tokens": 2,
            "cache_creation_input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 2},
        },
        {"input_tokens": 3, "output_tokens": 2, "iterations": [5]},
        {"input_tokens": 3, "output_tokens": 2, "iterations": [{"type": "compaction"}]},
        {"input_tokens": 3, "output_tokens": 2, "server_tool_use": {"web_search_requests": -1}},
    ],
)
def test_anthropic_usage_that_contradicts_itself_is_unknown(usage: Any) -> None:
    answer = anthropic_answer(usage)
    assert answer.usage is None
    assert answer.problem


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 10},
        {"prompt_tokens": -1, "completion_tokens": 8},
        {"prompt_tokens": 10, "completion_tokens": "8"},
        {"prompt_tokens": 10, "completion_tokens": True},
        {"prompt_tokens": 10, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 11}},
        {
            "prompt_tokens": 10,
            "completion_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 5},
        },
        {"prompt_tokens": 10, "completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 9}},
    ],
)
def test_openai_usage_that_contradicts_itself_is_unknown(usage: Any) -> None:
    answer = openai_answer(usage)
    assert answer.usage is None
    assert answer.problem
    assert "One moment." in answer.received


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b"\xff", b"[" * 10_000])
def test_garbage_is_an_incomplete_answer(body: bytes) -> None:
    for dialect in (ANTHROPIC, OPENAI):
        answer = dialect.answer(body)
        assert (answer.usage, answer.complete) == (None, False)
        assert answer.problem


def test_an_answer_is_read_the_same_beside_a_block_that_cannot_be() -> None:
    content: list[Any] = [
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "id": "t1", "name": "find", "input": {}},
    ]
    usage = {"input_tokens": 3, "output_tokens": 2, "service_tier": "priority", "inference_geo": "us"}
    answer = {"model": "m", "stop_reason": "tool_use", "usage": usage, "content": content}
    whole = ANTHROPIC.answer(json.dumps(answer).encode())
    assert whole.complete
    assert whole.usage == Usage(input=3, output=2)
    assert ANTHROPIC.answer(json.dumps({**answer, "content": [*content, 5]}).encode()) == whole


def test_usage_is_read_beside_members_that_cannot_be() -> None:
    broken = {**MESSAGE, "model": 5, "content": "?"}
    assert ANTHROPIC.answer(json.dumps(broken).encode()).usage == Usage(input=3, output=2)
    broken = {**COMPLETION, "choices": [{"message": {"content": 5}}]}
    assert OPENAI.answer(json.dumps(broken).encode()).usage == Usage(input=3, output=2)


@pytest.mark.parametrize(
    ("usage", "terms"),
    [
        ({}, None),
        ({"service_tier": "priority"}, Terms(tier="priority")),
        ({"service_tier": "standard", "speed": "fast"}, Terms(tier="fast")),
        ({"service_tier": "batch", "inference_geo": "us"}, Terms(tier="batch", geo="us")),
        ({"service_tier": "standard", "inference_geo": "not_available"}, Terms()),
    ],
)
def test_anthropic_says_what_it_billed_under(usage: dict[str, Any], terms: Terms | None) -> None:
    assert anthropic_answer({"input_tokens": 3, "output_tokens": 2, **usage}).terms == terms


@pytest.mark.parametrize(
    ("tier", "terms"),
    [(None, None), ("default", Terms()), ("flex", Terms(tier="flex")), ("priority", Terms(tier="priority"))],
)
def test_openai_says_what_it_billed_under(tier: str | None, terms: Terms | None) -> None:
    assert OPENAI.answer(json.dumps({**COMPLETION, "service_tier": tier}).encode()).terms == terms


def test_an_answer_echoes_in_the_message_that_repeats_it() -> None:
    answer = ANTHROPIC.answer(json.dumps(MESSAGE).encode())
    spoken = [block for block in MESSAGE["content"] if block["type"] != "thinking"]
    for content in (MESSAGE["content"], spoken):
        assert anthropic([{"role": "assistant", "content": content}]).prompt.messages[0].echo == answer.echo
    assert (answer.model, answer.stop_reason) == ("claude-sonnet-4-6", "tool_use")

    answer = OPENAI.answer(json.dumps(COMPLETION).encode())
    message = COMPLETION["choices"][0]["message"]
    parts = [{"type": "text", "text": "One "}, {"type": "text", "text": "moment."}]
    for content in (message["content"], parts):
        assert openai([{**message, "content": content}]).prompt.messages[0].echo == answer.echo
    assert (answer.model, answer.stop_reason) == ("gpt-4o", "tool_calls")


def test_errors_have_the_providers_schema() -> None:
    fault = Fault(402, "budget_exceeded", "Too dear.", {"limit_usd": "5", "resets_at": None})
    assert json.loads(ANTHROPIC.error(fault, "op-1")) == {
        "type": "error",
        "error": {"type": "budget_exceeded", "message": "Too dear.", "limit_usd": "5", "resets_at": None},
        "request_id": "op-1",
    }
    assert json.loads(OPENAI.error(fault, "op-1")) == {
        "error": {
            "message": "Too dear.",
            "type": "budget_exceeded",
            "param": None,
            "code": None,
            "limit_usd": "5",
            "resets_at": None,
        }
    }


def test_error_events_are_terminal_events_that_complete_nothing() -> None:
    fault = Fault(502, "api_error", "Lost.")
    for dialect, request in ((ANTHROPIC, anthropic), (OPENAI, openai)):
        meter = dialect.meter(request([{"role": "user", "content": "Hi"}], stream=True))
        event = dialect.error_event(fault, "op-1")
        assert meter.feed(event) == b""
        assert meter.ended
        assert meter.rest() == event
        assert not meter.answer().complete
        assert "api_error" in meter.answer().problem


def test_events_may_be_written_in_any_way_that_the_format_allows() -> None:
    stream = (
        b"\xef\xbb\xbf: hello\n\n"
        b'event: message_start\ndata: {"type":"message_start","message":\ndata: {"model":"m","usage":'
        b'{"input_tokens":3,"output_tokens":1}}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta",\n'
        b'data: "delta":{"text":"One "}}\n\n'
        b'data:{"type":"content_block_delta","delta":{"type":"text_delta","text":"moment."}}\nid: 7\n\n'
        b"event: future_event\ndata: not json\n\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n'
        b'data: {"type":"message_stop"}\n\n'
    )
    meter = ANTHROPIC.meter(anthropic([{"role": "user", "content": "Hi"}], stream=True))
    assert meter.feed(stream) + meter.rest() == stream
    answer = meter.answer()
    assert (answer.complete, answer.usage, answer.stop_reason) == (True, Usage(input=3, output=2), "end_turn")
    repeated = anthropic([{"role": "assistant", "content": "One moment."}])
    assert answer.echo == repeated.prompt.messages[0].echo


def test_of_several_choices_the_first_is_the_one_that_comes_back() -> None:
    choices = [{"index": n, "message": {"content": f"choice {n}"}, "finish_reason": "stop"} for n in (1, 0)]
    answer = OPENAI.answer(json.dumps({"model": "m", "choices": choices}).encode())
    assert answer.echo == openai([{"role": "assistant", "content": "choice 0"}]).prompt.messages[0].echo
    assert "choice 1" in answer.received


@pytest.mark.parametrize(
    ("usage", "terms"),
    [
        ({"service_tier": "standard"}, Terms("fast", "us")),
        ({"service_tier": "standard", "speed": "standard"}, Terms("standard", "us")),
        ({"service_tier": "batch", "inference_geo": "global"}, Terms("batch", "global")),
        ({}, None),
    ],
    ids=["unsaid", "slower than asked", "another tier", "nothing"],
)
def test_what_usage_leaves_unsaid_is_what_was_asked_for(usage: dict[str, Any], terms: Terms | None) -> None:
    asked = anthropic([{"role": "user", "content": "Hi"}], speed="fast", inference_geo="us")
    body = {"type": "message", "content": [], "usage": {"input_tokens": 3, "output_tokens": 2, **usage}}
    assert ANTHROPIC.answer(json.dumps(body).encode(), asked).terms == terms


@pytest.mark.parametrize("body", [b"{}", b'{"error":{"message":"no"}}', b'{"status":"ok"}'])
@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=["anthropic", "openai"])
def test_some_json_object_or_other_is_no_complete_answer(dialect: Any, body: bytes) -> None:
    answer = dialect.answer(body)
    assert (answer.usage, answer.complete) == (None, False)
    assert answer.problem
