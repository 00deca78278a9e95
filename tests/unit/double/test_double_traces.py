import json
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.wire.transcripts import ANTHROPIC, OPENAI, Turn, request_body
from bursar.wiring.double import build_double, read_transcripts

DATA = Path(__file__).parents[4] / "shared" / "data"
TRACE, TOOLS = DATA / "airline.jsonl", DATA / "airline-tools.json"
NOW_S = 1_790_000_000.0
PLACES = {
    ANTHROPIC: ("/v1/messages", "claude-sonnet-4-6", {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
    OPENAI: ("/v1/chat/completions", "gpt-4o", {"authorization": "Bearer k"}),
}


def calls_of(conversation: dict[str, Any], dialect: str, *, stream: bool) -> list[tuple[DoubleCall, Any]]:
    """Each call of a conversation, with the message that answered it."""
    path, model, headers = PLACES[dialect]
    headers = headers | {"x-bursar-conversation": conversation["conversation"]}
    messages, tools = conversation["messages"], json.loads(TOOLS.read_text())
    return [
        (
            DoubleCall(
                path,
                headers,
                orjson.dumps(request_body(dialect, Turn(model, messages[:at], tools, 2_000, stream))),
            ),
            message,
        )
        for at, message in enumerate(messages)
        if message["role"] == "assistant"
    ]


def said(answer: Any, dialect: str) -> tuple[str, list[str]]:
    if dialect == ANTHROPIC:
        text = "".join(block.get("text", "") for block in answer["content"])
        return text, [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
    message = answer["choices"][0]["message"]
    return message["content"] or "", [call["id"] for call in message.get("tool_calls", [])]


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI])
def test_real_conversations_play_without_a_refusal_and_are_answered_as_recorded(dialect: str) -> None:
    double = build_double(DoubleOptions(), read_transcripts([TRACE], TOOLS))
    with TRACE.open() as lines:
        conversations = [json.loads(line) for line in islice(lines, 4)]
    for conversation in conversations:
        for call, message in calls_of(conversation, dialect, stream=False):
            answer, row = double.play(call, NOW_S)
            assert row.status == 200, answer.body
            calls = [entry["id"] for entry in message.get("tool_calls") or []]
            assert said(orjson.loads(answer.body), dialect) == (message["content"] or "", calls)
    assert double.bill.summary()["refused"] == 0


def test_openais_automatic_cache_reads_what_a_growing_conversation_repeats() -> None:
    double = build_double(DoubleOptions(), read_transcripts([TRACE], TOOLS))
    with TRACE.open() as lines:
        conversation = json.loads(next(lines))
    rows = [double.play(call, NOW_S)[1] for call, _ in calls_of(conversation, OPENAI, stream=True)]
    assert rows[0].usage.cache_read == 0
    for before, row in pairwise(rows):
        assert before.usage.prompt_tokens - 128 < row.usage.cache_read <= before.usage.prompt_tokens
