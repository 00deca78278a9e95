import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from bursar.wire.replaying import Ending, RecordingMeter, as_stream, as_whole, read_ending
from provider_answers import completion, completion_chunks, message, message_events
from wire_bodies import ANTHROPIC, OPENAI
from wire_bodies import anthropic as ask_anthropic
from wire_bodies import openai as ask_openai

GOLDEN = Path(__file__).parents[2] / "golden" / "wire"

RICH_MESSAGE: dict[str, Any] = message() | {
    "content": [
        {"type": "thinking", "thinking": "Hm — “so”.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {
            "type": "text",
            "text": "Grüß\n\nGott 🎈",
            "citations": [
                {"type": "char_location", "cited_text": "G", "document_index": 0, "start_char_index": 0},
                {"type": "char_location", "cited_text": "o", "document_index": 0, "start_char_index": 5},
            ],
        },
        {"type": "text", "text": "", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"n": 1.50, "deep": {"a": [None]}}},
        {"type": "tool_use", "id": "toolu_2", "name": "stop", "input": {}},
        {"type": "block_of_tomorrow", "payload": {"text": "kept"}},
    ],
    "stop_reason": "tool_use",
    "stop_details": None,
    "container": {"id": "container_1", "expires_at": "2026-11-24T00:00:00Z"},
    "context_management": {"applied_edits": []},
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 340,
        "cache_read_input_tokens": 5_120,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 57,
        "output_tokens_details": {"thinking_tokens": 21},
        "service_tier": "standard",
    },
}
RICH_COMPLETION: dict[str, Any] = completion() | {
    "service_tier": "default",
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Grüß\n\nGott",
                "refusal": None,
                "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.org"}}],
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"a": 1}'},
                    },
                    {"id": "call_2", "type": "custom", "custom": {"name": "say", "input": "hi"}},
                ],
            },
            "logprobs": {
                "content": [{"token": "Grüß", "logprob": -0.25, "bytes": [71], "top_logprobs": []}],
                "refusal": None,
            },
            "finish_reason": "tool_calls",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "refusal": "No."},
            "logprobs": None,
            "finish_reason": "stop",
        },
    ],
}


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def converted(dialect: str, body: Any) -> tuple[bytes, Any]:
    stream = as_stream(dialect, encode(body))
    assert stream is not None
    whole = as_whole(dialect, stream)
    assert whole is not None
    return stream, json.loads(whole)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (ANTHROPIC, message()),
        (ANTHROPIC, message() | {"content": []}),
        (ANTHROPIC, RICH_MESSAGE),
        (OPENAI, completion()),
        (OPENAI, RICH_COMPLETION),
    ],
)
def test_a_whole_answer_comes_back_from_its_stream_as_it_was(dialect: Any, body: Any) -> None:
    stream, whole = converted(dialect.name, body)
    assert whole == body
    asked = ask_anthropic([{"role": "user", "content": "?"}], stream=True)
    if dialect is OPENAI:
        asked = ask_openai([{"role": "user", "content": "?"}], stream=True)
    meter = dialect.meter(asked)
    meter.feed(stream)
    assert meter.ended
    assert meter.answer() == dialect.answer(encode(body), asked)


@pytest.mark.parametrize(
    "name", ["anthropic_tools", "anthropic_search_compacted", "openai_text", "openai_tools"]
)
def test_a_providers_stream_becomes_an_answer_that_reads_the_same(name: str) -> None:
    dialect = ANTHROPIC if name.startswith("anthropic") else OPENAI
    stream = (GOLDEN / f"{name}.sse").read_bytes()
    whole = as_whole(dialect.name, stream)
    assert whole is not None
    ask: Any = ask_anthropic if dialect is ANTHROPIC else ask_openai
    asked = ask([{"role": "user", "content": "?"}], stream=True)
    meter = dialect.meter(asked)
    meter.feed(stream)
    assert dialect.answer(whole, asked) == meter.answer()


def served(content: bytes, kind: str) -> httpx2.Client:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=content)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def test_anthropics_sdk_reads_the_stream_as_the_answer_that_it_was() -> None:
    # The SDK warns of blocks that it does not know.
    body = RICH_MESSAGE | {"content": RICH_MESSAGE["content"][:-1]}
    stream, _ = converted(ANTHROPIC.name, body)
    with (
        served(stream, "text/event-stream") as http,
        anthropic.Anthropic(api_key="key", http_client=http) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}]
        ) as events,
    ):
        heard = events.get_final_message().to_dict(mode="json")
    for name in ("id", "model", "stop_reason", "stop_sequence", "usage", "container"):
        assert heard[name] == body[name]
    content: Any = heard["content"]
    for block, expected in zip(content, body["content"], strict=True):
        # The SDK adds a member of its own to texts.
        assert {k: v for k, v in block.items() if k != "parsed_output"} == expected


