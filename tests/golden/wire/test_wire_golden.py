"""Streams and whole answers as the providers write them, written by hand, with what must be read in them.

Each NAME.json holds the whole answer, the message with which a client sends it back, and what is expected;
NAME.sse is the same answer as a stream.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.domain.prices import Terms
from bursar.domain.usage import Usage
from bursar.wire.dialect import Answer, Dialect, Request
from wire_bodies import ANTHROPIC, OPENAI, anthropic, openai

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.sse"))


def case(name: str) -> tuple[Dialect, Request, dict[str, Any], bytes]:
    content = json.loads((HERE / f"{name}.json").read_text())
    asked = [{"role": "user", "content": "Where is my order?"}, content["message"]]
    if name.startswith("anthropic"):
        request = anthropic(asked, stream=True)
        dialect = ANTHROPIC
    else:
        request = openai(asked, stream=True, stream_options={"include_usage": True})
        dialect = OPENAI
    return dialect, request, content, (HERE / f"{name}.sse").read_bytes()


def check(answer: Answer, request: Request, expected: dict[str, Any]) -> None:
    assert answer.usage == Usage(**expected["usage"])
    terms = None if expected["tier"] is None else Terms(expected["tier"], expected["geo"])
    assert answer.terms == terms
    assert (answer.model, answer.stop_reason) == (expected["model"], expected["stop_reason"])
    assert answer.echo == request.prompt.messages[1].echo
    assert (answer.complete, answer.received, answer.problem) == (True, "", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_answer_is_read(name: str) -> None:
    dialect, request, content, _ = case(name)
    check(dialect.answer(json.dumps(content["answer"]).encode(), request), request, content["expected"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_bytes", [1, 7, 1_000_000])
def test_a_stream_is_read_the_same_and_passed_on_as_it_came(name: str, size_bytes: int) -> None:
    dialect, request, content, stream = case(name)
    meter = dialect.meter(request)
    passed = b""
    for start in range(0, len(stream), size_bytes):
        passed += meter.feed(stream[start : start + size_bytes])
    assert meter.ended
    check(meter.answer(), request, content["expected"])
    terminal = meter.rest()
    assert passed + terminal == stream
    assert b"message_stop" in terminal or b"[DONE]" in terminal
    assert len(terminal) < 80


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_cut_shows_what_had_come(name: str) -> None:
    dialect, request, content, stream = case(name)
    meter = dialect.meter(request)
    passed = meter.feed(stream[: len(stream) // 2])
    assert not meter.ended
    assert meter.rest() == b""
    assert stream.startswith(passed)
    answer = meter.answer()
    assert not answer.complete
    assert answer.received
    # Anthropic tells the prompt's usage at the start, OpenAI at the end.
    assert (answer.usage is None) == (dialect is OPENAI)
    assert answer.model == content["expected"]["model"]


def test_a_usage_chunk_that_only_we_asked_for_is_not_passed_on() -> None:
    _, _, content, stream = case("openai_tools")
    request = openai([{"role": "user", "content": "Hi"}], stream=True)
    meter = OPENAI.meter(request)
    passed = meter.feed(stream)
    *events, usage, done, end = stream.split(b"\n\n")
    assert passed == b"\n\n".join(events).replace(b',"usage":null', b"") + b"\n\n"
    assert meter.rest() == done + b"\n\n"
    assert b'"choices":[]' in usage
    assert end == b""
    assert meter.answer().usage == Usage(**content["expected"]["usage"])


def test_an_error_in_mid_stream_ends_it_incomplete_with_the_usage_so_far() -> None:
    dialect, request, _, stream = case("anthropic_tools")
    head = stream.partition(b"event: message_delta")[0]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    meter = dialect.meter(request)
    passed = meter.feed(head + b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n")
    assert passed == head
    assert meter.ended
    answer = meter.answer()
    assert not answer.complete
    assert "overloaded_error" in answer.problem
    assert answer.usage is not None
    assert answer.usage.cache_read == 5_120
    assert "Your order" in answer.received


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_event_without_its_blank_line_completes_a_stream(name: str) -> None:
    dialect, request, content, stream = case(name)
    meter = dialect.meter(request)
    passed = meter.feed(stream.rstrip())
    assert meter.ended
    check(meter.answer(), request, content["expected"])
    assert (passed + meter.rest()).rstrip() == stream.rstrip()
