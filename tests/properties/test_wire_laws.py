"""Laws of the dialects: what holds for any body, any edit and any chunking."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.domain.prompt import Mark, Place, Section
from bursar.errors import BadRequest
from bursar.wire.dialect import Dialect, Edits, Request
from bursar.wire.memo import PieceMemo
from bursar.wire.sse import EventSplitter, read_event
from wire_bodies import ANTHROPIC, OPENAI, blocks, digests, marks, read

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
words = st.text(max_size=12)
anthropic_mark = st.sampled_from([None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
openai_mark = st.sampled_from([None, {"mode": "explicit"}, {"mode": "explicit", "ttl": "12h"}])


def with_mark(block: dict[str, Any], name: str, mark: Any) -> dict[str, Any]:
    return block if mark is None else {**block, name: mark}


def text_blocks(name: str, mark: Any) -> Any:
    return st.builds(lambda text, m: with_mark({"type": "text", "text": text}, name, m), words, mark)


anthropic_text = text_blocks("cache_control", anthropic_mark)
anthropic_block = st.one_of(
    anthropic_text,
    st.builds(
        lambda call_id, arguments, m: with_mark(
            {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}, "cache_control", m
        ),
        words,
        st.dictionaries(words, values, max_size=3),
        anthropic_mark,
    ),
    st.builds(
        lambda content, m: with_mark(
            {"type": "tool_result", "tool_use_id": "t", "content": content}, "cache_control", m
        ),
        words | st.lists(anthropic_text, max_size=3),
        anthropic_mark,
    ),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, words),
    st.builds(lambda rest: {**rest, "type": "novelty"}, st.dictionaries(words, values, max_size=3)),
)
anthropic_body = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant"]),
                    "content": words | st.lists(anthropic_block, max_size=4),
                }
            ),
            min_size=1,
            max_size=5,
        ),
    },
    optional={
        "system": words | st.lists(anthropic_text, max_size=3),
        "tools": st.lists(st.fixed_dictionaries({"name": words, "input_schema": values}), max_size=3),
        "novelty": values,
    },
)
openai_text = text_blocks("prompt_cache_breakpoint", openai_mark)
openai_call = st.builds(
    lambda call_id, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": "f", "arguments": arguments},
    },
    words,
    words,
)
openai_message = st.one_of(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": words | st.lists(openai_text, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none() | words,
            "tool_calls": st.lists(openai_call, max_size=3),
        }
    ),
)
openai_body = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(openai_message, min_size=1, max_size=6)},
    optional={"novelty": values, "tools": st.lists(st.fixed_dictionaries({"type": words}), max_size=2)},
)
bodies = {ANTHROPIC.name: anthropic_body, OPENAI.name: openai_body}
lifetimes = {ANTHROPIC.name: ["5m", "1h"], OPENAI.name: ["30m", "12h"]}


def read_or_refuse(dialect: Dialect, body: bytes) -> Request | None:
    try:
        return read(dialect, body)
    except BadRequest:
        return None


@both
@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(dialect: Dialect, body: bytes) -> None:
    assert read_or_refuse(dialect, body) is None


@both
@given(body=st.dictionaries(st.sampled_from(["model", "messages", "system", "tools", "stream", "x"]), values))
def test_any_object_is_read_or_refused(dialect: Dialect, body: dict[str, Any]) -> None:
    read_or_refuse(dialect, json.dumps(body).encode())


@both
@given(data=st.data(), damage=values)
def test_a_body_with_any_value_anywhere_is_read_or_refused(dialect: Dialect, data: Any, damage: Any) -> None:
    body = data.draw(bodies[dialect.name])
    message = data.draw(st.sampled_from(body["messages"]))
    content = message["content"]
    if isinstance(content, list) and content and data.draw(st.booleans()):
        block = data.draw(st.sampled_from(content))
        block[data.draw(st.sampled_from(sorted(block)))] = damage
    else:
        message[data.draw(st.sampled_from(sorted(message)))] = damage
    request = read_or_refuse(dialect, json.dumps(body).encode())
    if request is not None:
        assert json.loads(dialect.write(request, Edits())) == body


@both
@given(data=st.data())
def test_without_edits_a_body_comes_back(dialect: Dialect, data: Any) -> None:
    body = data.draw(bodies[dialect.name])
    assert list(json.loads(dialect.write(read(dialect, body), Edits())).items()) == list(body.items())


@both
@given(data=st.data())
def test_marks_are_the_clients_and_ours_and_change_no_content(dialect: Dialect, data: Any) -> None:
    request = read(dialect, data.draw(bodies[dialect.name]))
    prompt = request.prompt
    sections = {Section.TOOLS: prompt.tools, Section.SYSTEM: prompt.system, Section.MESSAGES: prompt.messages}
    places = [
        Place(section, number, index)
        for section, pieces in sections.items()
        for number, piece in enumerate(pieces)
        for index, block in enumerate(piece.blocks)
        if block.markable
    ]
    new = st.sampled_from([None, *map(Mark, lifetimes[dialect.name])])
    edits = data.draw(st.dictionaries(st.sampled_from(places), new, max_size=4)) if places else {}
    again = read(dialect, dialect.write(request, Edits(edits)))
    expected = {place: mark for place, mark in {**marks(request), **edits}.items() if mark is not None}
    assert marks(again) == expected
    assert digests(again) == digests(request)
    assert [block.base_tokens for block in blocks(again)] == [block.base_tokens for block in blocks(request)]
    # What the client wrote beside marks and messages is untouched, byte for byte.
    kept = [name for name in request.fields if name not in {"messages", "system", "tools"}]
    assert [again.fields[name] for name in kept] == [request.fields[name] for name in kept]
    assert read(dialect, dialect.write(again, Edits(edits))).fields == again.fields


@both
@given(data=st.data())
def test_a_remembered_body_is_read_as_a_new_one(dialect: Dialect, data: Any) -> None:
    body = json.dumps(data.draw(bodies[dialect.name])).encode()
    memo = PieceMemo()
    first = read(dialect, body, memo)
    reading = dialect.read(body, memo)
    assert not reading.texts
    assert reading.finish(()) == first


cuts = st.lists(st.integers(0, 2_000), max_size=12)
line_ends = st.sampled_from(["\n", "\r\n", "\r"])


def chunked(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({min(cut, len(stream)) for cut in at}), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def anthropic_stream(texts: list[str], usage: dict[str, int], end: str) -> bytes:
    prompt = {name: count for name, count in usage.items() if name != "output_tokens"}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "m", "usage": {**prompt, "output_tokens": 0}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in texts
        ),
        {"type": "ping"},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    return "".join(
        f"event: {event['type']}{end}data: {json.dumps(event, ensure_ascii=False)}{end}{end}"
        for event in events
    ).encode()


def openai_stream(texts: list[str], usage: dict[str, int], end: str) -> bytes:
    chunks: list[Any] = [
        *(
            {"model": "m", "choices": [{"index": 0, "delta": {"content": text}}], "usage": None}
            for text in texts
        ),
        {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"model": "m", "choices": [], "usage": usage},
    ]
    data = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return "".join(f"data: {line}{end}{end}" for line in [*data, "[DONE]"]).encode()


counts = st.integers(0, 10**9)
anthropic_usage = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={"cache_read_input_tokens": counts, "cache_creation_input_tokens": counts},
)
openai_usage = st.fixed_dictionaries({"prompt_tokens": counts, "completion_tokens": counts})


@both
@given(texts=st.lists(words), at=cuts, end=line_ends, data=st.data())
def test_any_chunking_gives_the_same_bytes_and_the_answer_of_the_whole(
    dialect: Dialect, texts: list[str], at: list[int], end: str, data: Any
) -> None:
    if dialect is ANTHROPIC:
        usage = data.draw(anthropic_usage)
        stream = anthropic_stream(texts, usage, end)
        blocks_of_text = [{"type": "text", "text": "".join(texts)}]
        whole: dict[str, Any] = {
            "model": "m",
            "content": blocks_of_text,
            "stop_reason": "end_turn",
            "usage": usage,
        }
    else:
        usage = data.draw(openai_usage)
        stream = openai_stream(texts, usage, end)
        choice = {"index": 0, "message": {"content": "".join(texts)}, "finish_reason": "stop"}
        whole = {"model": "m", "choices": [choice], "usage": usage}
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    if dialect is OPENAI:
        asked["stream_options"] = {"include_usage": True}
    request = read(dialect, asked)
    meter = dialect.meter(request)
    passed = b"".join([meter.feed(chunk) for chunk in chunked(stream, at)])
    assert meter.ended
    # A stream of lone CRs ends in one that may have been half a CRLF; it is closed by a blank line of LFs.
    assert (passed + meter.rest()).rstrip(b"\r\n") == stream.rstrip(b"\r\n")
    assert meter.answer() == dialect.answer(json.dumps(whole).encode(), request)


@given(
    lines=st.lists(st.sampled_from(["data: a", ": note", "event: e", "data", "", "id: 1"])),
    end=line_ends,
    at=cuts,
)
def test_any_chunking_gives_the_same_events(lines: list[str], end: str, at: list[int]) -> None:
    stream = "".join(line + end for line in lines).encode()
    whole, parts = EventSplitter(), EventSplitter()
    expected = whole.feed(stream)
    events = [event for chunk in chunked(stream, at) for event in parts.feed(chunk)]
    assert b"".join(events) + parts.pending == stream
    assert [read_event(event) for event in events] == [read_event(event) for event in expected]
    assert parts.pending == whole.pending
