from typing import Any

import pytest
from small_world import (
    NOW_S,
    anthropic_call,
    claude,
    event_data,
    gpt,
    make_double,
    openai_call,
    play,
    words,
)

from bursar.double.transcripts import TranscriptBook

TOOL = {
    "name": "look",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": TOOL["input_schema"]}}
MESSAGE = {
    "role": "assistant",
    "content": words(30, "said"),
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Kyiv"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}},
    ],
}
MARKED = {"system": [{"type": "text", "text": words(200), "cache_control": {"type": "ephemeral"}}]}


def book() -> TranscriptBook:
    transcripts = TranscriptBook()
    transcripts.add({"conversation": "c", "messages": [MESSAGE]})
    return transcripts


BODIES: list[Any] = [
    (anthropic_call, claude(**MARKED)),
    (anthropic_call, claude(metadata={"user_id": "c"})),
    (anthropic_call, claude(thinking={"type": "adaptive"})),
    (anthropic_call, claude(tools=[TOOL], tool_choice={"type": "any"})),
    (anthropic_call, claude(max_tokens=5)),
    (openai_call, gpt()),
    (openai_call, gpt(user="c")),
    (openai_call, gpt(user="c", n=3)),
    (openai_call, gpt(model="gpt-reasoner", reasoning_effort="high")),
    (openai_call, gpt(model="gpt-reasoner", reasoning_effort="low", n=2)),
    (openai_call, gpt(tools=[FUNCTION], tool_choice="required")),
    (openai_call, gpt(max_tokens=5)),
]


@pytest.mark.parametrize(("make_call", "body"), BODIES)
def test_a_stream_costs_what_a_whole_answer_costs(make_call: Any, body: dict[str, Any]) -> None:
    _, whole = make_double(book()).play(make_call(body), NOW_S)
    options = {"stream_options": {"include_usage": True}} if make_call is openai_call else {}
    answer, streamed = make_double(book()).play(make_call({**body, "stream": True, **options}), NOW_S)
    assert answer.events
    assert (streamed.usage, streamed.cost_nusd) == (whole.usage, whole.cost_nusd)


def test_anthropics_events_add_up_to_the_whole_answer() -> None:
    body = claude(metadata={"user_id": "c"}, **MARKED)
    whole, row = play(make_double(book()), anthropic_call(body))
    answer = make_double(book()).respond(anthropic_call({**body, "stream": True}), NOW_S)
    events = event_data(answer)
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    start, end = events[0]["message"]["usage"], events[-2]["usage"]
    assert start["cache_creation"]["ephemeral_5m_input_tokens"] == 200
    assert end["output_tokens"] == row.usage.output
    assert end["input_tokens"] == start["input_tokens"] == whole["usage"]["input_tokens"]
    assert events[-2]["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == whole["content"][0]["text"]
    assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"city": "Kyiv"}{"city": "Oslo"}'
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block.get("id") for block in starts] == [None, "call_1", "call_2"]
    indexes = [event["index"] for event in events if "index" in event]
    assert indexes == sorted(indexes)


def test_openais_chunks_add_up_to_the_whole_answer() -> None:
    whole, _ = play(make_double(book()), openai_call(gpt(user="c")))
    body = gpt(user="c", stream=True, stream_options={"include_usage": True})
    chunks = event_data(make_double(book()).respond(openai_call(body), NOW_S))
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-2])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-2]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"]
    arguments = ["", ""]
    for delta in deltas:
        for call in delta.get("tool_calls", []):
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == [call["function"]["arguments"] for call in message["tool_calls"]]
    assert chunks[-3]["choices"][0]["finish_reason"] == "tool_calls"


def test_openais_stream_reports_usage_only_where_asked() -> None:
    chunks = event_data(make_double().respond(openai_call(gpt(stream=True)), NOW_S))
    assert all("usage" not in chunk for chunk in chunks[:-1])
    assert all(chunk["choices"] for chunk in chunks[:-1])


def test_an_aborted_stream_bills_the_prompt_and_what_was_generated() -> None:
    double = make_double(book())
    body = claude(metadata={"user_id": "c"}, stream=True, messages=[{"role": "user", "content": words(50)}])
    answer = double.respond(anthropic_call(body), NOW_S)
    sent = len(answer.events) // 2
    row = double.settle(answer, events_sent=sent, aborted=True)
    generated = answer.events[sent - 1].output_tokens
    assert 0 < generated < answer.events[-1].output_tokens
    assert row.cost_nusd == 50 * 3_000 + generated * 15_000
    assert double.bill.summary()["aborted"] == 1


def test_a_stream_aborted_before_its_first_event_bills_the_prompt() -> None:
    double = make_double()
    answer = double.respond(
        anthropic_call(claude(stream=True, messages=[{"role": "user", "content": words(50)}])), NOW_S
    )
    assert double.settle(answer, events_sent=0, aborted=True).cost_nusd == 50 * 3_000


def test_reasoning_comes_first_in_an_aborted_stream() -> None:
    double = make_double(book())
    body = claude(metadata={"user_id": "c"}, stream=True, thinking={"type": "adaptive"})
    answer = double.respond(anthropic_call(body), NOW_S)
    assert answer.charge is not None
    reasoning = answer.charge.usage.reasoning
    sent = next(i for i, event in enumerate(answer.events) if event.output_tokens > reasoning) + 1
    row = double.settle(answer, events_sent=sent, aborted=True)
    assert row.usage.reasoning == reasoning
    assert row.usage.output == answer.events[sent - 1].output_tokens - reasoning


def test_tokens_never_fall_along_a_stream_and_end_at_the_whole() -> None:
    for make_call, body in BODIES:
        answer = make_double(book()).respond(make_call({**body, "stream": True}), NOW_S)
        tokens = [event.output_tokens for event in answer.events]
        assert tokens == sorted(tokens)
        assert answer.charge is not None
        assert tokens[-1] == answer.charge.usage.output_tokens


def test_a_cut_stream_ends_early_and_bills_what_was_generated() -> None:
    double = make_double(book(), cut_rate=1)
    answer, row = double.play(anthropic_call(claude(metadata={"user_id": "c"}, stream=True)), NOW_S)
    assert answer.cut_after is not None
    assert 0 < answer.cut_after < len(answer.events)
    assert row.usage.output == answer.events[answer.cut_after - 1].output_tokens
    assert (row.cut, double.bill.summary()["cut"]) == (True, 1)


def test_a_cut_body_is_billed_whole_since_it_was_generated_whole() -> None:
    answer, row = make_double(cut_rate=1).play(anthropic_call(claude()), NOW_S)
    assert answer.cut_after is not None
    assert 0 < answer.cut_after < len(answer.body)
    assert answer.charge is not None
    assert row.usage == answer.charge.usage


def test_events_are_due_at_the_pace_of_the_output() -> None:
    double = make_double(book(), latency_s=0.5, first_token_s=0.25, tokens_per_s=10)
    answer = double.respond(anthropic_call(claude(metadata={"user_id": "c"}, stream=True)), NOW_S)
    assert answer.begins_at_s == 0.75
    assert all(event.at_s == pytest.approx(0.75 + event.output_tokens / 10) for event in answer.events)
    assert answer.ends_at_s == answer.events[-1].at_s
