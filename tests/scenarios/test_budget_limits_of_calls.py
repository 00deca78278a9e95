"""A call that a limit is in the way of is not made, and its client is told which and why."""

import json
from typing import Any

from budget_scene import ANTHROPIC_FACE, BudgetScene, Face, both_faces, table
from bursar.domain.ledger import Status
from bursar.domain.money import usd_text
from bursar.domain.scopes import read_pattern
from bursar.effects import Reply
from bursar.settings.budgets import BudgetEntry
from scripted_world import After

MONEY_KEYS = {"scope", "window", "limit_usd", "spent_usd", "held_usd", "needed_usd", "resets_at"}


def error_of(reply: Reply, status: int) -> dict[str, Any]:
    """Return the error object of a refusal."""
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    error: dict[str, Any] = json.loads(reply.body)["error"]
    return error


def check_refused(scene: BudgetScene, status: int, sent: int = 0) -> None:
    """Check that the last call was not sent, and that the ledger says so."""
    assert len(scene.upstream.requests) == sent
    entry = scene.ledger.entries[-1]
    assert (entry.status, entry.http_status) == (Status.REFUSED, status)
    assert (entry.cost_nusd, entry.baseline_nusd, entry.attempts) == (0, 0, ())


@both_faces
async def test_over_a_limit_nothing_is_sent_and_the_client_is_told_in_its_dialect(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=[table(limit_usd="0.000001")])
    reply = await scene.play(face.question())
    error = error_of(reply, 402)
    assert reply.headers["x-should-retry"] == "false"
    assert "retry-after" not in reply.headers
    assert error["type"] == "budget_exceeded"
    assert error.keys() >= MONEY_KEYS
    # The day ends at midnight, UTC.
    assert (error["scope"], error["window"]) == ("organisation", "day")
    assert error["resets_at"] == "2025-11-25T00:00:00Z"
    assert (error["limit_usd"], error["spent_usd"], error["held_usd"]) == (
        "0.000001000",
        "0.000000000",
        "0.000000000",
    )
    assert json.loads(reply.body).get("type") == ("error" if face is ANTHROPIC_FACE else None)
    assert scene.entry.status is Status.REFUSED
    check_refused(scene, 402)
    await scene.purse.check_at_rest()


@both_faces
async def test_a_stream_over_a_limit_is_refused_before_it_begins(face: Face) -> None:
    scene = BudgetScene(face.answer(streaming=True), budgets=[table(limit_usd="0.000001")])
    reply = await scene.play(face.question(stream=True))
    assert error_of(reply, 402)["type"] == "budget_exceeded"
    assert scene.client.head is None
    check_refused(scene, 402)


@both_faces
async def test_a_refusal_says_what_is_spent_held_and_needed(face: Face) -> None:
    gate = After()
    scene = BudgetScene(face.answer(), face.answer(before=gate), budgets=[table(limit_usd="0.01")])
    await scene.play(face.question())
    waiting = scene.begin(face.question())
    await gate.reached.wait()
    level = await scene.purse.level("organisation")
    assert level.settled == face.cost_nusd
    error = error_of(await scene.play_beside(face.question(max_tokens=1_000)), 402)
    assert error["spent_usd"] == usd_text(face.cost_nusd)
    assert error["held_usd"] == usd_text(level.held)
    # No less than 300 tokens of prompt and 1,000 of output.
    needed_nusd = round(float(error["needed_usd"]) * 10**9)
    assert needed_nusd > {"anthropic": 15_900_000, "openai": 10_750_000}[face.name]
    gate.opened.set()
    assert (await waiting).status == 200
    await scene.purse.check_at_rest()


async def test_of_several_limits_the_tightest_is_named() -> None:
    face = ANTHROPIC_FACE
    budgets = [
        table(limit_usd="0.003"),
        table("user:*", limit_usd="0.000002"),
        table("tenant:*", limit_usd="0.001"),
        table("agent:*", limit_usd="90"),
    ]
    scene = BudgetScene(face.answer(), budgets=budgets)
    reply = await scene.play(face.question(), {"x-bursar-user": "ann"})
    assert error_of(reply, 402)["scope"] == "user:default/ann"


@both_faces
async def test_tokens_are_limited(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=[table("agent:*", "hour", limit_tokens=1_000)])
    assert (await scene.play(face.question())).status == 200
    error = error_of(await scene.play(face.question()), 402)
    assert (error["limit_tokens"], error["spent_tokens"], error["held_tokens"]) == (1_000, 320, 0)
    assert error["needed_tokens"] > 680
    check_refused(scene, 402, sent=1)
    await scene.purse.check_at_rest()


@both_faces
async def test_turns_are_limited_and_only_answered_calls_are_turns(face: Face) -> None:
    failed = face.answer()
    failed = type(failed)(400, failed.headers, [b'{"error": {}}'])
    scene = BudgetScene(failed, face.answer(), budgets=[table("tenant:*", limit_turns=1)])
    assert (await scene.play(face.question())).status == 400
    assert (await scene.play(face.question())).status == 200
    error = error_of(await scene.play(face.question()), 402)
    assert (error["scope"], error["limit_turns"], error["spent_turns"]) == ("tenant:default", 1, 1)
    check_refused(scene, 402, sent=2)
    await scene.purse.check_at_rest()