def test_openais_sdk_reads_the_stream_as_the_answer_that_it_was() -> None:
    # The SDK's accumulation breaks on a custom tool's call, whoever streams it.
    first = RICH_COMPLETION["choices"][0]
    message = first["message"] | {"tool_calls": first["message"]["tool_calls"][:1]}
    body = RICH_COMPLETION | {"choices": [first | {"message": message}]}
    stream, _ = converted(OPENAI.name, body)
    with (
        served(stream, "text/event-stream") as http,
        openai.OpenAI(api_key="key", http_client=http) as client,
        client.chat.completions.stream(
            model="m", messages=[{"role": "user", "content": "?"}], stream_options={"include_usage": True}
        ) as events,
    ):
        heard: Any = events.get_final_completion().to_dict()
    assert heard["id"] == body["id"]
    assert heard["usage"] == body["usage"]
    choice, expected = heard["choices"][0], body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == expected["message"]["content"]
    function = choice["message"]["tool_calls"][0]["function"]
    assert function["arguments"] == expected["message"]["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"nonsense", b'{"content":5}', b'{"choices":[5]}', b'{"choices":[{"message":0}]}'],
)
def test_what_is_no_answer_has_no_stream_and_no_whole(dialect: Any, body: bytes) -> None:
    assert as_stream(dialect.name, body) is None
    assert as_whole(dialect.name, body) is None
    assert as_whole(dialect.name, b"data: " + body + b"\n\n") is None


@pytest.mark.parametrize(
    ("dialect", "events"), [(ANTHROPIC, message_events()), (OPENAI, completion_chunks())]
)
def test_a_stream_without_its_end_has_no_whole(dialect: Any, events: list[bytes]) -> None:
    assert as_whole(dialect.name, b"".join(events)) is not None
    assert as_whole(dialect.name, b"".join(events[:-1])) is None


def test_deltas_that_are_not_known_have_no_whole() -> None:
    events = message_events()
    unknown = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"new_delta"}}\n\n'
    stray = b'data: {"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"x"}}\n\n'
    for event in (unknown, stray):
        assert as_whole(ANTHROPIC.name, b"".join([*events[:3], event, *events[3:]])) is None


def test_members_that_contradict_each_other_have_no_whole() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"new":1}}]}\n\n'
    other = b'data: {"choices":[{"index":0,"delta":{"new":2}}]}\n\n'
    end = b"data: [DONE]\n\n"
    assert as_whole(OPENAI.name, chunk + chunk + end) is not None
    assert as_whole(OPENAI.name, chunk + other + end) is None


def test_a_dialect_that_cannot_be_replayed_gives_nothing() -> None:
    assert as_stream("dialect.of.tomorrow", encode(message())) is None
    assert as_whole("dialect.of.tomorrow", b"".join(message_events())) is None


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("end_turn", Ending.DONE),
        ("tool_use", Ending.DONE),
        ("stop_sequence", Ending.DONE),
        ("max_tokens", Ending.LIMIT),
        ("refusal", Ending.OTHER),
        ("pause_turn", Ending.OTHER),
        ("model_context_window_exceeded", Ending.OTHER),
        ("reason_of_tomorrow", Ending.OTHER),
        (None, Ending.OTHER),
    ],
)
def test_anthropics_stop_reasons_have_endings(reason: str | None, ending: Ending) -> None:
    body = encode(message() | {"stop_reason": reason})
    assert read_ending(ANTHROPIC.name, ANTHROPIC.answer(body), body) is ending


def openai_ending(body: Any) -> Ending:
    content = encode(body)
    return read_ending(OPENAI.name, OPENAI.answer(content), content)


@pytest.mark.parametrize(
    ("reasons", "ending"),
    [
        (["stop"], Ending.DONE),
        (["tool_calls"], Ending.DONE),
        (["length"], Ending.LIMIT),
        (["content_filter"], Ending.OTHER),
        (["stop", "length"], Ending.LIMIT),
        (["stop", "content_filter"], Ending.OTHER),
    ],
)
def test_of_several_choices_the_worst_ending_counts(reasons: list[str], ending: Ending) -> None:
    choice = completion()["choices"][0]
    choices = [choice | {"index": i, "finish_reason": reason} for i, reason in enumerate(reasons)]
    body = completion() | {"choices": choices}
    assert openai_ending(body) is ending
    stream = as_stream(OPENAI.name, encode(body)) or b""
    meter = OPENAI.meter(ask_openai([{"role": "user", "content": "?"}], stream=True))
    meter.feed(stream)
    assert read_ending(OPENAI.name, meter.answer(), stream) is ending


def test_a_refusal_is_no_good_ending_but_text_about_refusals_is_fine() -> None:
    choice = completion()["choices"][0]
    refused = choice | {"message": {"role": "assistant", "content": None, "refusal": "No."}}
    assert openai_ending(completion() | {"choices": [refused]}) is Ending.OTHER
    quoted = choice | {
        "message": {"role": "assistant", "content": '"refusal":"No." "finish_reason":"content_filter"'}
    }
    assert openai_ending(completion() | {"choices": [quoted]}) is Ending.DONE


def test_a_recording_keeps_what_the_provider_sent_though_the_client_gets_less() -> None:
    stream = b"".join(completion_chunks())
    meter = RecordingMeter(OPENAI.meter(ask_openai([{"role": "user", "content": "?"}], stream=True)), 10_000)
    passed = b"".join(meter.feed(stream[at : at + 7]) for at in range(0, len(stream), 7))
    assert meter.ended
    assert meter.content() == stream
    assert b'"choices": []' not in passed + meter.rest()
    assert meter.answer().complete


def test_a_recording_keeps_nothing_of_a_stream_that_is_too_long_or_has_not_ended() -> None:
    events = message_events()
    asked = ask_anthropic([{"role": "user", "content": "?"}], stream=True)
    for given, bytes_max in ((events, 20), (events[:-1], 10_000)):
        meter = RecordingMeter(ANTHROPIC.meter(asked), bytes_max)
        for event in given:
            meter.feed(event)
        assert meter.content() is None
