"""Whatever clients and providers send, the gateway answers in its own words and loses no entry."""

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asgi_client import Answered, Asked, ask, post
from bursar.adapters.ledger.rows import entry_of, entry_row
from bursar.adapters.metrics import Metrics
from gateway_scene import GatewayScene
from mangled_json import damaged, mangled, values
from provider_answers import completion, completion_chunks, message, message_events
from scripted_world import Answer, check_sums, stream, whole
from scripted_world import ask as question

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
POLICY = "You help travellers and follow the rules of the house. " * 100

ANTHROPIC: dict[str, Any] = question(
    system=[{"type": "text", "text": POLICY, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    tools=[{"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}],
    tool_choice={"type": "auto"},
    thinking={"type": "enabled", "budget_tokens": 1024},
    metadata={"user_id": "u"},
    stream=False,
    messages=[
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "find", "input": {"a": [1, 2.5]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "{}"}]},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"},
                },
                {"type": "text", "text": "And?", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ],
)
OPENAI: dict[str, Any] = {
    "model": "gpt-6.1-sol",
    "max_completion_tokens": 50,
    "stream": True,
    "stream_options": {"include_usage": False},
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    "service_tier": "flex",
    "user": "u",
    "tools": [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}],
    "messages": [
        {"role": "system", "content": POLICY},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"type": "a"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}],
        },
    ],
}

bodies = st.one_of(
    st.tuples(st.just("anthropic"), mangled(ANTHROPIC)),
    st.tuples(st.just("openai"), mangled(OPENAI)),
    st.tuples(st.just("anthropic"), damaged(json.dumps(ANTHROPIC, ensure_ascii=False).encode())),
    st.tuples(st.just("openai"), damaged(json.dumps(OPENAI).encode())),
    st.tuples(st.sampled_from(sorted(PATHS)), st.binary(max_size=30)),
    st.tuples(st.sampled_from(sorted(PATHS)), values.map(lambda value: json.dumps(value).encode())),
)

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check_entries(scene: GatewayScene) -> None:
    """Check that each call that went upstream is recorded once, adds up, and fits ledger and metrics."""
    calls = {request.body for request in scene.upstream.requests}
    assert len(scene.ledger.entries) == len(calls)
    metrics = Metrics()
    for entry in scene.ledger.entries:
        check_sums(entry)
        assert entry.faults == ()
        assert entry_of(entry_row(entry)).cost_nusd == entry.cost_nusd
        metrics.ended(entry, durable=True)
    metrics.text()
    assert scene.upstream.left_open == []


def check_answer(answered: Answered, name: str) -> None:
    """Check that an error is one of the dialect's own."""
    if answered.status != 200:
        error = answered.json
        assert isinstance(error["error"]["message"], str)
        assert ("type" in error) == (name == "anthropic")
    assert answered.headers["x-bursar-operation-id"]


def asked_with(scene: GatewayScene, name: str, body: bytes, **headers: str) -> Answered:
    async def play() -> Answered:
        async with asyncio.timeout(10):
            return await post(scene.app, PATHS[name], body, **headers)

    return asyncio.run(play())


@MANY
@given(bodies, st.booleans())
@example(
    ("anthropic", b'{"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "\\ud800"}]}'),
    True,
)
@example(("openai", b'{"model": "gpt-4o", "messages": [' + b"[" * 3000 + b"]" * 3000 + b"]}"), True)
@example(("openai", b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}], "n": 1e999}'), True)
def test_no_body_makes_the_gateway_fail(case: tuple[str, bytes], admit_unpriced: bool) -> None:
    name, body = case
    answer = whole(message() if name == "anthropic" else completion())
    scene = GatewayScene(answer, admit_unpriced=admit_unpriced)
    answered = asked_with(scene, name, body)
    assert answered.status in {200, 400}
    check_answer(answered, name)
    if answered.status == 400:
        assert scene.upstream.requests == []
        assert answered.json["error"]["type"] == "invalid_request_error"
        assert len(answered.body) < 2000
    check_entries(scene)


