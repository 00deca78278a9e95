"""Calls that are answered by what was answered before."""

import json
from typing import Any

import msgspec
import pytest

from bursar.domain.ledger import Status, Technique
from bursar.drivers.asynchronous import CallDriver
from bursar.exchange import answering
from bursar.exchange.life import live
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.response_cache import ResponseCacheOptions
from cached_scene import COLD, broken, cache_of, entries, without_comments
from provider_answers import completion, completion_chunks, message, message_events
from scripted_world import Answer, Scene, WaitingClient, ask, chat, fails, stream, whole

ON = {"x-bursar-cache": "on"}


async def test_the_same_call_again_is_answered_without_the_provider() -> None:
    scene = Scene(whole(message()))
    first, second = await scene.play(ask(**COLD)), await scene.play(ask(**COLD))
    assert (cache_of(first), cache_of(second)) == ("miss", "hit")
    assert len(scene.upstream.requests) == 1
    assert json.loads(second.body) == json.loads(first.body)
    assert second.status == 200
    assert second.headers["x-bursar-cost-usd"] == "0.000000000"
    made, hit = entries(scene)
    assert hit.attempts == ()
    assert (hit.status, hit.cost_nusd) == (Status.OK, 0)
    # Too short for the provider's cache, the call would have cost what the first one did.
    assert hit.shares == {Technique.RESPONSE_CACHE: made.cost_nusd}


@pytest.mark.parametrize("body", [ask(), ask(temperature=0.5), chat()])
async def test_calls_that_may_vary_take_no_part_unasked(body: Any) -> None:
    scene = Scene(whole(completion() if "gpt" in body["model"] else message()))
    replies = [await scene.play(body) for _ in range(2)]
    assert [cache_of(reply) for reply in replies] == ["off", "off"]
    assert len(scene.upstream.requests) == 2


async def test_a_call_can_ask_for_it_and_decline_it() -> None:
    scene = Scene(whole(message()))
    assert cache_of(await scene.play(ask(), ON)) == "miss"
    assert cache_of(await scene.play(ask(), ON)) == "hit"
    assert cache_of(await scene.play(ask(**COLD), {"x-bursar-cache": "off"})) == "off"
    refused = await scene.play(ask(), {"x-bursar-cache": "perhaps"})
    assert refused.status == 400
    assert b"x-bursar-cache" in refused.body


@pytest.mark.parametrize("mode", ["observe", "passthrough"])
async def test_other_modes_leave_every_call_to_the_provider(mode: str) -> None:
    scene = Scene(whole(message()), mode=mode)
    for _ in range(2):
        assert cache_of(await scene.play(ask(**COLD))) == "off"
    assert len(scene.upstream.requests) == 2


async def test_nobody_gets_what_another_tenant_or_account_was_answered() -> None:
    scene = Scene(whole(message()))
    await scene.play(ask(**COLD), {"x-bursar-tenant": "acme"})
    assert cache_of(await scene.play(ask(**COLD), {"x-bursar-tenant": "rival"})) == "miss"
    other = scene.arrival(ask(**COLD), {"x-bursar-tenant": "acme"})
    other = msgspec.structs.replace(other, credential=b"another")
    reply = await CallDriver(scene.world, WaitingClient()).run(live(scene.engine, other))
    assert cache_of(reply) == "miss"


async def test_an_answer_lives_as_long_as_it_was_set_to() -> None:
    policies = PolicyBook(AgentPolicy(response_cache=ResponseCacheOptions(ttl_s=60)))
    scene = Scene(whole(message()), policies=policies)
    await scene.play(ask(**COLD))
    scene.clock.time_s += 59
    assert cache_of(await scene.play(ask(**COLD))) == "hit"
    scene.clock.time_s += 61
    assert cache_of(await scene.play(ask(**COLD))) == "miss"


TOLD = [
    pytest.param(ask(**COLD), stream(*message_events()), whole(message()), id="anthropic"),
    pytest.param(chat(**COLD), stream(*completion_chunks()), whole(completion()), id="openai"),
]


