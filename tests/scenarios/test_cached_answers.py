"""Calls that are answered by what was answered before, or by an identical call in flight."""

import asyncio
import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from bursar.domain.ledger import Entry, Status, Technique
from bursar.drivers.asynchronous import CallDriver
from bursar.effects import Reply
from bursar.exchange import answering
from bursar.exchange.life import live
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.response_cache import CacheUse, ResponseCacheOptions
from provider_answers import completion, completion_chunks, message, message_events
from scripted_world import (
    After,
    Answer,
    Never,
    Scene,
    WaitingClient,
    ask,
    chat,
    check_sums,
    fails,
    stream,
    whole,
)

ON = {"x-bursar-cache": "on"}
COLD = {"temperature": 0}


def entries(scene: Scene) -> list[Entry]:
    for entry in scene.ledger.entries:
        check_sums(entry)
    return scene.ledger.entries


def cache_of(reply: Reply) -> str:
    return reply.headers.get("x-bursar-cache", "")


def without_comments(events: bytes) -> bytes:
    return b"".join(
        part + b"\n\n" for part in events.split(b"\n\n") if part and not part.startswith(b": bursar")
    )


async def broken(*_: object) -> None:
    raise RuntimeError("the store is broken")


async def start(scene: Scene, body: Any, headers: Any = None) -> tuple[WaitingClient, "asyncio.Task[Reply]"]:
    """Begin a call of a client of its own."""
    client = WaitingClient()
    driver = CallDriver(scene.world, client)
    task = asyncio.create_task(driver.run(live(scene.engine, scene.arrival(body, headers))))
    for _ in range(5):
        await asyncio.sleep(0)
    return client, task


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


async def test_a_thousand_identical_calls_at_once_are_one_call_upstream() -> None:
    gate = After()
    answer = whole(message())
    answer.before = gate
    scene = Scene(answer)
    calls = [(await start(scene, ask(**COLD)))[1] for _ in range(1000)]
    gate.opened.set()
    replies = await asyncio.gather(*calls)
    assert len(scene.upstream.requests) == 1
    assert sorted({cache_of(reply) for reply in replies}) == ["joined", "miss"]
    assert sum(cache_of(reply) == "miss" for reply in replies) == 1
    assert len({bytes(reply.body) for reply in replies}) == 1
    assert sum(bool(entry.attempts) for entry in entries(scene)) == 1
    uses = Counter(scene.observer.cache_uses)
    assert uses == {CacheUse.JOINED: 999, CacheUse.MISS: 1}


@pytest.mark.parametrize(("body", "streamed", "made"), TOLD)
async def test_who_joins_a_stream_gets_all_of_it_in_the_form_that_each_asked_for(
    body: Any, streamed: Answer, made: Answer
) -> None:
    del made
    gate = After()
    steps = list(streamed.steps)
    scene = Scene(stream(*steps[:2], gate, *steps[2:]))
    leader, leading = await start(scene, body | {"stream": True})
    _, following = await start(scene, body | {"stream": True})
    _, whole_following = await start(scene, body)
    await leader.wrote.wait()
    gate.opened.set()
    led, streams, told = await asyncio.gather(leading, following, whole_following)
    assert [cache_of(reply) for reply in (led, streams, told)] == ["miss", "joined", "joined"]
    assert len(scene.upstream.requests) == 1
    assert without_comments(streams.body) == without_comments(leader.received + led.body)
    assert json.loads(told.body)


async def test_a_leader_that_fails_fails_nobody_else() -> None:
    gate = After()
    failing = whole({"error": {}}, status=400)
    failing.before = gate
    scene = Scene(failing, whole(message()), retries_max=0)
    calls = [(await start(scene, ask(**COLD)))[1] for _ in range(4)]
    gate.opened.set()
    replies = await asyncio.gather(*calls)
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 400]
    assert len(scene.upstream.requests) == 2


async def test_a_leader_whose_stream_is_cut_is_followed_by_the_next() -> None:
    gate = After()
    events = message_events()
    scene = Scene(stream(*events[:3], gate), stream(*events))
    body = ask(stream=True, **COLD)
    calls = [(await start(scene, body))[1] for _ in range(3)]
    gate.opened.set()
    cut, *others = await asyncio.gather(*calls)
    assert b"event: error" in cut.body
    assert [cache_of(reply) for reply in others] == ["miss", "joined"]
    assert [entry.status for entry in entries(scene)].count(Status.CUT) == 1
    assert len(scene.upstream.requests) == 2


