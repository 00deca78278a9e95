import json
from typing import Any

import pytest

from bursar.double.speech import Counted, Ending
from bursar.errors import BadRequest
from bursar.replay.traffic import FailedCall, read_logged_call

CLAUDE = {
    "at": "2026-11-20T10:00:00.5Z",
    "dialect": "anthropic.messages",
    "tenant": "acme",
    "conversation": "c-1",
    "latency_ms": 1500,
    "request": {
        "model": "claude-sonnet-4-6",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    },
    "response": {
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "here"}},
        ],
        "usage": {"input_tokens": 12, "output_tokens": 34},
    },
}
GPT = {
    "at": "2026-11-20T12:00:00+02:00",
    "dialect": "openai.chat",
    "request": {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]},
    "response": {
        "object": "chat.completion",
        "model": "gpt-5",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
        ],
        "usage": {
            "prompt_tokens": 8,
            "completion_tokens": 50,
            "total_tokens": 58,
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
    },
}


def read(line: dict[str, Any], **changes: Any) -> Any:
    return read_logged_call(json.dumps(line | changes).encode(), "log:3")


def test_a_call_keeps_its_time_its_labels_and_its_request() -> None:
    call = read(CLAUDE)
    assert call.at_s == 1_795_168_800.5
    assert not call.made_up
    assert call.duration_s == 1.5
    assert call.labels == {"tenant": "acme", "conversation": "c-1"}
    assert json.loads(call.body) == CLAUDE["request"]
    assert call.place == "log:3"


def test_a_call_keeps_what_was_said_and_counted() -> None:
    speech = read(CLAUDE).speech
    assert speech.text == "Let me look."
    assert [(c.call_id, c.name, json.loads(c.arguments)) for c in speech.calls] == [
        ("toolu_1", "look", {"where": "here"})
    ]
    assert speech.ending is Ending.TOOL_CALLS
    assert speech.counted == Counted(34)


def test_reasoning_is_counted_apart_from_output() -> None:
    call = read(GPT)
    assert call.at_s == 1_795_168_800.0
    assert call.speech.text == "Hello"
    assert call.speech.counted == Counted(10, 40)


def test_an_answer_without_usage_is_left_to_be_counted() -> None:
    response = {name: value for name, value in GPT["response"].items() if name != "usage"}  # type: ignore[attr-defined]
    assert read(GPT, response=response).speech.counted is None


@pytest.mark.parametrize(
    "response",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"error": {"message": "Rate limit", "type": "tokens"}},
    ],
)
def test_a_call_that_failed_is_told_apart(response: dict[str, Any]) -> None:
    with pytest.raises(FailedCall):
        read(CLAUDE, response=response)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"at": "yesterday"}, r"\$.at"),
        ({"at": "2026-11-20T10:00:00"}, r"\$.at"),  # Without a zone it is no moment.
        (
            {"dialect": "openai.responses"},
            "dialect: .*is no dialect that is known; known: anthropic.messages",
        ),
        ({"request": "hello"}, "request: is no object"),
        ({"response": [1]}, "response: is no object"),
        ({"response": {}}, "response: is no answer of anthropic.messages"),
        ({"response": {"content": "text"}}, "response: is no answer of anthropic.messages"),
        ({"latency_ms": -1}, r"\$.latency_ms"),
        ({"tenant": 5}, r"\$.tenant"),
    ],
)
def test_a_wrong_line_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        read(CLAUDE, **changes)
