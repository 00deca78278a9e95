"""A client that leaves, or a process that stops, at any point of a call."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from bursar.domain.ledger import CostBasis, Status
from bursar.drivers import asynchronous
from bursar.exchange import entries
from provider_answers import message, message_events
from scripted_world import After, Answer, Never, Scene, WaitingClient, ask, no_task_left, stream, until, whole


@pytest.fixture(autouse=True)
def _watch_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The wait before anybody asks whether the client is there saves work, and means nothing else.
    monkeypatch.setattr(asynchronous, "_WATCH_AFTER_S", 0.001)


async def ended_by_leaving(scene: Scene, body: Any, ready: Callable[[], Any]) -> None:
    """Play a call whose client leaves once it is `ready`."""
    async with no_task_left():
        call = scene.begin(body)
        await until(ready)
        scene.client.gone.set()
        async with asyncio.timeout(5):
            assert (await call).status == 499


async def test_a_client_that_leaves_before_the_answer_begins_ends_the_attempt() -> None:
    scene = Scene(Answer(before=Never()))
    await ended_by_leaving(scene, ask(), lambda: scene.upstream.requests)
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.ABORTED, 499, CostBasis.ESTIMATED)
    assert entry.usage is not None
    assert entry.usage.input > 0
    # A provider may go on with a whole answer; nobody saw how long it became, so it counts as all it could.
    assert entry.usage.output == ask()["max_tokens"]
    assert [(a.http_status, a.status) for a in entry.attempts] == [(None, Status.ABORTED)]


async def test_a_client_that_leaves_amid_a_whole_answer_closes_the_providers_connection() -> None:
    scene = Scene(Answer(steps=[b'{"id"', Never()]))
    await ended_by_leaving(scene, ask(), lambda: scene.upstream.responses)
    assert scene.upstream.left_open == []
    entry = scene.entry
    assert (entry.status, entry.basis) == (Status.ABORTED, CostBasis.ESTIMATED)
    assert entry.attempts[0].http_status == 200


async def test_a_client_that_leaves_amid_a_stream_closes_the_providers_connection() -> None:
    events = message_events(words=["word "] * 10)
    scene = Scene(stream(*events[:8], Never()))
    await ended_by_leaving(scene, ask(stream=True), lambda: scene.client.received == b"".join(events[:8]))
    assert scene.upstream.left_open == []
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.ABORTED, 499, CostBasis.ESTIMATED)
    assert entry.usage is not None
    assert entry.usage.input == 300
    assert 6 <= entry.usage.output < 20


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_leaves_between_attempts_has_paid_nothing(streaming: bool) -> None:
    scene = Scene(whole({"error": {}}, 529), whole(message()))
    scene.clock.held = True
    await ended_by_leaving(scene, ask(stream=streaming), lambda: scene.clock.slept)
    assert len(scene.upstream.requests) == 1
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ABORTED, 499, 0)
    assert [(a.http_status, a.status) for a in entry.attempts] == [(529, Status.ERROR)]


async def test_a_client_that_leaves_in_a_second_attempt_ends_that_one_only() -> None:
    scene = Scene(whole({"error": {}}, 529), Answer(before=Never()))
    await ended_by_leaving(scene, ask(), lambda: len(scene.upstream.requests) == 2)
    assert [(a.http_status, a.status) for a in scene.entry.attempts] == [
        (529, Status.ERROR),
        (None, Status.ABORTED),
    ]


async def test_a_client_that_leaves_while_the_entry_is_written_changes_nothing() -> None:
    scene = Scene(whole(message()))
    scene.ledger.gate = asyncio.Event()
    async with no_task_left():
        call = scene.begin(ask())
        await scene.ledger.asked.wait()
        scene.client.gone.set()
        await asyncio.sleep(0.01)
        scene.ledger.gate.set()
        assert (await call).status == 200
    assert scene.entry.status is Status.OK


class Cancelling:
    """A call whose task is cancelled at its n-th chance to be."""

    def __init__(self, scene: Scene, body: Any) -> None:
        self.scene = scene
        self.body = body

    async def cancel_after_turns(self, turns: int) -> bool:
        """Cancel after so many turns of the loop; say whether the call was still under way."""
        call = self.scene.begin(self.body)
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.done():
            await call
            return False
        call.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await call
        return True


SCENES: dict[str, Callable[[], tuple[Scene, Any]]] = {
    "whole": lambda: (Scene(whole(message())), ask()),
    "stream": lambda: (Scene(stream(*message_events(words=["a "] * 4))), ask(stream=True)),
    "retried": lambda: (Scene(whole({"error": {}}, 529), whole({}, 429), whole(message())), ask()),
    "refused": lambda: (Scene(whole({"error": {}}, 400)), ask()),
}


@pytest.mark.parametrize("name", SCENES)
async def test_a_task_cancelled_at_any_await_records_what_was_sent_once(name: str) -> None:
    cancelled = 0
    for turns in range(60):
        scene, body = SCENES[name]()
        async with no_task_left():
            under_way = await Cancelling(scene, body).cancel_after_turns(turns)
        cancelled += under_way
        if scene.upstream.requests:
            assert len(scene.entry.attempts) == len(scene.upstream.requests)
        else:
            assert scene.ledger.entries == []
        assert scene.upstream.left_open == []
        if not under_way:
            break
    else:
        pytest.fail("the call never came to its end")
    assert cancelled >= 3


async def test_a_task_cancelled_twice_still_records() -> None:
    scene = Scene(Answer(before=Never()))
    scene.ledger.gate = asyncio.Event()
    async with no_task_left():
        call = scene.begin(ask())
        await until(lambda: scene.upstream.requests)
        call.cancel()
        await scene.ledger.asked.wait()
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(0)
        scene.ledger.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert scene.entry.status is Status.ABORTED


async def test_a_task_cancelled_while_a_long_text_is_counted_records_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The prompt is counted before anything is sent; this is the count of what a cut stream brought.
    scene = Scene(stream(*message_events(words=["word " * 100])[:4]))
    counting = asyncio.Event()
    go_on = asyncio.Event()

    async def count_aside(count: Callable[[Any], list[int]], texts: Any) -> list[int]:
        counting.set()
        await go_on.wait()
        return count(texts)

    monkeypatch.setattr(asynchronous, "_COUNT_INLINE_CHARS", 200)
    monkeypatch.setattr(asyncio, "to_thread", count_aside)
    async with no_task_left():
        call = scene.begin(ask(stream=True))
        await counting.wait()
        call.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert scene.entry.usage is not None
    assert scene.entry.usage.output > 100


async def test_a_client_that_takes_nothing_holds_up_its_own_stream_only() -> None:
    events = message_events()
    scene = Scene(stream(*events))
    blocked = asyncio.Event()

    async def write_never(data: bytes) -> None:
        blocked.set()
        await asyncio.Event().wait()

    async with no_task_left():
        call = scene.begin(ask(stream=True))
        await asyncio.sleep(0)
        scene.client.write = write_never
        await blocked.wait()
        scene.client.gone.set()
        async with asyncio.timeout(5):
            await call
    assert scene.entry.status is Status.ABORTED
    assert scene.upstream.left_open == []


async def test_a_fault_of_our_own_leaves_no_connection_open_and_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(stream(*message_events(), Never()))

    async def fail(client: WaitingClient, data: bytes) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(WaitingClient, "write", fail)
    async with no_task_left():
        await scene.play(ask(stream=True))
    assert scene.upstream.left_open == []
    assert (scene.entry.status, scene.entry.basis) == (Status.CUT, CostBasis.ESTIMATED)


async def test_a_call_that_cannot_be_settled_is_recorded_and_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(entries, "share_components", fail)
    scene = Scene(whole(message()))
    reply = await scene.play(ask())
    assert (reply.status, json.loads(reply.body)["type"]) == (200, "message")
    assert (scene.entry.cost_nusd, scene.entry.basis) == (None, CostBasis.UNKNOWN)
    assert scene.entry.faults == ("settle",)


async def test_a_stream_whose_connection_lingers_is_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asynchronous, "_FINISH_S", 0.01)
    scene = Scene(stream(*message_events(), Never()))
    async with no_task_left(), asyncio.timeout(5):
        await scene.play(ask(stream=True))
    assert scene.entry.status is Status.OK
    assert scene.upstream.left_open == []


async def test_each_event_reaches_the_client_before_the_next_one_is_sent() -> None:
    events = message_events(words=["a ", "b ", "c "])
    gates = [After() for _ in events]
    steps: list[Any] = []
    for gate, event in zip(gates, events, strict=True):
        steps += [gate, event]
    scene = Scene(stream(*steps))
    async with no_task_left():
        call = scene.begin(ask(stream=True))
        for number, gate in enumerate(gates):
            # The provider is about to send this event: all before it must have arrived.
            async with asyncio.timeout(5):
                await gate.reached.wait()
            assert scene.client.received == b"".join(events[:number])
            gate.opened.set()
        reply = await call
    assert reply.body.endswith(events[-1])
