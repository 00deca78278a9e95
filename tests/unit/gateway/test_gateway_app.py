import asyncio
import json
import logging
from typing import Any

import pytest

from asgi_client import ANTHROPIC_HEADERS, Asked, ask, get, post
from bursar.errors import UpstreamFailed
from gateway_scene import GatewayScene
from provider_answers import completion, message, message_events
from scripted_world import Answer, Never, chat, fails, no_task_left, stream, until, whole
from scripted_world import ask as question

HTML = Answer(200, {"content-type": "text/html"}, [b"<html>"])


async def test_a_call_passes_both_ways() -> None:
    scene = GatewayScene(whole(message(), set_cookie="a=b", x_bursar_cost_usd="0", connection="keep-alive"))
    answered = await post(scene.app, "/v1/messages?beta=true", question(), anthropic_beta="b1")
    assert (answered.status, answered.json) == (200, message())
    assert answered.headers["x-bursar-operation-id"] == "op-1"
    assert answered.headers["x-bursar-model"] == "claude-sonnet-4-6"
    assert answered.headers["x-bursar-cost-usd"] == "0.001200000"
    assert answered.headers["request-id"] == "req_1"
    assert "set-cookie" not in answered.headers
    assert "connection" not in answered.headers
    sent = scene.upstream.requests[0]
    assert (sent.upstream, sent.method, sent.path) == ("anthropic", "POST", "/v1/messages?beta=true")
    assert sent.headers == {
        **ANTHROPIC_HEADERS,
        "content-type": "application/json",
        "anthropic-beta": "b1",
    }


async def test_openais_call_goes_below_its_base_url() -> None:
    scene = GatewayScene(whole(completion()))
    answered = await post(scene.app, "/v1/chat/completions", chat())
    assert answered.status == 200
    sent = scene.upstream.requests[0]
    assert (sent.upstream, sent.path) == ("openai", "/chat/completions")


async def test_a_stream_ends_with_comment_and_terminal_event() -> None:
    events = message_events()
    scene = GatewayScene(stream(*events))
    answered = await post(scene.app, "/v1/messages", question(stream=True))
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in answered.headers
    passed, rest = answered.body.split(b": bursar ")
    assert passed + rest.split(b"\n\n", 1)[1] == b"".join(events)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x_bursar_mode", "fast"),
        ("x_bursar_tenant", "a" * 257),
        ("x_bursar_agent", "a\x01b"),
        ("x_bursar_task", "\x7f"),
        ("x_bursar_conversation", "a" * 10_000),
        ("x_bursar_user", "\x80"),
        ("x_bursar_tags", "team"),
        ("x_bursar_tags", "=support"),
        ("x_bursar_tags", "team=a,,"),
        ("x_bursar_tags", ",".join(f"t{n}=1" for n in range(21))),
        ("x_bursar_tags", "team=" + "a" * 300),
    ],
)
async def test_a_wrong_attribution_is_named_by_its_header(header: str, value: str) -> None:
    scene = GatewayScene(whole(message()))
    answered = await post(scene.app, "/v1/messages", question(), **{header: value})
    assert answered.status == 400
    assert answered.json["error"]["type"] == "invalid_request_error"
    assert answered.json["error"]["message"].startswith(header.replace("_", "-") + ": ")
    assert len(answered.body) < 500
    assert scene.upstream.requests == []


async def test_attribution_is_read_from_headers_and_the_dialects_field() -> None:
    scene = GatewayScene(whole(message()))
    labels = {f"x_bursar_{n}": n for n in ("tenant", "agent", "task", "conversation")}
    body = question(metadata={"user_id": "u1"})
    await post(scene.app, "/v1/messages", body, **labels, x_bursar_tags="team=support, env = prod")
    found = scene.entry.attribution
    assert (found.tenant, found.agent, found.task, found.conversation) == (
        "tenant",
        "agent",
        "task",
        "conversation",
    )
    assert (found.user, found.tags) == ("u1", (("env", "prod"), ("team", "support")))


async def test_bursars_headers_stay_here_unless_they_are_to_be_forwarded() -> None:
    headers = {"x_bursar_tenant": "acme", "x_bursar_operation_id": "forged"}
    scene = GatewayScene(whole(message()))
    await post(scene.app, "/v1/messages", question(), **headers)
    assert not [name for name in scene.upstream.requests[0].headers if name.startswith("x-bursar")]
    forwarding = GatewayScene(whole(message()), forward_attribution=frozenset({"anthropic"}))
    await post(forwarding.app, "/v1/messages", question(), **headers)
    sent = forwarding.upstream.requests[0].headers
    assert {n: v for n, v in sent.items() if n.startswith("x-bursar")} == {
        "x-bursar-tenant": "acme",
        "x-bursar-operation-id": "op-1",
    }


