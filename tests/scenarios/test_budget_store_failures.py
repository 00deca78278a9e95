"""The budget store fails: by the setting no calls are made, or they are, and are counted afterwards, once."""

import asyncio
import json

from budget_scene import ANTHROPIC_FACE, BudgetScene, Face, both_faces, table
from bursar.domain.ledger import Status
from bursar.domain.reservations import Level
from scripted_world import After, no_task_left

BUDGETS = [table(limit_usd="1"), table("tenant:*", limit_turns=40)]


def scene_of(face: Face, *, admit: bool) -> BudgetScene:
    """A scene in which the time to try again does not come by itself."""
    scene = BudgetScene(face.answer(), budgets=BUDGETS, admit_unheld=admit)
    scene.clock.held = True
    return scene


@both_faces
async def test_by_default_nothing_is_sent_while_the_store_is_down(face: Face) -> None:
    scene = scene_of(face, admit=False)
    scene.purse.store.is_down = True
    async with no_task_left():
        reply = await scene.play(face.question())
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "storage.on_store_failure" in json.loads(reply.body)["error"]["message"]
        assert scene.upstream.requests == []
        assert (scene.entry.status, scene.entry.http_status) == (Status.REFUSED, 503)
        scene.purse.store.is_down = False
        await scene.purse.holdings.close()
    await scene.purse.check_at_rest()
    assert (await scene.play(face.question())).status == 200


@both_faces
async def test_what_was_held_unknown_to_us_is_released(face: Face) -> None:
    """The store holds it, and its answer is lost: so nothing is sent."""
    scene = scene_of(face, admit=False)
    scene.purse.store.times_out = True
    async with no_task_left():
        assert (await scene.play(face.question())).status == 503
        assert scene.upstream.requests == []
        scene.purse.store.times_out = False
        await scene.purse.holdings.close()
    assert "op-1" in scene.purse.store.held
    await scene.purse.check_at_rest()
    assert await scene.purse.level("organisation") == Level(0, 0)


@both_faces
async def test_a_call_admitted_while_the_store_is_down_is_counted_afterwards(face: Face) -> None:
    scene = scene_of(face, admit=True)
    store = scene.purse.store
    store.is_down = True
    async with no_task_left():
        reply = await scene.play(face.question())
        assert reply.status == 200
        assert "x-bursar-budget-remaining-usd" not in reply.headers
        assert scene.purse.holdings.kept == 1
        assert await scene.purse.level("organisation") == Level(0, 0)
        store.is_down = False
        await scene.purse.holdings.close()
    await scene.purse.check_at_rest()
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)


@both_faces
async def test_what_was_counted_unknown_to_us_counts_once(face: Face) -> None:
    scene = scene_of(face, admit=True)
    scene.purse.store.times_out = True
    async with no_task_left():
        assert (await scene.play(face.question())).status == 200
        scene.purse.store.times_out = False
        await scene.purse.holdings.close()
    await scene.purse.check_at_rest()
    assert scene.purse.store.steps == ["reserve", "settle", "settle"]
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)


@both_faces
async def test_a_store_that_fails_while_the_answer_comes_is_told_later(face: Face) -> None:
    gate = After()
    scene = BudgetScene(face.answer(before=gate), face.answer(), budgets=BUDGETS)
    scene.clock.held = True
    async with no_task_left():
        call = scene.begin(face.question())
        await gate.reached.wait()
        scene.purse.store.is_down = True
        gate.opened.set()
        assert (await call).status == 200
        assert (await scene.purse.level("organisation")).held > face.cost_nusd
        scene.purse.store.is_down = False
        await scene.purse.holdings.close()
    await scene.purse.check_at_rest()


async def test_the_store_is_told_as_soon_as_it_works_again() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS, admit_unheld=True)
    store = scene.purse.store
    store.is_down = True
    async with no_task_left():
        replies = await asyncio.gather(*[scene.play_beside(face.question()) for _ in range(8)])
        assert {reply.status for reply in replies} == {200}
        store.is_down = False
        await scene.purse.check_at_rest()
    assert await scene.purse.level("organisation") == Level(8 * face.cost_nusd, 0)
    assert scene.clock.slept


async def test_a_call_given_up_while_the_ledger_is_full_is_recorded_later() -> None:
    face, gate = ANTHROPIC_FACE, After()
    scene = BudgetScene(face.answer(before=gate), budgets=BUDGETS)

    async def fail(entry: object) -> None:
        raise RuntimeError("a bug")

    record = scene.ledger.record
    scene.ledger.record = fail
    call = scene.begin(face.question())
    await gate.reached.wait()
    gate.opened.set()
    await asyncio.wait([call])
    assert isinstance(call.exception(), RuntimeError)
    scene.ledger.record = record
    scene.ledger.full = True
    await asyncio.sleep(0.005)
    assert scene.purse.holdings.kept == 1
    scene.ledger.full = False
    await scene.purse.check_at_rest()
    assert len(scene.ledger.entries) == 1


async def test_a_store_that_stays_down_costs_a_short_wait_at_the_end() -> None:
    face = ANTHROPIC_FACE
    scene = scene_of(face, admit=True)
    scene.purse.store.is_down = True
    async with no_task_left():
        assert (await scene.play(face.question())).status == 200
        await scene.purse.holdings.close()
    assert scene.purse.holdings.kept == 1


async def test_a_store_that_forgot_what_it_held_counts_what_it_is_told() -> None:
    face, gate = ANTHROPIC_FACE, After()
    scene = BudgetScene(face.answer(before=gate), budgets=BUDGETS)
    call = scene.begin(face.question())
    await gate.reached.wait()
    scene.purse.store.forget()
    gate.opened.set()
    assert (await call).status == 200
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)
    await scene.purse.check_at_rest()
