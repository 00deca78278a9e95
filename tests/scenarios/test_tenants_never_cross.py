"""A tenant tries to get at another's: kept answers, calls in flight, full results, summaries, threads."""

import asyncio
import json
from typing import Any

import pytest

from asgi_client import get, post
from bursar.adapters.key_secrets import new_key
from bursar.exchange.rewriting import handle_of
from bursar.gateway.auth import Guard
from bursar.policy.agent import AgentPolicy, PolicyBook, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.keys.ring import KeyRing
from bursar.policy.tool_results.limits import Limits
from cached_scene import COLD, cache_of, start
from gateway_scene import GatewayScene
from history_scene import SUMMARISERS, HistoryScene, discussion, summary_answer
from key_cases import made
from provider_answers import completion, message
from scripted_world import After, Scene, ask, chat, whole
from wire_bodies import ANTHROPIC, OPENAI

OURS = {"x-bursar-tenant": "acme"}
# Names that are easily taken for another: by case, by blanks, by what separates a tenant from the rest.
RIVALS = ("rival", "Acme", "acme/desk", "acme%2Fdesk", "acme x", "default", "acme.", "ɑcme")

rivals = pytest.mark.parametrize("rival", RIVALS)


def theirs(name: str) -> dict[str, str]:
    return {"x-bursar-tenant": name.encode().decode("latin-1")}


@rivals
@pytest.mark.parametrize("body", [ask(**COLD), chat(**COLD)], ids=["anthropic", "openai"])
async def test_a_kept_answer_is_the_tenants_own(body: Any, rival: str) -> None:
    answer = whole(completion() if "gpt" in body["model"] else message())
    scene = Scene(answer)
    assert cache_of(await scene.play(body, OURS)) == "miss"
    for asked in (body, {**body, "stream": True}):
        await scene.play(asked, theirs(rival))
    # Each stream and whole answer is a call upstream, or what the rival itself was answered.
    assert [cache.value for cache in scene.observer.cache_uses] == ["miss", "miss", "hit"]
    assert cache_of(await scene.play(body, OURS)) == "hit"


@rivals
async def test_a_call_in_flight_is_joined_by_its_own_tenant_only(rival: str) -> None:
    gate = After()
    answer = whole(message())
    answer.before = gate
    scene = Scene(answer)
    ours = [(await start(scene, ask(**COLD), OURS))[1] for _ in range(3)]
    others = [(await start(scene, ask(**COLD), theirs(rival)))[1] for _ in range(3)]
    gate.opened.set()
    await asyncio.gather(*ours, *others)
    assert len(scene.upstream.requests) == 2
    for tasks in (ours, others):
        assert sorted(cache_of(task.result()) for task in tasks) == ["joined", "joined", "miss"]


ROWS = json.dumps([{"flight": f"HAT{number}", "seats": number, "note": "x" * 40} for number in range(30)])


def with_result() -> dict[str, Any]:
    call: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": ROWS}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Which?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    return ask(messages=messages)


def truncating(**options: Any) -> GatewayScene:
    policy = AgentPolicy(tool_results=ToolResultPolicy("truncate", Limits(tokens_max=30)))
    return GatewayScene(whole(message()), policies=PolicyBook(policy), **options)


@rivals
async def test_a_handle_opens_nothing_to_another_tenant(rival: str) -> None:
    scene = truncating()
    await post(scene.app, "/v1/messages", with_result(), x_bursar_tenant="acme")
    path = f"/v1/bursar/results/{handle_of('acme', ROWS)}"
    assert (await get(scene.app, path, **OURS)).status == 200
    refused = await get(scene.app, path, **theirs(rival))
    assert refused.status == 404
    assert b"HAT" not in refused.body
    # The same result of its own has another handle, from which nobody learns that others have it, too.
    assert handle_of(rival, ROWS) != handle_of("acme", ROWS)
    own = f"/v1/bursar/results/{handle_of(rival, ROWS)}"
    assert (await get(scene.app, own, **theirs(rival))).status == 404


async def test_a_key_opens_results_of_its_own_tenant_whatever_headers_say() -> None:
    ours, others = new_key(), new_key()
    ring = KeyRing([made(ours), made(others, "k-2", tenant="rival")])
    scene = truncating(guard=Guard(ring=ring))
    await post(scene.app, "/v1/messages", with_result(), x_bursar_key=ours)
    path = f"/v1/bursar/results/{handle_of('acme', ROWS)}"
    assert (await get(scene.app, path, **{"x-bursar-key": ours})).status == 200
    assert (await get(scene.app, path, **{"x-bursar-key": others})).status == 404
    assert (await get(scene.app, path, **{"x-bursar-key": others, **OURS})).status == 403
    assert (await get(scene.app, path)).status == 401


@rivals
@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)
async def test_a_summary_that_another_tenant_bought_serves_nobody_else(dialect: Any, rival: str) -> None:
    options = HistoryOptions(
        tokens=4_000, recent_tokens=1_000, summary_tokens_max=100, summary_model=SUMMARISERS[dialect.name]
    )
    secret, own = (summary_answer(dialect, text) for text in ("What acme said.", "What the rival said."))
    scene = HistoryScene(options, secret, own)
    await scene.play(discussion(dialect, 40), OURS)
    await scene.play(discussion(dialect, 40), theirs(rival))
    assert len(scene.provider.asked) == 2
    assert "What acme said." in str(scene.provider.messages(0))
    assert "What acme said." not in str(scene.provider.messages(1))
    # Nor after a restart, by what was kept.
    again = HistoryScene(options, own, content=scene.content)
    await again.play(discussion(dialect, 40), theirs("yet another"))
    assert len(again.provider.asked) == 1
    assert "What acme said." not in str(again.provider.messages())


@rivals
async def test_the_same_messages_are_another_thread_and_conversation_elsewhere(rival: str) -> None:
    scene = Scene(whole(message()))
    talk: list[Any] = [{"role": "user", "content": "Hello"}]
    for number in range(3):
        talk = [
            *talk,
            {"role": "assistant", "content": f"Yes {number}?"},
            {"role": "user", "content": "And?"},
        ]
        for headers in (OURS, theirs(rival)):
            await scene.play(ask(messages=talk), headers)
    threads: dict[str, set[str]] = {}
    for entry in scene.ledger.entries:
        who = entry.attribution
        threads.setdefault(who.tenant, set()).update((entry.thread, who.conversation))
    assert len(threads) == 2
    ours, others = threads.values()
    assert not ours & others
    assert [entry.turn for entry in scene.ledger.entries] == [0, 0, 1, 1, 2, 2]


@rivals
async def test_a_conversation_of_the_same_name_is_another_one_elsewhere(rival: str) -> None:
    scene = Scene(whole(message()))
    named = {"x-bursar-conversation": "c1"}
    for headers in (OURS, theirs(rival)):
        await scene.play(ask(), {**headers, **named})
    ours, others = scene.ledger.entries
    assert ours.attribution.conversation == others.attribution.conversation == "c1"
    assert ours.thread != others.thread