async def test_the_operators_key_takes_the_place_of_the_clients() -> None:
    scene = GatewayScene(whole(message()), provider_keys={"anthropic": "sk-own", "openai": "sk-other"})
    await post(scene.app, "/v1/messages", question(), authorization="Bearer client")
    sent = scene.upstream.requests[0].headers
    assert sent["x-api-key"] == "sk-own"
    assert "authorization" not in sent
    await post(scene.app, "/v1/chat/completions", chat(), x_api_key="client")
    sent = scene.upstream.requests[1].headers
    assert sent["authorization"] == "Bearer sk-other"
    assert "x-api-key" not in sent


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "a JSON object was expected, found an array"),
        (b"\xff", "not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"model": "gpt-4o"}', "messages"),
        (b'{"model": "gpt-4o", "messages": []}', "messages"),
        (b'{"model": "gpt-4o", "messages": [5]}', "messages[0]"),
        (b'{"model": "gpt-4o", "messages": "hi"}', "messages"),
        (b'{"model": "gpt-4o", "stream": "yes", "messages": [{"role": "user", "content": "a"}]}', "stream"),
        (
            b'{"model": "gpt-4o", "max_tokens": 1e99, "messages": [{"role": "user", "content": "a"}]}',
            "max_tokens",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_wrong_body_is_named_by_its_place_in_the_dialects_form(
    path: str, body: bytes, place: str
) -> None:
    scene = GatewayScene(whole(message()))
    answered = await post(scene.app, path, body)
    assert answered.status == 400
    assert answered.headers["x-bursar-operation-id"] == "op-1"
    error = answered.json["error"]
    assert error["type"] == "invalid_request_error"
    assert place in error["message"]
    assert scene.upstream.requests == []
    if path == "/v1/messages":
        assert (answered.json["type"], answered.json["request_id"]) == ("error", "op-1")
    else:
        assert set(error) == {"message", "type", "param", "code"}


async def test_a_body_over_the_limit_is_refused_declared_or_not() -> None:
    scene = GatewayScene(whole(message()), body_limit_bytes=2048)
    # At once: there is nothing more to wait for once the body has come to its end.
    async with asyncio.timeout(2):
        declared = await post(scene.app, "/v1/messages", b"{" + b" " * 2048)
        single = await ask(scene.app, Asked("POST", "/v1/messages", {}, [b"{" + b" " * 2048]))
        chunked = await ask(scene.app, Asked("POST", "/v1/chat/completions", {}, [b" " * 1000] * 3))
    for answered in (declared, single, chunked):
        assert answered is not None
        assert answered.status == 413
        assert answered.json["error"]["type"] == "request_too_large"
        assert "2048" in answered.json["error"]["message"]
    assert scene.upstream.requests == []
    fits = await post(scene.app, "/v1/messages", json.dumps(question()).encode().ljust(2048))
    assert fits.status == 200


async def test_a_body_in_parts_is_put_together() -> None:
    scene = GatewayScene(whole(message()))
    body = json.dumps(question()).encode()
    answered = await ask(scene.app, Asked("POST", "/v1/messages", {}, [body[:5], b"", body[5:]]))
    assert answered is not None
    assert answered.status == 200
    assert scene.upstream.requests[0].body == body


async def test_a_client_that_leaves_amid_its_body_gets_nothing_and_costs_nothing() -> None:
    scene = GatewayScene(whole(message()))
    assert await ask(scene.app, Asked("POST", "/v1/messages", {}, [b"{"], leaves=True)) is None
    assert scene.upstream.requests == []


async def test_a_compressed_body_is_refused() -> None:
    scene = GatewayScene(whole(message()))
    answered = await post(scene.app, "/v1/messages", b"\x1f\x8b", content_encoding="gzip")
    assert answered.status == 415
    assert "'gzip'" in answered.json["error"]["message"]


async def test_an_unknown_route_is_told_in_short_in_the_form_of_whoever_asked() -> None:
    scene = GatewayScene(whole(message()))
    anthropic = await post(scene.app, "/v1/messages/batches", {})
    openai = await post(scene.app, "/v1/responses", {})
    assert (anthropic.status, openai.status) == (404, 404)
    assert anthropic.json["type"] == "error"
    assert set(openai.json["error"]) == {"message", "type", "param", "code"}
    assert "POST /v1/responses" in openai.json["error"]["message"]
    long = await get(scene.app, "/" + "a" * 60_000)
    assert len(long.body) < 1000


async def test_a_fault_of_our_own_is_told_without_its_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = GatewayScene(whole(message()))
    secret = "prompt: hello"

    async def fail(request: Any) -> Any:
        raise RuntimeError(secret)

    monkeypatch.setattr(scene.upstream, "send", fail)
    for target, asked in (("/v1/messages", question()), ("/v1/messages/count_tokens", question())):
        with caplog.at_level(logging.ERROR):
            answered = await post(scene.app, target, asked)
        assert answered.status == 502
        assert answered.json["error"]["type"] == "api_error"
        operation_id = answered.headers["x-bursar-operation-id"]
        assert answered.json["request_id"] == operation_id
        assert b"RuntimeError" not in answered.body
        assert operation_id in caplog.text
        assert "RuntimeError" in caplog.text
        assert secret not in caplog.text


async def test_a_fault_of_our_own_amid_a_stream_ends_it_with_an_error_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = GatewayScene(stream(*message_events()))

    async def fail(entry: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(scene.ledger, "record", fail)
    answered = await post(scene.app, "/v1/messages", question(stream=True))
    assert answered.status == 200
    assert b"event: error" in answered.body
    assert b"a bug" not in answered.body
    assert scene.upstream.left_open == []


async def test_a_free_request_passes_and_is_not_recorded() -> None:
    scene = GatewayScene(whole({"input_tokens": 9}))
    answered = await post(scene.app, "/v1/messages/count_tokens", question())
    assert (answered.status, answered.json) == (200, {"input_tokens": 9})
    assert answered.headers["x-bursar-operation-id"] == "op-1"
    assert scene.ledger.entries == []
    assert scene.upstream.left_open == []


@pytest.mark.parametrize("answer", [fails(sent=True), Answer(steps=[b"{", UpstreamFailed("cut", sent=True)])])
async def test_a_free_request_that_fails_is_told(answer: Answer) -> None:
    scene = GatewayScene(answer)
    answered = await get(scene.app, "/v1/models")
    assert answered.status == 502
    assert answered.json["error"]["type"] == "api_error"
    assert scene.upstream.left_open == []


async def test_health_says_whether_calls_are_taken() -> None:
    scene = GatewayScene(whole(message()))
    assert (await get(scene.app, "/health/live")).status == 200
    assert (await get(scene.app, "/health/ready")).status == 503
    scene.health.ready = True
    assert (await get(scene.app, "/health/ready")).status == 200
    scene.is_well = False
    assert (await get(scene.app, "/health/live")).status == 200
    assert (await get(scene.app, "/health/ready")).status == 503
    assert (await get(scene.app, "/metrics")).body == b"metrics\n"
    assert (await post(scene.app, "/health/live", b"")).status == 405


@pytest.mark.parametrize("admit", [False, True])
async def test_while_the_ledger_cannot_be_written_calls_are_refused_or_admitted_as_set(admit: bool) -> None:
    scene = GatewayScene(whole(message()), admit=admit)
    scene.is_well = False
    answered = await post(scene.app, "/v1/messages", question())
    assert answered.status == (200 if admit else 503)
    assert len(scene.upstream.requests) == admit
    if not admit:
        assert answered.json["error"]["type"] == "api_error"
        assert "on_store_failure" in answered.json["error"]["message"]


async def test_a_name_that_would_break_a_header_does_not() -> None:
    scene = GatewayScene(whole(message()), admit_unpriced=True)
    answered = await post(scene.app, "/v1/messages", question(model="a\r\nset-cookie: x=y" + "b" * 9000))
    assert answered.status == 200
    assert all("\r" not in value and "\n" not in value for value in answered.headers.values())
    assert len(answered.headers["x-bursar-model"]) < 300


async def test_websockets_are_turned_away() -> None:
    scene = GatewayScene(whole(message()))
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await scene.app({"type": "websocket", "path": "/v1/realtime"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1003}]


async def test_shutdown_waits_for_calls_under_way_before_it_closes_anything() -> None:
    scene = GatewayScene(Answer(before=Never()))
    closed: list[int] = []
    scene.resources.callback(lambda: closed.append(len(scene.ledger.entries)))
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    told: asyncio.Queue[str] = asyncio.Queue()

    async def send(event: Any) -> None:
        await told.put(event["type"])

    async with no_task_left(), asyncio.timeout(5):
        living = asyncio.create_task(scene.app({"type": "lifespan"}, events.get, send))
        await events.put({"type": "lifespan.startup"})
        assert await told.get() == "lifespan.startup.complete"
        call = asyncio.create_task(post(scene.app, "/v1/messages", question()))
        await until(lambda: scene.upstream.requests)
        # A server cancels what is still under way, and ends the application's life at once.
        call.cancel()
        await events.put({"type": "lifespan.shutdown"})
        assert await told.get() == "lifespan.shutdown.complete"
        await living
        with pytest.raises(asyncio.CancelledError):
            await call
    assert closed == [1]