async def test_a_leader_whose_client_leaves_amid_a_stream_is_followed_by_the_next() -> None:
    events = message_events()
    scene = Scene(stream(*events[:3], Never()), stream(*events))
    body = ask(stream=True, **COLD)
    leader, leading = await start(scene, body)
    await leader.wrote.wait()
    _, following = await start(scene, body)
    leader.gone.set()
    left, reply = await asyncio.gather(leading, following)
    assert (left.status, cache_of(reply)) == (499, "miss")
    assert scene.world.in_flight.waiting == len(scene.world.in_flight) == 0


async def test_a_leader_whose_client_leaves_is_followed_by_the_next() -> None:
    gate = After()
    hanging = whole(message())
    hanging.before = gate
    scene = Scene(hanging, whole(message()))
    leader, leading = await start(scene, ask(**COLD))
    _, following = await start(scene, ask(**COLD))
    leader.gone.set()
    left, reply = await asyncio.gather(leading, following)
    assert left.status == 499
    assert (reply.status, cache_of(reply)) == (200, "miss")
    assert {entry.status for entry in entries(scene)} == {Status.ABORTED, Status.OK}


async def test_a_leader_that_is_cancelled_is_followed_by_the_next() -> None:
    gate = After()
    hanging = whole(message())
    hanging.before = gate
    scene = Scene(hanging, whole(message()))
    _, leading = await start(scene, ask(**COLD))
    _, following = await start(scene, ask(**COLD))
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert (await following).status == 200


async def test_a_follower_whose_client_leaves_is_recorded_and_holds_nobody_up() -> None:
    gate = After()
    answer = whole(message())
    answer.before = gate
    scene = Scene(answer)
    _, leading = await start(scene, ask(**COLD))
    follower, following = await start(scene, ask(**COLD))
    _, patient = await start(scene, ask(**COLD))
    follower.gone.set()
    left = await following
    gate.opened.set()
    assert left.status == 499
    assert (await leading).status == 200
    assert cache_of(await patient) == "joined"
    aborted = [entry for entry in entries(scene) if entry.status is Status.ABORTED]
    assert [(entry.cost_nusd, entry.attempts) for entry in aborted] == [(0, ())]


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


async def test_a_store_that_breaks_on_looking_costs_a_hit_and_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(whole(message()))
    monkeypatch.setattr(scene.world.content, "get", broken)
    calls = [(await start(scene, ask(**COLD)))[1] for _ in range(3)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert all(entry.faults == ("response_cache",) for entry in entries(scene))


async def test_a_store_that_breaks_on_keeping_loses_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(whole(message()))
    monkeypatch.setattr(scene.world.content, "put", broken)
    reply = await scene.play(ask(**COLD))
    assert reply.status == 200
    assert scene.entry.faults == ("response_cache",)
    assert scene.entry.cost_nusd


async def test_a_call_that_is_cancelled_while_its_answer_is_kept_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(whole(message()))
    keeping = asyncio.Event()

    async def hang(*_: object) -> bool:
        keeping.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(scene.world.content, "put", hang)
    _, leading = await start(scene, ask(**COLD))
    await keeping.wait()
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert scene.entry.status is Status.OK


async def test_a_call_that_is_cancelled_while_it_looks_sends_nothing_and_makes_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(whole(message()))
    looking = asyncio.Event()

    async def hang(*_: object) -> None:
        looking.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(scene.world.content, "get", hang)
        _, leading = await start(scene, ask(**COLD))
        await looking.wait()
    _, following = await start(scene, ask(**COLD))
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert cache_of(await following) == "miss"
    assert len(scene.upstream.requests) == 1


async def test_tools_that_may_act_keep_a_call_out_unless_they_are_named_as_safe() -> None:
    body = ask(**COLD, tools=[{"name": "book", "input_schema": {"type": "object"}}])
    scene = Scene(whole(message()))
    assert cache_of(await scene.play(body)) == "off"
    options = ResponseCacheOptions(safe_tools=frozenset({"book"}))
    safe = Scene(whole(message()), policies=PolicyBook(AgentPolicy(response_cache=options)))
    assert [cache_of(await safe.play(body)) for _ in range(2)] == ["miss", "hit"]
