"""What a call can take is held before it is sent, and what it took is counted afterwards."""

import json
from typing import Any

import pytest

from budget_scene import ANTHROPIC_FACE, BudgetScene, Face, both_faces, table
from bursar.domain.ledger import CostBasis, Status
from bursar.domain.money import usd_text
from bursar.domain.reservations import Level, Unit
from bursar.policy.budgets.worst_case import Caution
from scripted_world import After

USD = 10**9
ALL = [
    table(limit_usd="1"),
    table("tenant:*", limit_usd="2"),
    table("agent:*", "hour", limit_tokens=100_000),
    table("conversation:*", None, limit_turns=40),
]
HEADERS = {"x-bursar-tenant": "acme", "x-bursar-agent": "desk", "x-bursar-conversation": "c1"}


@both_faces
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_call_is_held_before_it_is_sent_and_counted_at_its_cost(face: Face, streaming: bool) -> None:
    gate = After()
    scene = BudgetScene(face.answer(streaming=streaming, before=gate), budgets=ALL)
    call = scene.begin(face.question(stream=streaming), HEADERS)
    await gate.reached.wait()
    purse = scene.purse
    for scope in ("organisation", "tenant:acme"):
        level = await purse.level(scope)
        assert level.settled == 0
        assert level.held > face.cost_nusd
    assert (await purse.level("agent:acme/desk", Unit.TOKENS)).held > 320
    assert await purse.level("conversation:acme/c1", Unit.TURNS) == Level(0, 1)
    gate.opened.set()
    assert (await call).status == 200
    assert scene.entry.cost_nusd == face.cost_nusd
    assert await purse.level("organisation") == Level(face.cost_nusd, 0)
    assert await purse.level("agent:acme/desk", Unit.TOKENS) == Level(320, 0)
    assert await purse.level("conversation:acme/c1", Unit.TURNS) == Level(1, 0)
    assert purse.store.steps == ["reserve", "settle"]
    await purse.check_at_rest()


@both_faces
async def test_the_client_is_told_what_is_left_of_its_tightest_budget(face: Face) -> None:
    scene = BudgetScene(face.answer(), budgets=ALL)
    for number in (1, 2):
        reply = await scene.play(face.question())
        assert reply.headers["x-bursar-budget-remaining-usd"] == usd_text(USD - number * face.cost_nusd)


@both_faces
async def test_a_streams_client_is_told_at_its_end(face: Face) -> None:
    scene = BudgetScene(face.answer(streaming=True), budgets=ALL)
    reply = await scene.play(face.question(stream=True))
    assert scene.client.head is not None
    assert "x-bursar-budget-remaining-usd" not in scene.client.head[1]
    told = json.loads(reply.body.split(b"\n\n")[0].removeprefix(b": bursar "))
    assert told["budget_remaining_usd"] == usd_text(USD - face.cost_nusd)


async def test_what_others_hold_is_not_left() -> None:
    face, gate = ANTHROPIC_FACE, After()
    scene = BudgetScene(face.answer(before=gate), face.answer(), budgets=[table(limit_usd="1")])
    waiting = scene.begin(face.question())
    await gate.reached.wait()
    held_nusd = (await scene.purse.level("organisation")).held
    reply = await scene.play_beside(face.question())
    left_nusd = USD - held_nusd - face.cost_nusd
    assert reply.headers["x-bursar-budget-remaining-usd"] == usd_text(left_nusd)
    gate.opened.set()
    await waiting
    await scene.purse.check_at_rest()


async def test_a_limit_that_active_conversations_have_passed_leaves_nothing() -> None:
    """Within the grace there is less than nothing left for a new conversation."""
    face = ANTHROPIC_FACE
    ladder = [{"at": 0.01, "actions": ["refuse_new"]}]
    scene = BudgetScene(face.answer(), budgets=[table(limit_usd="1", ladder=ladder, grace=0.5)])
    replies = [await scene.play(face.question(), HEADERS) for _ in range(12)]
    assert {reply.status for reply in replies} == {200}
    level = await scene.purse.level("organisation")
    assert level.settled > USD // 100
    assert replies[-1].headers["x-bursar-budget-remaining-usd"] == usd_text(0)


@pytest.mark.parametrize("usage", [{"input_tokens": 100_000, "output_tokens": 20}])
async def test_what_goes_beyond_what_was_held_is_counted_whole(usage: dict[str, int]) -> None:
    face = ANTHROPIC_FACE
    beyond = face.answer()
    body = json.dumps({**face.body, "usage": usage}).encode()
    scene = BudgetScene(type(beyond)(steps=[body]), face.answer(), budgets=[table(limit_usd="0.2")])
    assert (await scene.play(face.question())).status == 200
    # 100,000 tokens at 3 USD and 20 at 15 USD per million.
    assert await scene.purse.level("organisation") == Level(300_300_000, 0)
    refused = await scene.play(face.question())
    assert refused.status == 402
    assert json.loads(refused.body)["error"]["spent_usd"] == "0.300300000"


@both_faces
async def test_without_budgets_no_store_is_asked(face: Face) -> None:
    scene = BudgetScene(face.answer())
    reply = await scene.play(face.question())
    assert reply.status == 200
    assert scene.purse.store.steps == []
    assert "x-bursar-budget-remaining-usd" not in reply.headers


async def test_budgets_that_a_call_does_not_fall_under_limit_nothing() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=[table("tenant:other", limit_usd="0.000001")])
    reply = await scene.play(face.question(), HEADERS)
    assert reply.status == 200
    assert "x-bursar-budget-remaining-usd" not in reply.headers
    await scene.purse.check_at_rest()


UNPRICED: dict[str, Any] = {"model": "claude-unheard-of"}


async def test_a_model_without_a_price_is_refused_where_money_is_limited() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=[table(limit_usd="1")], admit_unpriced=True)
    reply = await scene.play(face.question(**UNPRICED))
    assert reply.status == 402
    error = json.loads(reply.body)["error"]
    assert (error["type"], error["scope"], error["needed_usd"]) == ("budget_exceeded", "organisation", None)
    assert "no known price" in error["message"]
    assert scene.upstream.requests == []
    assert scene.entry.status is Status.REFUSED
    await scene.purse.check_at_rest()


async def test_a_model_without_a_price_is_counted_at_the_stated_worst_case() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(
        face.answer(),
        budgets=[table(limit_usd="1")],
        admit_unpriced=True,
        caution=Caution(unpriced_nusd=600_000_000),
    )
    assert (await scene.play(face.question(**UNPRICED))).status == 200
    assert (scene.entry.cost_nusd, scene.entry.basis) == (None, CostBasis.UNKNOWN)
    assert await scene.purse.level("organisation") == Level(600_000_000, 0)
    await scene.purse.check_at_rest()
    assert (await scene.play(face.question(**UNPRICED))).status == 402


async def test_a_model_without_a_price_is_held_where_only_turns_are_limited() -> None:
    face = ANTHROPIC_FACE
    scene = BudgetScene(face.answer(), budgets=[table(limit_turns=1)], admit_unpriced=True)
    assert (await scene.play(face.question(**UNPRICED))).status == 200
    assert (await scene.play(face.question(**UNPRICED))).status == 402
