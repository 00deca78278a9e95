"""Who is let in, as whom, and what becomes of the key."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from asgi_client import Answered, Asked, ask, get, post
from bursar.adapters.key_secrets import new_key
from bursar.domain.keys import Role, VirtualKey, digest_of
from bursar.gateway.auth import Guard
from bursar.policy.keys.ring import KeyRing
from gateway_scene import GatewayScene
from key_cases import made, ring_with
from provider_answers import completion, message
from scripted_world import NOW_S, Scene, whole
from scripted_world import ask as question

PROVIDER_KEYS = {"anthropic": "sk-operator", "openai": "sk-operator"}


def guarded(
    ring: KeyRing, *, provider_keys: Mapping[str, str] = PROVIDER_KEYS, answer: Any = None, **options: Any
) -> GatewayScene:
    guard = Guard(frozenset(provider_keys), ring=ring, **options)
    return GatewayScene(whole(answer or message()), guard=guard, provider_keys=provider_keys)


def expiring(key: VirtualKey, at_s: float) -> VirtualKey:
    rights = msgspec.structs.replace(key.rights, expires_at_s=at_s)
    return msgspec.structs.replace(key, rights=rights)


def check_no_key(scene: Scene, *keys: str) -> None:
    """Check that nothing of a key went upstream or into the ledger."""
    for request in scene.upstream.requests:
        seen = f"{request.path} {dict(request.headers)}"
        assert not any(key in seen for key in keys)
    assert not any(key in str(entry) for entry in scene.ledger.entries for key in keys)


def check_refused(scene: GatewayScene, answered: Answered, status: int, kind: str, *keys: str) -> str:
    assert answered.status == status, answered.body
    assert answered.json["error"]["type"] == kind
    assert scene.upstream.requests == []
    said: str = answered.json["error"]["message"]
    assert not any(key[3:20] in answered.body.decode() + str(answered.headers) for key in keys)
    return said


@pytest.mark.parametrize("header", ["x_bursar_key", "x_api_key", "authorization"])
async def test_a_key_lets_in_and_goes_nowhere_else(header: str) -> None:
    key, ring = ring_with(agent="desk")
    scene = guarded(ring)
    value = f"Bearer {key}" if header == "authorization" else key
    others = {} if header == "x_api_key" else {"x_api_key": "sk-client"}
    answered = await post(scene.app, "/v1/messages", question(), **{header: value, **others})
    assert answered.status == 200
    (request,) = scene.upstream.requests
    assert request.headers["x-api-key"] == "sk-operator"
    assert "authorization" not in request.headers
    (entry,) = scene.ledger.entries
    assert entry.attribution.key == "k-1"
    assert (entry.attribution.tenant, entry.attribution.agent) == ("acme", "desk")
    check_no_key(scene, key)


async def test_openais_clients_send_it_as_their_api_key() -> None:
    key, ring = ring_with()
    scene = guarded(ring, answer=completion())
    body = {**question(), "model": "gpt-4o"}
    answered = await post(scene.app, "/v1/chat/completions", body, authorization=f"Bearer {key}")
    assert answered.status == 200
    assert scene.upstream.requests[0].headers["authorization"] == "Bearer sk-operator"


async def test_beside_a_clients_own_provider_key_it_comes_in_a_header_of_its_own() -> None:
    key, ring = ring_with()
    scene = guarded(ring, provider_keys={})
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key)
    assert answered.status == 200
    assert scene.upstream.requests[0].headers["x-api-key"] == "sk-client"
    check_no_key(scene, key)


async def test_it_does_not_go_to_a_provider_in_the_place_of_its_key() -> None:
    key, ring = ring_with()
    scene = guarded(ring, provider_keys={})
    answered = await post(scene.app, "/v1/messages", question(), x_api_key=key)
    said = check_refused(scene, answered, 401, "authentication_error", key)
    assert "[providers.anthropic] api_key_env" in said
    assert answered.json["type"] == "error"


@pytest.mark.parametrize("name", ["cookie", "x_goog_api_key", "proxy_authorization", "x_bursar_tags"])
async def test_in_any_other_header_it_is_refused(name: str) -> None:
    key, ring = ring_with()
    scene = guarded(ring)
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key, **{name: f"k={key}"})
    assert "a virtual key stands in" in check_refused(scene, answered, 401, "authentication_error", key)


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize(
    "target",
    [
        "/v1/messages?key={key}",
        "/v1/messages?beta=true&x-bursar-key=anything",
        "/v1/messages?k={encoded}",
        "/v1/messages?k={twice}",
        "/v1/models/{key}",
        "/v1/unknown/{key}",
        "/v1/bursar/budget?key={key}",
        "/v1/bursar/results/{key}",
    ],
)
async def test_in_a_url_it_is_refused_though_another_would_be_let_in(target: str, with_keys: bool) -> None:
    key, ring = ring_with()
    scene = guarded(ring if with_keys else KeyRing())
    encoded = key.replace("_", "%5F")
    asked = target.format(key=key, encoded=encoded, twice=quote(encoded))
    headers = {"x-bursar-key": key} if with_keys else {}
    method = "POST" if "messages" in target else "GET"
    answered = await ask(scene.app, Asked(method, asked, headers))
    assert answered is not None
    assert "stands in the URL" in check_refused(scene, answered, 401, "authentication_error", key)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda key, at_s: key.revoked(at_s), "was revoked"),
        (expiring, "has expired"),
        (lambda key, at_s: key.rotated(digest_of("another"), at_s, 0.0), "was rotated"),
    ],
)
async def test_a_key_that_has_ended_is_told_so(change: Any, said: str) -> None:
    secret = new_key()
    scene = guarded(KeyRing([change(made(secret), NOW_S - 1)]))
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=secret)
    assert said in check_refused(scene, answered, 401, "authentication_error", secret)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_without_one_nobody_is_let_in_once_there_are_keys(path: str) -> None:
    _, ring = ring_with()
    scene = guarded(ring)
    answered = await post(scene.app, path, question())
    assert "a virtual key is needed" in check_refused(scene, answered, 401, "authentication_error")
    assert ("type" in answered.json) == (path == "/v1/messages")


async def test_the_last_keys_end_does_not_open_the_gateway() -> None:
    scene = guarded(KeyRing([made(new_key()).revoked(1.0)]))
    answered = await post(scene.app, "/v1/messages", question())
    check_refused(scene, answered, 401, "authentication_error")


@pytest.mark.parametrize(("require_key", "status"), [(True, 401), (False, 200), (None, 200)])
async def test_whether_one_is_needed_is_a_setting(require_key: bool | None, status: int) -> None:
    scene = guarded(KeyRing(), require_key=require_key)
    assert (await post(scene.app, "/v1/messages", question())).status == status


async def test_where_none_is_needed_a_wrong_one_is_refused_all_the_same() -> None:
    _, ring = ring_with()
    for keys in (ring, KeyRing()):
        scene = guarded(keys, require_key=False)
        for key in (new_key(), "bk-secret", ""):
            answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key)
            check_refused(scene, answered, 401, "authentication_error")


async def test_of_several_keys_none_counts() -> None:
    key, ring = ring_with()
    scene = guarded(ring)
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key, x_api_key=new_key())
    assert "several" in check_refused(scene, answered, 401, "authentication_error", key)
    same = await post(scene.app, "/v1/messages", question(), x_bursar_key=key, x_api_key=key)
    assert same.status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_bursar_tenant", "rival"),
        ("x_bursar_tenant", "ACME"),
        ("x_bursar_tenant", "acme, rival"),
        ("x_bursar_agent", "other"),
        ("x_bursar_agent", "x" * 300),
    ],
)
async def test_a_header_that_contradicts_its_key_is_refused(name: str, value: str) -> None:
    key, ring = ring_with(agent="desk")
    scene = guarded(ring)
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key, **{name: value})
    said = check_refused(scene, answered, 403, "attribution_conflict", key)
    # Whom the key is for is not for whoever guesses.
    assert "acme" not in said
    assert "desk" not in said


async def test_what_a_key_pins_counts_and_what_it_leaves_free_is_the_callers() -> None:
    key, ring = ring_with(tenant="Zürich é")
    scene = guarded(ring)
    said = "Zürich é".encode().decode("latin-1")
    for headers in ({}, {"x_bursar_tenant": said}, {"x_bursar_tenant": " "}):
        await post(scene.app, "/v1/messages", question(), x_bursar_key=key, x_bursar_agent="a", **headers)
    assert [(entry.attribution.tenant, entry.attribution.agent) for entry in scene.ledger.entries] == [
        ("Zürich é", "a")
    ] * 3


async def test_what_a_key_pins_is_what_a_provider_of_ours_is_told() -> None:
    key, ring = ring_with(agent="desk")
    guard = Guard(frozenset(PROVIDER_KEYS), ring=ring)
    scene = GatewayScene(
        whole(message()),
        guard=guard,
        provider_keys=PROVIDER_KEYS,
        forward_attribution=frozenset({"anthropic"}),
    )
    await post(scene.app, "/v1/messages", question(), x_bursar_key=key)
    headers = scene.upstream.requests[0].headers
    assert (headers["x-bursar-tenant"], headers["x-bursar-agent"]) == ("acme", "desk")
    assert "x-bursar-key" not in headers


@pytest.mark.parametrize(
    ("rights", "task", "said"),
    [
        ({"models": ("claude-haiku-*",)}, "", "it allows claude-haiku-*"),
        ({"tasks": ("triage",)}, "chat", "it allows triage"),
        ({"tasks": ("triage",)}, "", "name no task"),
    ],
)
async def test_what_a_key_does_not_allow_is_refused_and_what_it_does_is_named(
    rights: dict[str, Any], task: str, said: str
) -> None:
    key, ring = ring_with(**rights)
    scene = guarded(ring)
    answered = await post(scene.app, "/v1/messages", question(), x_bursar_key=key, x_bursar_task=task)
    assert said in check_refused(scene, answered, 403, "permission_error", key)


async def test_a_model_that_a_key_does_not_allow_is_not_told_to_be_unknown() -> None:
    key, ring = ring_with(models=("claude-*",))
    scene = guarded(ring)
    answered = await post(scene.app, "/v1/messages", {**question(), "model": "unheard-of"}, x_bursar_key=key)
    check_refused(scene, answered, 403, "permission_error")


async def test_a_reader_makes_no_calls() -> None:
    key, ring = ring_with(role=Role.READER)
    scene = guarded(ring)
    for target in ("/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions"):
        answered = await post(scene.app, target, question(), x_bursar_key=key)
        check_refused(scene, answered, 403, "permission_error", key)
    results = "/v1/bursar/results/00112233445566778899aabbccddeeff"
    check_refused(scene, await get(scene.app, results, x_bursar_key=key), 403, "permission_error")
    # Nobody answers about budgets in this scene, but the reader was let in to ask.
    assert (await get(scene.app, "/v1/bursar/budget", x_bursar_key=key)).status == 404


@pytest.mark.parametrize(
    ("role", "status"), [(Role.ADMIN, 404), (Role.AGENT, 403), (Role.READER, 403), (None, 401)]
)
async def test_only_admins_do_what_operators_do(role: Role | None, status: int) -> None:
    key, ring = ring_with(role=role or Role.AGENT)
    scene = guarded(ring)
    headers = {"x-bursar-key": key} if role is not None else {}
    answered = await ask(scene.app, Asked("POST", "/v1/bursar/conversations/c/resume", headers))
    assert answered is not None
    assert answered.status == status


async def test_the_operators_token_makes_no_calls() -> None:
    _, ring = ring_with()
    scene = guarded(ring, operator_token="open sesame")
    for headers in ({"x_bursar_key": "open sesame"}, {"authorization": "Bearer open sesame"}):
        answered = await post(scene.app, "/v1/messages", question(), **headers)
        check_refused(scene, answered, 401, "authentication_error")
        assert (await get(scene.app, "/v1/bursar/budget", **headers)).status == 404


async def test_who_is_not_let_in_learns_no_paths() -> None:
    _, ring = ring_with()
    scene = guarded(ring)
    for target in ("/v1/nothing", "/v1/models", "/v1/bursar/budget", "/v1/bursar/keys"):
        check_refused(scene, await get(scene.app, target), 401, "authentication_error")
    assert (await get(scene.app, "/health/live")).status == 200


async def test_a_body_that_does_not_arrive_is_waited_for_only_so_long() -> None:
    scene = GatewayScene(whole(message()), body_timeout_s=0.05)
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await scene.app(Asked("POST", "/v1/messages", {"x-api-key": "k"}).scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert scene.upstream.requests == []
