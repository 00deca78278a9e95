"""What a process left behind ends once its time is up: at the ledger's word, or else as all that was held."""

import asyncio

import msgspec
import pytest

from budget_scene import ANTHROPIC_FACE, BudgetScene, Face, both_faces, table
from bursar.domain.ledger import CostBasis, Status
from bursar.domain.reservations import Level, Reservation
from bursar.drivers.holding import OVERDUE_S, Holdings
from bursar.errors import StoreFailed
from bursar.exchange.left_behind import PRESUMED, amounts_of
from scripted_world import After, check_sums, no_task_left, until

BUDGETS = [
    table(limit_usd="1"),
    table("agent:*", "hour", limit_tokens=100_000),
    table("conversation:*", None, limit_turns=40),
]
DEAD = "op-dead"


async def leave_behind(scene: BudgetScene, face: Face) -> Reservation:
    """Hold what another process held for a call like this, and let its time pass."""
    await scene.play(face.question())
    [held] = scene.purse.store.held.values()
    left = msgspec.structs.replace(held, reservation_id=DEAD)
    await scene.purse.store.reserve(left, scene.clock.now())
    scene.clock.time_s += left.ttl_s + OVERDUE_S
    return left


@both_faces
async def test_what_was_left_behind_is_recorded_as_all_that_was_held(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    await leave_behind(scene, face)
    before = await scene.purse.level("organisation")
    assert before.held > 0
    async with no_task_left():
        assert await scene.purse.holdings.sweep() == 1
    _, entry = scene.ledger.entries
    assert (entry.operation_id, entry.status, entry.faults) == (DEAD, Status.ABORTED, (PRESUMED,))
    assert entry.basis is CostBasis.ESTIMATED
    assert entry.cost_nusd == before.held
    assert entry.attribution == scene.ledger.entries[0].attribution
    assert await scene.purse.level("organisation") == Level(face.cost_nusd + before.held, 0)
    await scene.purse.check_at_rest()
    # It is swept once only.
    assert await scene.purse.holdings.sweep() == 0
    assert len(scene.ledger.entries) == 2
    await scene.purse.check_at_rest()


@both_faces
async def test_what_the_ledger_has_is_settled_at_its_cost(face: Face) -> None:
    """The process died between its entry and the store."""
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    await leave_behind(scene, face)
    recorded = msgspec.structs.replace(scene.entry, operation_id=DEAD)
    await scene.ledger.record(recorded)
    assert await scene.purse.holdings.sweep() == 1
    assert [entry.operation_id for entry in scene.ledger.entries] == ["op-1", DEAD]
    assert await scene.purse.level("organisation") == Level(2 * face.cost_nusd, 0)
    await scene.purse.check_at_rest()


@both_faces
async def test_what_a_living_process_settles_later_corrects_what_was_presumed(face: Face) -> None:
    """It lived, and could not reach the store."""
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    left = await leave_behind(scene, face)
    assert await scene.purse.holdings.sweep() == 1
    real = msgspec.structs.replace(scene.ledger.entries[0], operation_id=DEAD)
    await scene.ledger.record(real)
    await scene.purse.store.settle(left, amounts_of(real, left), scene.clock.now())
    assert scene.ledger.entries[1] == real
    assert await scene.purse.level("organisation") == Level(2 * face.cost_nusd, 0)
    await scene.purse.check_at_rest()


@both_faces
async def test_what_was_recorded_as_presumed_and_not_ended_is_presumed_again(face: Face) -> None:
    """Whoever swept died between the ledger and the store; the call's own process lives."""
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    left = await leave_behind(scene, face)
    await scene.purse.find_end(left)
    assert await scene.purse.holdings.sweep() == 1
    await scene.purse.check_at_rest()
    real = msgspec.structs.replace(scene.ledger.entries[0], operation_id=DEAD)
    await scene.ledger.record(real)
    await scene.purse.store.settle(left, amounts_of(real, left), scene.clock.now())
    await scene.purse.check_at_rest()


@pytest.mark.parametrize("is_alive", [True, False])
async def test_after_an_outage_whoever_lives_can_renew_before_anything_is_swept(*, is_alive: bool) -> None:
    scene = BudgetScene(ANTHROPIC_FACE.answer(), budgets=BUDGETS)
    left = await leave_behind(scene, ANTHROPIC_FACE)
    purse, clock = scene.purse, scene.clock
    purse.store.is_down = True
    with pytest.raises(StoreFailed):
        await purse.holdings.sweep()
    # It comes back right before the next sweep, and the other process renews right before the one after next.
    purse.store.is_down = False
    for _ in range(2):
        clock.time_s += 15
        assert await purse.holdings.sweep() == 0
    clock.time_s += 4
    if is_alive:
        await purse.store.renew([DEAD], left.ttl_s, clock.now())
    clock.time_s += 11
    assert await purse.holdings.sweep() == int(not is_alive)
    assert len(scene.ledger.entries) == 2 - int(is_alive)


async def test_a_process_that_begins_sweeps_nothing_before_others_could_renew() -> None:
    scene = BudgetScene(ANTHROPIC_FACE.answer(), budgets=BUDGETS)
    await leave_behind(scene, ANTHROPIC_FACE)
    fresh = Holdings(scene.purse.store, scene.clock, scene.purse.find_end)
    assert await fresh.sweep() == 0
    scene.clock.time_s += 35
    assert await fresh.sweep() == 1


async def test_of_what_nobody_noted_no_entry_is_written_but_it_counts() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    await scene.play(face.question())
    [held] = scene.purse.store.held.values()
    left = msgspec.structs.replace(held, reservation_id=DEAD, note="{")
    await scene.purse.store.reserve(left, scene.clock.now())
    held_nusd = (await scene.purse.level("organisation")).held
    scene.clock.time_s += left.ttl_s + OVERDUE_S
    assert await scene.purse.holdings.sweep() == 1
    assert len(scene.ledger.entries) == 1
    assert await scene.purse.level("organisation") == Level(face.cost_nusd + held_nusd, 0)


async def test_what_the_ledger_could_not_take_is_recorded_at_the_next_sweep() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    await leave_behind(scene, face)
    scene.ledger.full = True
    with pytest.raises(StoreFailed):
        await scene.purse.holdings.sweep()
    scene.ledger.full = False
    assert await scene.purse.holdings.sweep() == 1
    assert len(scene.ledger.entries) == 2
    await scene.purse.check_at_rest()


async def test_a_call_of_an_unpriced_model_that_was_left_behind_has_no_known_cost() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=[table(limit_turns=40)], admit_unpriced=True)
    await scene.play(face.question(model="claude-unheard-of"))
    [held] = scene.purse.store.held.values()
    await scene.purse.store.reserve(msgspec.structs.replace(held, reservation_id=DEAD), scene.clock.now())
    scene.clock.time_s += held.ttl_s + OVERDUE_S
    assert await scene.purse.holdings.sweep() == 1
    entry = scene.ledger.entries[1]
    assert (entry.cost_nusd, entry.cost_max_nusd, entry.basis) == (None, None, CostBasis.UNKNOWN)
    await scene.purse.check_at_rest()


