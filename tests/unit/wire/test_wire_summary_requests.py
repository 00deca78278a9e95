"""Requests for summaries, and their answers, in each dialect."""

import json
from typing import Any

import pytest

from bursar.wire.condensing.asking import (
    REASONING_TOKENS,
    SummaryRequest,
    read_summary,
    write_summary_request,
)
from provider_answers import completion, message
from wire_bodies import ANTHROPIC, OPENAI, read

ASKED = SummaryRequest("m", "Summarise.", 'User: "hi"\n\x00é', 300)


def test_anthropic_is_asked_with_a_system_text_and_one_message() -> None:
    body = write_summary_request("anthropic.messages", ASKED)
    assert json.loads(body) == {
        "model": "m",
        "max_tokens": 300,
        "system": "Summarise.",
        "messages": [{"role": "user", "content": ASKED.text}],
    }
    assert read(ANTHROPIC, body).max_tokens == 300


def test_openai_is_asked_with_two_messages() -> None:
    body = write_summary_request("openai.chat", ASKED)
    assert json.loads(body) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Summarise."},
            {"role": "user", "content": ASKED.text},
        ],
        "max_completion_tokens": 300,
    }
    assert read(OPENAI, body).max_tokens == 300


def test_a_model_that_always_reasons_has_room_for_it_and_is_asked_to_be_brief() -> None:
    body = json.loads(write_summary_request("openai.chat", SummaryRequest("m", "S.", "t", 300, reasons=True)))
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (300 + REASONING_TOKENS, "low")


def test_a_summary_is_all_text_of_an_answer() -> None:
    texts = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": " They "},
        {"type": "text", "text": "met.\n"},
    ]
    assert read_summary("anthropic.messages", encoded(message() | {"content": texts})) == "They met."
    assert read_summary("openai.chat", encoded(completion(text="They met."))) == "They met."


NO_SUMMARIES: list[tuple[str, Any]] = [
    ("anthropic.messages", message() | {"stop_reason": "max_tokens"}),
    ("anthropic.messages", message() | {"stop_reason": "refusal"}),
    ("anthropic.messages", message() | {"content": []}),
    ("anthropic.messages", message(text=" ")),
    ("anthropic.messages", {"type": "error"}),
    ("openai.chat", completion() | {"choices": []}),
    ("openai.chat", {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}),
    ("openai.chat", {"choices": [{"message": {"content": "They"}, "finish_reason": "length"}]}),
    ("openai.chat", []),
]


@pytest.mark.parametrize(("dialect", "answer"), NO_SUMMARIES)
def test_what_is_cut_off_refused_empty_or_something_else_is_no_summary(dialect: str, answer: Any) -> None:
    assert read_summary(dialect, encoded(answer)) is None


@pytest.mark.parametrize("dialect", ["anthropic.messages", "openai.chat"])
def test_garbage_is_no_summary(dialect: str) -> None:
    assert read_summary(dialect, b"\xff<html>") is None


def encoded(answer: Any) -> bytes:
    return json.dumps(answer).encode()
