"""Identical calls in flight share one, however the first of them ends."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bursar.domain.ledger import Status
from bursar.errors import UpstreamFailed
from bursar.policy.response_cache import CacheUse
from cached_scene import COLD, broken, cache_of, entries, start, without_comments
from provider_answers import completion_chunks, message, message_events
from scripted_world import After, Answer, Never, Scene, ask, chat, stream, whole


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


@pytest.mark.parametrize(
    ("body", "steps"), [(ask(**COLD), message_events()), (chat(**COLD), completion_chunks())]
)
async def test_who_joins_a_stream_gets_all_of_it_in_the_form_that_each_asked_for(
    body: Any, steps: list[bytes]
) -> None:
    gate = After()
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


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        pytest.param(whole({"error": {}}, status=400), 400, id="refused"),
        pytest.param(Answer(steps=[UpstreamFailed("broken off", sent=True)]), 502, id="broken off"),
        pytest.param(whole(b"garbage"), 502, id="garbage"),
    ],
)
async def test_a_leader_that_fails_fails_nobody_else(failing: Answer, status: int) -> None:
    gate = After()
    failing = replace(failing, steps=[gate, *failing.steps])
    scene = Scene(failing, whole(message()), retries_max=0)
    calls = [(await start(scene, ask(**COLD)))[1] for _ in range(4)]
    gate.opened.set()
    replies = await asyncio.gather(*calls)
    assert sorted(reply.status for reply in replies) == [200, 200, 200, status]
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


async def test_a_store_that_breaks_on_looking_costs_a_hit_and_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(whole(message()))
    monkeypatch.setattr(scene.world.content, "get", broken)
    calls = [(await start(scene, ask(**COLD)))[1] for _ in range(3)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert all(entry.faults == ("response_cache",) for entry in entries(scene))


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
