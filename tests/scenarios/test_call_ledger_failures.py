"""The ledger's disk is full: what is paid for goes out and is written later, new calls go by the setting."""

import asyncio

import pytest

from asgi_client import post
from bursar.adapters.retained import RetainedLedger
from gateway_scene import GatewayScene
from provider_answers import message, message_events
from scripted_world import After, Answer, ListLedger, no_task_left, stream, until, whole
from scripted_world import ask as question


class FullDiskScene(GatewayScene):
    """A gateway whose ledger keeps what its disk has no room for."""

    def __init__(self, *answers: Answer, admit: bool = False) -> None:
        super().__init__(*answers, admit=admit)
        self.disk = ListLedger()
        self.clock.held = True
        self.retained = RetainedLedger(self.disk, self.clock)
        self.health.store_is_well = lambda: self.retained.is_well
        self.health.store_has_room = lambda: self.retained.has_room
        object.__setattr__(self.world, "ledger", self.retained)

    @property
    def recorded(self) -> list[str]:
        return [entry.operation_id for entry in self.disk.entries]


async def test_calls_under_way_are_answered_and_their_entries_written_later() -> None:
    gate = After()
    events = message_events()
    scene = FullDiskScene(Answer(steps=[gate, b"<html>"]), stream(*events[:3], gate, *events[3:]))
    async with no_task_left():
        calls = [
            asyncio.create_task(post(scene.app, "/v1/messages", question())),
            asyncio.create_task(post(scene.app, "/v1/messages", question(stream=True))),
        ]
        await gate.reached.wait()
        scene.disk.full = True
        gate.opened.set()
        broken, streamed = await asyncio.gather(*calls)
        assert broken.status == 502  # Its body was garbage; it is recorded all the same.
        assert streamed.body.endswith(events[-1])
        assert scene.recorded == []
        assert scene.retained.kept == 2
        assert [durable for _, durable in scene.observer.told] == [False, False]
        scene.disk.full = False
        await scene.retained.close()
    assert sorted(scene.recorded) == ["op-1", "op-2"]


async def test_new_calls_are_refused_in_the_dialects_form_until_the_disk_has_room() -> None:
    scene = FullDiskScene(whole(message()))
    scene.clock.held = False
    scene.disk.full = True
    assert (await post(scene.app, "/v1/messages", question())).status == 200
    refused = await post(scene.app, "/v1/messages", question())
    assert refused.status == 503
    assert refused.json["type"] == "error"
    assert refused.json["error"]["type"] == "api_error"
    assert len(scene.upstream.requests) == 1
    scene.disk.full = False
    await until(lambda: scene.retained.is_well)
    assert (await post(scene.app, "/v1/messages", question())).status == 200
    assert scene.recorded == ["op-1", "op-3"]


async def test_new_calls_are_served_where_the_operator_admits_them() -> None:
    scene = FullDiskScene(whole(message()), admit=True)
    scene.disk.full = True
    for _ in range(3):
        assert (await post(scene.app, "/v1/messages", question())).status == 200
    assert scene.recorded == []
    scene.disk.full = False
    await scene.retained.close()
    assert scene.recorded == ["op-1", "op-2", "op-3"]


async def test_even_admitted_calls_are_refused_once_no_entry_can_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bursar.adapters.retained._KEPT_MAX", 2)
    scene = FullDiskScene(whole(message()), admit=True)
    scene.disk.full = True
    statuses = [(await post(scene.app, "/v1/messages", question())).status for _ in range(3)]
    assert statuses == [200, 200, 503]
    await scene.retained.close()