@both_faces
async def test_a_call_under_way_that_was_not_renewed_in_time_ends_by_itself(face: Face) -> None:
    """It is not left behind, and is recorded at what it really took."""
    gate = After()
    scene = BudgetScene(face.answer(before=gate), face.answer(), budgets=BUDGETS)
    call = scene.begin(face.question())
    await gate.reached.wait()
    scene.clock.time_s += 121 + OVERDUE_S
    held = await scene.purse.level("organisation")
    assert await scene.purse.holdings.sweep() == 0
    assert scene.ledger.entries == []
    assert await scene.purse.level("organisation") == held
    gate.opened.set()
    assert (await call).status == 200
    check_sums(scene.entry)
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)
    await scene.purse.check_at_rest()


@both_faces
async def test_what_a_long_stream_holds_is_renewed(face: Face) -> None:
    gate = After()
    first, *rest = face.events
    answer = face.answer(streaming=True)
    answer.steps = [first, gate, *rest]
    scene = BudgetScene(answer, budgets=BUDGETS)
    call = scene.begin(face.question(stream=True))
    await gate.reached.wait()
    began_s, held = scene.clock.now(), await scene.purse.level("organisation")
    renewing = asyncio.create_task(scene.purse.holdings.keep_renewing())
    await until(lambda: scene.clock.now() > began_s + 600)
    renewing.cancel()
    assert await scene.purse.holdings.sweep() == 0
    assert await scene.purse.level("organisation") == held
    gate.opened.set()
    assert (await call).status == 200
    assert await scene.purse.level("organisation") == Level(face.cost_nusd, 0)
    await scene.purse.check_at_rest()


async def test_sweeping_goes_on_by_itself_and_outlives_a_failing_ledger() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=BUDGETS)
    await leave_behind(scene, face)
    scene.ledger.full = True
    sweeping = asyncio.create_task(scene.purse.holdings.keep_sweeping())
    began_s = scene.clock.now()
    await until(lambda: scene.clock.now() > began_s + 60)
    scene.ledger.full = False
    await until(lambda: len(scene.ledger.entries) == 2)
    sweeping.cancel()
    await scene.purse.check_at_rest()