@both_faces
async def test_a_conversation_at_its_cap_is_told_that_a_person_can_raise_it(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=[table("conversation:*", None, limit_turns=1)])
    one, other = ({"x-bursar-conversation": name} for name in ("c1", "c2"))
    assert (await scene.play(face.question(), one)).status == 200
    reply = await scene.play(face.question(), one)
    error = error_of(reply, 402)
    assert reply.headers["x-should-retry"] == "false"
    assert (error["scope"], error["window"]) == ("conversation:default/c1", "total")
    assert error["resets_at"] is None
    assert "until a person raises the cap" in error["message"]
    # Another one goes on.
    assert (await scene.play(face.question(), other)).status == 200
    # Once it was raised, this one does.
    scene.engine.budgets = type(scene.engine.budgets)(
        table("conversation:*", None, limit_turns=2).budgets(),
    )
    assert (await scene.play(face.question(), one)).status == 200
    await scene.purse.check_at_rest()


@both_faces
async def test_requests_of_a_minute_are_limited_until_it_is_over(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=[table(window=None, requests_per_minute=1)])
    scene.clock.time_s += 18.5
    assert (await scene.play(face.question())).status == 200
    reply = await scene.play(face.question())
    assert error_of(reply, 429)["type"] == "throttled"
    assert reply.headers["retry-after"] == "42"
    assert "x-should-retry" not in reply.headers
    check_refused(scene, 429, sent=1)
    scene.clock.time_s += 42
    assert (await scene.play(face.question())).status == 200
    await scene.purse.check_at_rest()


@both_faces
async def test_concurrent_calls_are_limited_until_one_has_ended(face: Face) -> None:
    gate = After()
    scene = BudgetScene(
        face.answer(before=gate), face.answer(), budgets=[table(window=None, concurrent_calls=1)]
    )
    waiting = scene.begin(face.question())
    await gate.reached.wait()
    reply = await scene.play_beside(face.question())
    assert error_of(reply, 429)["type"] == "throttled"
    assert reply.headers["retry-after"] == "1"
    check_refused(scene, 429, sent=1)
    gate.opened.set()
    assert (await waiting).status == 200
    assert (await scene.play_beside(face.question())).status == 200
    await scene.purse.check_at_rest()


async def test_a_ladders_throttle_slows_calls_down() -> None:
    face = ANTHROPIC_FACE
    budget = table(limit_usd="1", ladder=[{"at": 0.001, "actions": ["throttle"]}])
    scene = BudgetScene(face.answer(), budgets=[budget])
    statuses = [(await scene.play(face.question())).status for _ in range(3)]
    assert statuses == [200, 429, 429]
    scene.clock.time_s += 60
    assert (await scene.play(face.question())).status == 200
    await scene.purse.check_at_rest()


@both_faces
async def test_what_an_operator_stopped_is_not_called(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=[table(limit_usd="1")])
    scene.engine.stops = frozenset({read_pattern("tenant:acme")})
    reply = await scene.play(face.question(), {"x-bursar-tenant": "acme"})
    error = error_of(reply, 403)
    assert (error["type"], error["scope"]) == ("stopped", "tenant:acme")
    assert reply.headers["x-should-retry"] == "false"
    check_refused(scene, 403)
    assert scene.purse.store.steps == []
    assert (await scene.play(face.question(), {"x-bursar-tenant": "other"})).status == 200
    scene.engine.stops = frozenset()
    assert (await scene.play(face.question(), {"x-bursar-tenant": "acme"})).status == 200


async def test_a_window_that_is_over_limits_nothing_any_more() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=[table("tenant:*", "hour", limit_turns=1)])
    assert (await scene.play(face.question())).status == 200
    assert (await scene.play(face.question())).status == 402
    scene.clock.time_s += 3_600
    assert (await scene.play(face.question())).status == 200
    await scene.purse.check_at_rest()


async def test_a_refused_call_leaves_nothing_for_the_store_to_end() -> None:
    face, budget = ANTHROPIC_FACE, table(limit_usd="0.000001")
    scene = BudgetScene(face.answer(), budgets=[budget])
    await scene.play(face.question())
    await scene.purse.check_at_rest()
    assert set(scene.purse.store.steps) == {"reserve"}


async def test_next_to_a_limit_the_nearer_bound_may_still_fit() -> None:
    """Another process has spent meanwhile: what this one knew is too old."""
    face = ANTHROPIC_FACE
    budget: BudgetEntry = table(limit_usd="0.2")
    scene = BudgetScene(face.answer(), budgets=[budget])
    text = "unforgettable " * 100
    asked = face.question(messages=[{"role": "user", "content": text}])
    # The first answer tells that the limit is far.
    await scene.play(asked)
    counter = next(demand.counter for demand in scene.purse.store.demands if demand.limit is not None)
    await scene.purse.store.correct(counter, 194_000_000, scene.clock.now())
    scene.purse.store.steps.clear()
    assert (await scene.play(asked)).status == 200
    assert scene.purse.store.steps == ["reserve", "reserve", "settle"]


async def test_that_cheaper_models_are_to_be_preferred_is_recorded_with_the_call() -> None:
    face = ANTHROPIC_FACE
    ladder = [{"at": 0.5, "actions": ["prefer_cheaper"]}]
    budget: BudgetEntry = table("tenant:*", limit_usd="0.2", ladder=ladder)
    scene = BudgetScene(face.answer(), budgets=[budget])
    await scene.play(face.question())
    counter = next(demand.counter for demand in scene.purse.store.demands if demand.limit is not None)
    await scene.purse.store.correct(counter, 110_000_000, scene.clock.now())
    assert (await scene.play(face.question())).status == 200
    decisions = [entry.decisions for entry in scene.ledger.entries]
    assert decisions == [(), ("prefer_cheaper:tenant:default",)]
