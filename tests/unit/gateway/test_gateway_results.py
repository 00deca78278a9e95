"""Full tool results behind their handles."""

import json
from typing import Any

import pytest

from asgi_client import get, post
from bursar.exchange.rewriting import handle_of
from bursar.policy.agent import AgentPolicy, PolicyBook, ToolResultPolicy
from bursar.policy.tool_results.limits import Limits
from bursar.ports import ContentKey, ContentKind
from gateway_scene import GatewayScene
from provider_answers import message
from scripted_world import ask as question
from scripted_world import whole

ROWS = [{"flight": f"HAT{number}", "seats": number, "note": "x" * 40} for number in range(30)]
TEXT = json.dumps(ROWS)


async def kept(tenant: str = "acme") -> tuple[GatewayScene, str]:
    scene = GatewayScene(whole(message()))
    handle = handle_of(tenant, TEXT)
    key = ContentKey(tenant, ContentKind.RESULT, bytes.fromhex(handle))
    await scene.world.content.put(key, TEXT.encode(), 60.0, scene.clock.now())
    return scene, f"/v1/bursar/results/{handle}"


async def test_a_result_that_was_cut_can_be_had_whole_by_the_handle_in_it() -> None:
    policy = AgentPolicy(tool_results=ToolResultPolicy("truncate", Limits(tokens_max=30)))
    scene = GatewayScene(whole(message()), policies=PolicyBook(policy))
    call: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": TEXT}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Which?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    await post(scene.app, "/v1/messages", question(messages=messages), x_bursar_tenant="acme")
    sent = scene.upstream.requests[0].body.decode()
    path = sent[sent.index("/v1/bursar/results/") :][: len("/v1/bursar/results/") + 32]
    answered = await get(scene.app, path, x_bursar_tenant="acme")
    assert answered.status == 200
    assert answered.headers["content-type"].startswith("text/plain")
    assert b"HAT29" in answered.body


async def test_rows_and_fields_can_be_chosen() -> None:
    scene, path = await kept()
    answered = await get(scene.app, f"{path}?rows=2&offset=5&fields=flight,seats", x_bursar_tenant="acme")
    assert b"HAT5" in answered.body
    assert b"HAT6" in answered.body
    assert b"HAT7" not in answered.body
    assert b"xxx" not in answered.body


@pytest.mark.parametrize("tenant", ["rival", None])
async def test_no_other_tenant_gets_it(tenant: str | None) -> None:
    scene, path = await kept()
    answered = await get(scene.app, path, **({"x_bursar_tenant": tenant} if tenant else {}))
    assert answered.status == 404
    assert b"HAT" not in answered.body


@pytest.mark.parametrize("handle", ["", "zz", "0" * 32, "A" * 32, "../../etc", "0" * 64, "%00"])
async def test_what_names_nothing_is_not_found(handle: str) -> None:
    scene, _ = await kept()
    answered = await get(scene.app, f"/v1/bursar/results/{handle}", x_bursar_tenant="acme")
    assert answered.status == 404
    assert answered.json["error"]["type"] == "not_found_error"


async def test_a_result_is_gone_when_its_time_is_over() -> None:
    scene, path = await kept()
    scene.clock.time_s += 61
    assert (await get(scene.app, path, x_bursar_tenant="acme")).status == 404


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("rows=-1", "rows"),
        ("rows=x", "rows"),
        ("offset=1e9", "offset"),
        ("rows=" + "9" * 30, "rows"),
        ("a=b", "a"),
    ],
)
async def test_a_wrong_query_is_named(query: str, place: str) -> None:
    scene, path = await kept()
    answered = await get(scene.app, f"{path}?{query}", x_bursar_tenant="acme")
    assert answered.status == 400
    assert answered.json["error"]["message"].startswith(f"{place}: ")


async def test_other_methods_are_refused_and_nothing_goes_upstream() -> None:
    scene, path = await kept()
    answered = await post(scene.app, path, {}, x_bursar_tenant="acme")
    assert (answered.status, answered.headers["allow"]) == (405, "GET")
    assert scene.upstream.requests == []
