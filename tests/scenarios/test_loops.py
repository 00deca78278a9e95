"""Agents that do the same over and over: warned, stopped, and let go on by a person."""

from dataclasses import replace
from typing import Any

import msgspec
import orjson
import pytest

from bursar.domain.ledger import Status
from bursar.effects import Reply
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.alerts.findings import find_loop
from bursar.policy.loops import LoopOptions
from bursar.view.loop_watch import Stop
from loop_messages import DIALECTS, Talk
from provider_answers import completion, message
from scripted_world import Scene, whole

NAMED = {"x-bursar-tenant": "acme", "x-bursar-conversation": "c1"}
both_dialects = pytest.mark.parametrize("dialect", DIALECTS)


class LoopScene(Scene):
    """A scene in which one conversation goes on and on."""

    def __init__(self, dialect: str, **options: Any) -> None:
        answer = message() if dialect.startswith("anthropic") else completion()
        policies = PolicyBook(AgentPolicy(loops=LoopOptions(**options)))
        super().__init__(whole(answer), policies=policies)
        self.dialect = dialect

    async def next(self, talk: Talk, headers: Any = NAMED) -> Reply:
        """Make the conversation's next call."""
        return await self.play(talk.body(self.dialect), headers)


def error_of(reply: Reply) -> dict[str, Any]:
    return orjson.loads(reply.body)["error"]


async def test_a_command_to_be_pasted_runs_nothing_that_a_callers_names_hold() -> None:
    scene = LoopScene("anthropic.messages")
    named = {"x-bursar-tenant": "a b", "x-bursar-conversation": "c; $(reboot)"}
    talk = Talk()
    replies = [await scene.next(talk.use("find", {}, "nothing"), named) for _ in range(4)]
    told = error_of(replies[-1])["message"]
    assert told.endswith("bursar conversation resume 'c; $(reboot)' --tenant 'a b'")


async def looped(scene: LoopScene, talk: Talk, times: int) -> list[Reply]:
    """Have the agent make the same call so many times; the last replies are about its repeats."""
    replies: list[Reply] = []
    for _ in range(times):
        talk.use("find_flight", {"from": "FRA", "to": "MUC"}, "no flights")
        replies.append(await scene.next(talk))
    return replies


@both_dialects
async def test_a_repeated_call_is_warned_and_then_stopped(dialect: str) -> None:
    scene = LoopScene(dialect)
    replies = await looped(scene, Talk(), 4)
    assert [reply.status for reply in replies] == [200, 200, 200, 402]
    assert [reply.headers.get("x-bursar-warning") for reply in replies] == [None, None, "loop", None]
    assert replies[3].headers["x-should-retry"] == "false"
    assert error_of(replies[3])["type"] == "conversation_stopped"
    assert "bursar conversation resume c1 --tenant acme" in error_of(replies[3])["message"]
    entries = scene.ledger.entries
    assert [entry.faults for entry in entries] == [(), (), ("loop",), ("conversation_stopped",)]
    assert (entries[3].status, entries[3].http_status) == (Status.REFUSED, 402)
    assert len(scene.upstream.requests) == 3


@both_dialects
async def test_a_stopped_conversation_stays_stopped_whatever_it_sends(dialect: str) -> None:
    scene = LoopScene(dialect)
    await looped(scene, Talk(), 4)
    assert (await scene.next(Talk("Something else."))).status == 402
    assert (await scene.next(Talk(), {**NAMED, "x-bursar-conversation": "c2"})).status == 200
    assert (await scene.next(Talk(), {**NAMED, "x-bursar-tenant": "other"})).status == 200


@both_dialects
async def test_a_conversation_that_is_let_go_on_is_judged_from_there_on(dialect: str) -> None:
    scene, talk = LoopScene(dialect), Talk()
    await looped(scene, talk, 4)
    (stop,) = scene.engine.loops.unsaved
    scene.engine.loops.unsaved.clear()
    scene.engine.loops.replace_stops([msgspec.structs.replace(stop, is_resumed=True)])
    assert (await scene.next(talk)).status == 200
    replies = await looped(scene, talk, 4)
    assert [reply.status for reply in replies] == [200, 200, 200, 402]


async def test_after_a_restart_a_stop_and_its_pardon_still_hold() -> None:
    before, talk = LoopScene("anthropic.messages"), Talk()
    await looped(before, talk, 4)
    (stop,) = before.engine.loops.unsaved
    stopped = LoopScene("anthropic.messages")
    stopped.engine.loops.replace_stops([stop])
    assert (await stopped.next(Talk("Something else."))).status == 402
    pardoned = LoopScene("anthropic.messages")
    pardoned.engine.loops.replace_stops([msgspec.structs.replace(stop, is_resumed=True)])
    assert (await pardoned.next(talk)).status == 200
    forgotten = LoopScene("anthropic.messages")
    assert (await forgotten.next(talk)).status == 402


async def test_a_conversation_without_a_name_is_stopped_too() -> None:
    scene, talk = LoopScene("anthropic.messages"), Talk()
    for _ in range(3):
        talk.use("find", {}, "none")
        assert (await scene.next(talk, {})).status == 200
    assert (await scene.next(talk.use("find", {}, "none"), {})).status == 402


async def test_mode_warn_never_stops_and_mode_off_says_nothing() -> None:
    scene = LoopScene("anthropic.messages", mode="warn")
    replies = await looped(scene, Talk(), 6)
    assert [reply.status for reply in replies] == [200] * 6
    assert [reply.headers.get("x-bursar-warning") for reply in replies] == [None, None, *["loop"] * 4]
    scene = LoopScene("anthropic.messages", mode="off")
    replies = await looped(scene, Talk(), 6)
    assert all("x-bursar-warning" not in reply.headers for reply in replies)


async def test_switched_off_what_was_stopped_goes_on() -> None:
    scene, talk = LoopScene("anthropic.messages"), Talk()
    await looped(scene, talk, 4)
    policies = PolicyBook(AgentPolicy(loops=LoopOptions(mode="off")))
    scene.engine.options = replace(scene.engine.options, policies=policies)
    assert (await scene.next(talk)).status == 200


async def test_a_watch_that_fails_keeps_no_call_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, talk = (
        LoopScene("anthropic.messages"),
        Talk().use("a", {}, "x").use("b", {}, "y").use("c", {}, "z"),
    )
    monkeypatch.setattr("bursar.exchange.loops.read_acts", None)
    assert (await scene.next(talk)).status == 200
    assert scene.ledger.entries[-1].faults == ("loop_watch",)


async def test_stops_that_were_not_stored_yet_survive_a_look_at_the_store() -> None:
    scene, talk = LoopScene("anthropic.messages"), Talk()
    await looped(scene, talk, 4)
    scene.engine.loops.replace_stops([Stop("acme", "c9", b"m", "it looped", 0.0)])
    assert (await scene.next(talk)).status == 402
    assert (await scene.next(Talk(), {**NAMED, "x-bursar-conversation": "c9"})).status == 402


async def test_who_is_to_be_told_learns_of_a_stop_and_of_no_word_that_was_said() -> None:
    scene = LoopScene("anthropic.messages", notify=("oncall",))
    await looped(scene, Talk("My card is 4111."), 4)
    (stop,) = scene.engine.loops.unsaved
    finding = find_loop(stop)
    assert finding.notify == ("oncall",)
    told = finding.message.title + finding.message.body
    assert "it called find_flight with the same arguments and got the same result, 4 times in a row" in told
    assert not any(word in told for word in ("4111", "FRA", "MUC", "no flights"))