@MANY
@given(
    st.dictionaries(
        st.sampled_from(
            [
                f"x-bursar-{n}"
                for n in ("mode", "tenant", "agent", "task", "conversation", "user", "tags", "key")
            ]
            + [
                "content-encoding",
                "content-length",
                "anthropic-version",
                "x-api-key",
                "authorization",
                "accept",
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=12)
        | st.sampled_from(["observe", "a=b", "identity", "5", "99999999999"]),
        max_size=4,
    )
)
def test_no_header_makes_the_gateway_fail(headers: dict[str, str]) -> None:
    scene = GatewayScene(whole(message()))

    async def play() -> Answered | None:
        async with asyncio.timeout(10):
            body = json.dumps(question()).encode()
            return await ask(scene.app, Asked("POST", "/v1/messages", headers, [body]))

    answered = asyncio.run(play())
    assert answered is not None
    assert answered.status in {200, 400, 413, 415} | ({401} if "x-bursar-key" in headers else set())
    check_answer(answered, "anthropic")
    check_entries(scene)


FULL_USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 10,
    "server_tool_use": {"web_search_requests": 1},
    "service_tier": "standard",
    "iterations": [{"type": "compaction", "input_tokens": 5, "output_tokens": 5}],
}
FULL_COMPLETION_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0},
}
answers = st.one_of(
    st.tuples(st.just("anthropic"), mangled(message(usage=FULL_USAGE))),
    st.tuples(st.just("openai"), mangled(completion(usage=FULL_COMPLETION_USAGE))),
    st.tuples(st.just("anthropic"), damaged(json.dumps(message(usage=FULL_USAGE)).encode())),
    st.tuples(st.just("openai"), st.binary(max_size=20)),
    st.tuples(st.sampled_from(sorted(PATHS)), values.map(lambda value: json.dumps(value).encode())),
)


def _question(name: str, *, streaming: bool) -> bytes:
    body = question() if name == "anthropic" else {**question(), "model": "gpt-4o"}
    return json.dumps({**body, "stream": streaming}).encode()


@MANY
@given(answers, st.sampled_from([200, 200, 200, 201, 204, 301, 400, 404, 429, 500, 529, 599]), st.booleans())
def test_no_whole_answer_of_a_provider_makes_the_gateway_fail(
    case: tuple[str, bytes], status: int, streaming: bool
) -> None:
    name, body = case
    scene = GatewayScene(whole(body, status))
    answered = asked_with(scene, name, _question(name, streaming=streaming))
    if status == 200:
        assert answered.status in {200, 502}
        if answered.status == 200:
            assert answered.body == body
    else:
        assert answered.status == (status if status >= 400 else 502)
    assert answered.headers["x-bursar-operation-id"] == "op-1"
    check_entries(scene)
    assert len(scene.ledger.entries) == 1


@st.composite
def event_streams(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Streams of which events are mangled, dropped, doubled or mixed, in any chunks."""
    name = draw(st.sampled_from(sorted(PATHS)))
    events = message_events(usage=FULL_USAGE) if name == "anthropic" else completion_chunks()
    good = set(events)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(events) - 1))
        head, _, data = events[at].partition(b"data: ")
        change = draw(st.sampled_from(["mangle", "drop", "double", "damage"]))
        if change == "mangle" and events[at] in good and data.startswith(b"{"):
            events[at] = head + b"data: " + draw(mangled(json.loads(data))) + b"\n\n"
        elif change == "drop" and len(events) > 1:
            del events[at]
        elif change == "double":
            events.insert(at, events[at])
        elif change == "damage":
            events[at] = draw(damaged(events[at]))
    raw = b"".join(events)
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    return name, [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if a < b]


@MANY
@given(event_streams())
def test_no_stream_of_a_provider_makes_the_gateway_fail(case: tuple[str, list[bytes]]) -> None:
    name, chunks = case
    scene = GatewayScene(stream(*chunks))
    answered = asked_with(scene, name, _question(name, streaming=True))
    assert answered.status == 200
    assert b": bursar {" in answered.body
    check_entries(scene)
    assert len(scene.ledger.entries) == 1


@MANY
@given(
    st.binary(max_size=200), st.sampled_from(["", "text/html", "text/event-stream", "application/json; a=b"])
)
def test_no_bytes_of_any_kind_make_the_gateway_fail(raw: bytes, kind: str) -> None:
    scene = GatewayScene(Answer(200, {"content-type": kind} if kind else {}, [raw] if raw else []))
    answered = asked_with(scene, "anthropic", _question("anthropic", streaming=True))
    assert answered.status in {200, 502}
    check_entries(scene)
    assert len(scene.ledger.entries) == 1
