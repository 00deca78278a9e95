"""Every path is billed, free of charge, or refused; nothing reaches a provider unmetered."""

import json
from typing import Any

import pytest

from asgi_client import ANTHROPIC_HEADERS, OPENAI_HEADERS, Asked, ask
from bursar.gateway.routes import ROUTES, Charge, find_route, upstream_path
from gateway_scene import GatewayScene
from provider_answers import message
from scripted_world import ask as question
from scripted_world import whole

BILLED = {("POST", "/v1/messages"), ("POST", "/v1/chat/completions")}
FREE = {
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/claude-sonnet-4-6"),
    ("GET", "/v1/models/ft:gpt-4o:acme::1"),
}
OWN = {(method, path) for method in ("GET", "HEAD") for path in ("/health/live", "/health/ready", "/metrics")}
RESULT = "/v1/bursar/results/00112233445566778899aabbccddeeff"

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "post")
PATHS = (
    "",
    "/",
    "//",
    "*",
    "/v1",
    "/v1/",
    "/v1/messages",
    "/v1/messages/",
    "//v1/messages",
    "/v1//messages",
    "/v1/./messages",
    "/v1/x/../messages",
    "/v1/%6dessages",
    "/v1/Messages",
    "/v1/messages;a",
    "/v1/messages%00",
    "/v1/messages%20",
    "/v1/messages%3Fa",
    "/v1/messages%23a",
    "/v1/messages/batches",
    "/v1/messages/batches/1/results",
    "/v1/messages/count_tokens",
    "/v1/messages/count_tokens/",
    "/v1/messages/count_tokens/../../messages",
    "/v1/complete",
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/chat/completions/chatcmpl-1",
    "/chat/completions",
    "/openai/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/files",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/moderations",
    "/v1/realtime",
    "/v1/fine_tuning/jobs",
    "/v1/organizations/usage",
    "/v1/models",
    "/v1/models/",
    "/v1/models//",
    "/v1/models/.",
    "/v1/models/..",
    "/v1/models/%2e%2e",
    "/v1/models/%2e%2e/messages",
    "/v1/models/..%2fmessages",
    "/v1/models/..%5cmessages",
    "/v1/models/%252e%252e",
    "/v1/models/%252e%252e%252fmessages",
    "/v1/models/claude-sonnet-4-6",
    "/v1/models/ft:gpt-4o:acme::1",
    "/v1/models/a/b",
    "/v1/models/../messages",
    "http://elsewhere.example/v1/messages",
    "/health/live",
    "/health/ready",
    "/health/live/",
    "/metrics",
    "/metrics/x",
    "/v1/bursar/results",
    "/v1/bursar/results/",
    RESULT,
    f"{RESULT}/x",
    "/v1/bursar",
    "/v1/bursar/keys",
)


@pytest.mark.parametrize("headers", [ANTHROPIC_HEADERS, OPENAI_HEADERS], ids=["anthropic", "openai"])
async def test_every_path_is_billed_or_free_or_refused(headers: dict[str, str]) -> None:
    scene = GatewayScene(whole(message()))
    for method in METHODS:
        for path in PATHS:
            scene.upstream.requests.clear()
            scene.ledger.entries.clear()
            body = json.dumps(question()).encode()
            answered = await ask(scene.app, Asked(method, path, headers, [body]))
            case = f"{method} {path}"
            assert answered is not None, case
            decoded = Asked(method, path, headers).scope["path"]
            if (method, decoded) in BILLED:
                assert len(scene.ledger.entries) == len(scene.upstream.requests) == 1, case
            elif (method, decoded) in FREE:
                assert len(scene.upstream.requests) == 1, case
                assert scene.ledger.entries == [], case
            else:
                assert scene.upstream.requests == [], case
                assert scene.ledger.entries == [], case
                if decoded.startswith("/v1/bursar/results/"):
                    assert answered.status == (404 if method == "GET" else 405), case
                elif decoded == "/v1/bursar/keys":
                    # For operators only, of whom there are none here.
                    assert answered.status == 403, case
                elif (method, decoded) not in OWN and not decoded.startswith(("/health", "/metrics")):
                    assert answered.status == 404, case
                    assert answered.json["error"]["type"] == "not_found_error", case
                    assert answered.headers["x-bursar-operation-id"], case


def test_the_table_has_no_third_kind() -> None:
    assert {(route.method, route.path) for route in ROUTES if route.charge is Charge.BILLED} == BILLED
    assert {(route.method, route.path) for route in ROUTES if route.charge is Charge.FREE} < FREE


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/messages", "", "/v1/messages"),
        ("/v1/messages", "beta=true", "/v1/messages?beta=true"),
        ("/v1/chat/completions", "a=%2F&b=c d", "/chat/completions?a=%2F&b=c%20d"),
        ("/v1/chat/completions", "a\r\nx: y", "/chat/completions?a%0D%0Ax:%20y"),
    ],
)
def test_paths_and_queries_go_upstream_encoded(path: str, query: str, expected: str) -> None:
    route = find_route("POST", path, {})
    assert route is not None
    assert upstream_path(route, path, query) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a?b=c", "/models/a%3Fb%3Dc"),
        ("a#b", "/models/a%23b"),
        ("a\r\nx: y", "/models/a%0D%0Ax:%20y"),
        ("ü", "/models/%C3%BC"),
    ],
)
def test_a_models_name_cannot_become_anything_else_upstream(name: str, expected: str) -> None:
    route = find_route("GET", f"/v1/models/{name}", {})
    assert route is not None
    assert upstream_path(route, f"/v1/models/{name}", "") == expected


@pytest.mark.parametrize(
    ("headers", "upstream"), [({"anthropic-version": "2023-06-01"}, "anthropic"), ({}, "openai")]
)
def test_models_are_asked_of_the_provider_whose_client_asks(headers: Any, upstream: str) -> None:
    route = find_route("GET", "/v1/models", headers)
    assert route is not None
    assert (route.upstream, route.charge) == (upstream, Charge.FREE)
