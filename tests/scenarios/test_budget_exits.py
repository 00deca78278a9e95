"""However a call ends, nothing stays held, and what is counted is what the ledger says."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from budget_scene import ANTHROPIC_FACE, BudgetScene, Face, Purse, both_faces, table
from bursar.domain.ledger import CostBasis, Status
from bursar.domain.reservations import Level
from bursar.drivers import asynchronous
from bursar.errors import UpstreamFailed
from bursar.exchange import entries, holding, life, planning
from bursar.exchange.left_behind import PRESUMED
from bursar.policy.history.options import HistoryOptions
from history_scene import HistoryScene, discussion, summary_answer
from scripted_world import (
    Answer,
    Never,
    Scene,
    check_sums,
    fails,
    no_task_left,
    stream,
    until,
    whole,
)
from wire_bodies import ANTHROPIC

BROKEN_OFF = UpstreamFailed("the provider broke the connection off", sent=True)

BUDGETS = [
    table(limit_usd="1"),
    table("tenant:*", "month", limit_usd="2"),
    table("agent:*", "hour", limit_tokens=100_000),
    table("conversation:*", None, limit_turns=40),
    table(window=None, concurrent_calls=5, requests_per_minute=100),
]

ANSWERED = "answered"

WHOLE: dict[str, Sequence[Answer | str]] = {
    "answered": [ANSWERED],
    "refused by the provider": [whole({"error": {}}, 400)],
    "answered at the second try": [whole({"error": {}}, 429, retry_after="1"), ANSWERED],
    "failing": [whole({"error": {}}, 500)],
    "overloaded": [whole({"error": {}}, 529)],
    "never sent": [fails(sent=False)],
    "lost": [fails(sent=True)],
    "timed out": [fails(sent=True, timed_out=True)],
    "garbage": [whole(b"<html>")],
    "cut": [Answer(steps=[b'{"id"', BROKEN_OFF])],
}

# What of an answer's events arrives.
STREAMED: dict[str, Callable[[Sequence[bytes]], Answer]] = {
    "answered": lambda events: stream(*events),
    "cut before anything": lambda events: stream(*events[:0], BROKEN_OFF),
    "cut before its usage": lambda events: stream(*events[:2], BROKEN_OFF),
    "cut before its end": lambda events: stream(*events[:-1], BROKEN_OFF),
    "ended without an end": lambda events: stream(*events[:-1]),
    "garbage": lambda events: stream(b"data: <html>\n\n", *events[:0], BROKEN_OFF),
}


@both_faces
@pytest.mark.parametrize("name", WHOLE)
async def test_a_call_however_it_ends_leaves_nothing_held(name: str, face: Face) -> None:
    answers = [face.answer() if isinstance(answer, str) else answer for answer in WHOLE[name]]
    scene = BudgetScene(*answers, budgets=BUDGETS)
    async with no_task_left():
        await scene.play(face.question())
    assert scene.entry.operation_id in scene.purse.store.held
    await scene.purse.check_at_rest()


@both_faces
@pytest.mark.parametrize("name", STREAMED)
async def test_a_stream_however_it_ends_leaves_nothing_held(name: str, face: Face) -> None:
    scene = BudgetScene(STREAMED[name](face.events), budgets=BUDGETS)
    async with no_task_left():
        await scene.play(face.question(stream=True))
    assert scene.entry.operation_id in scene.purse.store.held
    await scene.purse.check_at_rest()


# How far a call has come when its client leaves.
LEAVING: dict[str, Callable[[Scene], Any]] = {
    "waiting": lambda scene: scene.upstream.requests,
    "amid an answer": lambda scene: scene.upstream.responses,
    "amid a stream": lambda scene: scene.client.received,
    "between attempts": lambda scene: scene.clock.slept,
}


def hanging(name: str, face: Face) -> Answer:
    """What the provider does while a client leaves."""
    match name:
        case "waiting":
            return Answer(before=Never())
        case "amid an answer":
            return Answer(steps=[b'{"id"', Never()])
        case "amid a stream":
            return stream(*face.events[:2], Never())
        case _:
            return whole({"error": {}}, 529)


@both_faces
@pytest.mark.parametrize("name", LEAVING)
async def test_a_client_that_leaves_leaves_nothing_held(
    name: str, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "_WATCH_AFTER_S", 0.001)
    scene = BudgetScene(hanging(name, face), face.answer(), budgets=BUDGETS)
    scene.clock.held = True
    async with no_task_left():
        call = scene.begin(face.question(stream=name == "amid a stream"))
        await until(lambda: LEAVING[name](scene))
        scene.client.gone.set()
        async with asyncio.timeout(5):
            await call
    assert scene.entry.status is Status.ABORTED
    await scene.purse.check_at_rest()


def bought() -> tuple[HistoryScene, dict[str, Any], Purse]:
    """A call that buys a summary and extends what it holds."""
    options = HistoryOptions(
        tokens=4_000, recent_tokens=1_000, summary_tokens_max=100, summary_model="claude-haiku-4-5"
    )
    scene = HistoryScene(options, summary_answer(ANTHROPIC))
    return scene, discussion(ANTHROPIC, 40), Purse(scene, *BUDGETS)


def of_face(face: Face, *answers: Answer, **fields: Any) -> tuple[Scene, dict[str, Any], Purse]:
    scene = BudgetScene(*answers, budgets=BUDGETS)
    return scene, face.question(**fields), scene.purse


CANCELLED: dict[str, Callable[[], tuple[Scene, dict[str, Any], Purse]]] = {
    "whole": lambda: of_face(ANTHROPIC_FACE, ANTHROPIC_FACE.answer()),
    "stream": lambda: of_face(ANTHROPIC_FACE, ANTHROPIC_FACE.answer(streaming=True), stream=True),
    "retried": lambda: of_face(ANTHROPIC_FACE, whole({"error": {}}, 529), ANTHROPIC_FACE.answer()),
    "refused by the provider": lambda: of_face(ANTHROPIC_FACE, whole({"error": {}}, 400)),
    "summary": bought,
}


def sent_by(scene: Scene) -> int:
    """Return how many requests went upstream."""
    if isinstance(scene, HistoryScene):
        return len(scene.provider.asked) + len(scene.provider.bodies)
    return len(scene.upstream.requests)


@pytest.mark.parametrize("name", CANCELLED)
async def test_a_task_cancelled_at_any_await_leaves_nothing_held(name: str) -> None:
    cancelled = 0
    for turns in range(80):
        scene, body, purse = CANCELLED[name]()
        call = scene.begin(body)
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.done():
            break
        cancelled += 1
        call.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await call
        await purse.check_at_rest()
        recorded = sum(len(entry.attempts) for entry in scene.ledger.entries)
        assert recorded == sent_by(scene)
    else:
        pytest.fail("the call never came to its end")
    # At least twice within each step of the store, and within each answer.
    assert cancelled >= 6


async def test_a_call_cancelled_while_it_extends_does_not_go_out() -> None:
    scene, body, purse = bought()
    call = scene.begin(body)
    await purse.store.extending.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (len(scene.provider.asked), scene.provider.bodies) == (1, [])
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ABORTED, 499, 400_000)
    await purse.check_at_rest()


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


async def test_a_bug_in_making_the_answer_counts_all_that_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "share_components", fail)
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    assert (await scene.play(face.question())).status == 200
    assert scene.entry.basis is CostBasis.UNKNOWN
    level = await scene.purse.level("organisation")
    assert level.settled > face.cost_nusd
    assert (scene.entry.cost_nusd, scene.entry.cost_max_nusd) == (None, level.settled)
    await scene.purse.check_at_rest()


async def test_a_bug_in_writing_the_entry_is_recorded_as_presumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "write_entry", fail)
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    with pytest.raises(RuntimeError):
        await scene.play(face.question())
    await scene.purse.check_at_rest()
    [entry] = scene.ledger.entries
    assert entry.faults == (PRESUMED,)
    assert entry.cost_nusd is not None
    assert entry.cost_nusd > face.cost_nusd


async def test_a_bug_in_planning_counts_the_summary_that_was_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_write", fail)
    scene, body, purse = bought()
    with pytest.raises(RuntimeError):
        await scene.play(body)
    assert (len(scene.provider.asked), scene.provider.bodies) == (1, [])
    await purse.check_at_rest()
    [entry] = scene.ledger.entries
    assert entry.faults == (PRESUMED,)
    assert entry.cost_nusd is not None
    assert entry.cost_nusd > 400_000


async def test_a_bug_before_anything_is_sent_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    monkeypatch.setattr(holding, "room_left", fail)
    with pytest.raises(RuntimeError):
        await scene.play(face.question())
    assert (scene.upstream.requests, scene.ledger.entries) == ([], [])
    assert scene.purse.store.held
    await scene.purse.check_at_rest()


async def test_a_bug_in_settling_counts_what_the_ledger_has(monkeypatch: pytest.MonkeyPatch) -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    with monkeypatch.context() as patched:
        patched.setattr(holding.Hold, "settle", fail)
        with pytest.raises(RuntimeError):
            await scene.play(face.question())
    await scene.purse.check_at_rest()
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)


async def test_a_bug_in_the_ledger_is_recorded_as_presumed() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    record, failures = scene.ledger.record, [RuntimeError("a bug")]

    async def fail_once(entry: Any) -> None:
        if failures:
            raise failures.pop()
        await record(entry)

    scene.ledger.record = fail_once
    with pytest.raises(RuntimeError):
        await scene.play(face.question())
    await scene.purse.check_at_rest()
    assert [entry.faults for entry in scene.ledger.entries] == [(PRESUMED,)]


@both_faces
async def test_a_full_ledger_leaves_nothing_held(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    scene.ledger.full = True
    assert (await scene.play(face.question())).status == 200
    assert scene.ledger.entries == []
    await scene.purse.check_at_rest([entry for entry, _ in scene.observer.told])
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)


async def test_a_second_attempt_is_held_once() -> None:
    """What failed before it cost nothing, so what is held is enough for the next."""
    face = ANTHROPIC_FACE
    scene = BudgetScene(*[whole({"error": {}}, 529)] * 2, face.answer(), budgets=BUDGETS)
    reply = await scene.play(face.question())
    assert (reply.status, len(scene.entry.attempts)) == (200, 3)
    check_sums(scene.entry)
    assert scene.purse.store.steps == ["reserve", "settle"]
    assert json.loads(reply.body) == face.body