@pytest.mark.parametrize(("body", "streamed", "made"), TOLD)
async def test_a_streams_answer_is_told_as_a_stream(body: Any, streamed: Answer, made: Answer) -> None:
    del made
    scene = Scene(streamed)
    await scene.play(body | {"stream": True})
    first = scene.client.received
    reply = await scene.play(body | {"stream": True})
    assert cache_of(reply) == "hit"
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert b": bursar {" in reply.body
    # What had passed on before the terminal event, and that event, are there again.
    assert without_comments(reply.body).startswith(first)


@pytest.mark.parametrize(("body", "streamed", "made"), TOLD)
async def test_a_whole_answer_is_told_as_a_stream(body: Any, streamed: Answer, made: Answer) -> None:
    del streamed
    scene = Scene(made)
    await scene.play(body)
    reply = await scene.play(body | {"stream": True})
    assert cache_of(reply) == "hit"
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.rstrip().endswith(
        b"data: [DONE]" if "gpt" in body["model"] else b'{"type":"message_stop"}'
    )


@pytest.mark.parametrize(("body", "streamed", "made"), TOLD)
async def test_a_stream_is_told_as_a_whole_answer(body: Any, streamed: Answer, made: Answer) -> None:
    del made
    scene = Scene(streamed)
    await scene.play(body | {"stream": True})
    reply = await scene.play(body)
    assert cache_of(reply) == "hit"
    told = json.loads(reply.body)
    content = told["choices"][0]["message"] if "gpt" in body["model"] else told
    assert content["role"] == "assistant"


FAILURES = [
    pytest.param(whole({"error": {}}, status=400), id="refused"),
    pytest.param(whole(b"garbage"), id="garbage"),
    pytest.param(fails(sent=True), id="no answer"),
    pytest.param(whole(message() | {"stop_reason": "refusal"}), id="the model refused"),
]


@pytest.mark.parametrize("answer", FAILURES)
async def test_what_is_no_whole_answer_is_never_kept(answer: Answer) -> None:
    scene = Scene(answer, retries_max=0)
    for _ in range(2):
        assert cache_of(await scene.play(ask(**COLD))) == "miss"
    assert len(scene.upstream.requests) == 2


async def test_a_cut_stream_is_never_kept() -> None:
    scene = Scene(stream(*message_events()[:-2]))
    for _ in range(2):
        await scene.play(ask(stream=True, **COLD))
    assert len(scene.upstream.requests) == 2
    assert {entry.status for entry in entries(scene)} == {Status.CUT}


@pytest.mark.parametrize("name", ["request_key", "read_kept", "keep_answer"])
async def test_if_the_cache_fails_the_call_is_made_as_if_there_were_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    scene = Scene(whole(message()))
    await scene.play(ask(**COLD))
    monkeypatch.setattr(answering, name, fail)
    reply = await scene.play(ask(**COLD, max_tokens=99) if name == "keep_answer" else ask(**COLD))
    assert reply.status == 200
    assert scene.ledger.entries[-1].faults == ("response_cache",)


async def test_a_store_that_keeps_nothing_costs_hits_and_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(whole(message()))

    async def refuse(*_: object) -> bool:
        return False

    monkeypatch.setattr(scene.world.content, "put", refuse)
    for _ in range(2):
        assert cache_of(await scene.play(ask(**COLD))) == "miss"


async def test_a_store_that_breaks_on_keeping_loses_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(whole(message()))
    monkeypatch.setattr(scene.world.content, "put", broken)
    reply = await scene.play(ask(**COLD))
    assert reply.status == 200
    assert scene.entry.faults == ("response_cache",)
    assert scene.entry.cost_nusd


async def test_tools_that_may_act_keep_a_call_out_unless_they_are_named_as_safe() -> None:
    body = ask(**COLD, tools=[{"name": "book", "input_schema": {"type": "object"}}])
    scene = Scene(whole(message()))
    assert cache_of(await scene.play(body)) == "off"
    options = ResponseCacheOptions(safe_tools=frozenset({"book"}))
    safe = Scene(whole(message()), policies=PolicyBook(AgentPolicy(response_cache=options)))
    assert [cache_of(await safe.play(body)) for _ in range(2)] == ["miss", "hit"]
