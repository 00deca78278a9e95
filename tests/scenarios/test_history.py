"""Histories on their way through: rewritten in rare steps, and the same bytes in between."""

import json
from itertools import pairwise
from typing import Any

import pytest

from bursar.domain.ledger import Technique
from bursar.exchange import history
from bursar.exchange.rewriting import handle_of
from bursar.policy.history.options import HistoryOptions
from bursar.ports import ContentKey, ContentKind
from bursar.wire.dialect import Dialect
from history_scene import HistoryScene, canonical, check_valid, page, talk
from scripted_world import check_sums
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

MASKED = HistoryOptions(tokens=6_000, recent_tokens=2_000)
TURNS = 60


async def play_turns(scene: HistoryScene, dialect: Dialect, turns: range) -> None:
    """Play turns of one conversation; before every tenth the cache has lapsed."""
    for turn in turns:
        scene.clock.time_s += 20.0 if turn % 10 else 7_200.0
        await scene.play(talk(dialect, turn))
    for entry in scene.ledger.entries:
        check_sums(entry)


def breaks(scene: HistoryScene) -> int:
    """Return how many requests do not begin as the one before them."""
    sent = [canonical(scene.provider.messages(n)) for n in range(len(scene.provider.bodies))]
    return sum(after[: len(before)] != before for before, after in pairwise(sent))


@both
async def test_a_long_conversation_is_rewritten_in_rare_steps_and_stays_the_same_in_between(
    dialect: Dialect,
) -> None:
    scene = HistoryScene(MASKED)
    await play_turns(scene, dialect, range(1, TURNS))
    check_valid(dialect, scene)
    assert 1 <= breaks(scene) <= TURNS // 10
    assert len(scene.provider.bodies[-1]) < len(json.dumps(talk(dialect, TURNS - 1))) / 2
    for entry in scene.ledger.entries:
        assert entry.faults == ()
    assert sum(entry.shares.get(Technique.HISTORY, 0) for entry in scene.ledger.entries) > 0
    assert [entry.cost_nusd for entry in scene.ledger.entries] == scene.provider.costs_nusd


@both
async def test_the_first_message_and_the_latest_results_stay(dialect: Dialect) -> None:
    scene = HistoryScene(MASKED)
    await play_turns(scene, dialect, range(30, 32))
    body = json.dumps(scene.provider.messages())
    assert "Find the rule on bicycles." in body
    assert page(0) not in body
    assert page(30) in body


@both
async def test_a_restart_sends_the_same_bytes(dialect: Dialect) -> None:
    before = HistoryScene(MASKED)
    await play_turns(before, dialect, range(1, 40))
    after = HistoryScene(MASKED, content=before.content)
    await after.play(talk(dialect, 39))
    assert canonical(after.provider.messages()) == canonical(before.provider.messages())
    assert page(0) not in str(after.provider.messages())
    assert after.entry.faults == ()


@both
async def test_a_memo_that_is_lost_is_a_marked_miss(dialect: Dialect) -> None:
    before = HistoryScene(MASKED)
    await play_turns(before, dialect, range(1, 40))
    after = HistoryScene(MASKED)
    await after.play(talk(dialect, 39))
    assert after.entry.faults == (history.MEMO_LOST,)
    check_valid(dialect, after)
    await after.play(talk(dialect, 40))
    assert after.ledger.entries[1].faults == ()


async def test_a_conversation_that_begins_here_has_lost_nothing() -> None:
    scene = HistoryScene(MASKED)
    await play_turns(scene, ANTHROPIC, range(1, 40))
    assert {entry.faults for entry in scene.ledger.entries} == {()}


async def test_another_tenant_finds_nothing_of_it() -> None:
    scene = HistoryScene(MASKED)
    await play_turns(scene, ANTHROPIC, range(1, 40))
    other = HistoryScene(MASKED, content=scene.content)
    await other.play(talk(ANTHROPIC, 39), {"x-bursar-tenant": "other"})
    assert other.entry.faults == (history.MEMO_LOST,)


async def test_a_masked_result_can_be_had_by_its_handle_as_it_came() -> None:
    scene = HistoryScene(MASKED)
    body = talk(ANTHROPIC, 30)
    came = json.dumps({"rows": [{"flight": f"HAT{n}", "seats": n} for n in range(60)]}, indent=2)
    body["messages"][2]["content"][0]["content"] = came
    await scene.play(body)
    sent = str(scene.provider.messages()[2])
    handle = handle_of("default", came)
    assert f"GET /v1/bursar/results/{handle}" in sent
    key = ContentKey("default", ContentKind.RESULT, bytes.fromhex(handle))
    assert await scene.content.get(key, scene.clock.now()) == came.encode()


async def test_a_masked_result_stays_for_as_long_as_the_conversation_goes_on() -> None:
    scene = HistoryScene(MASKED)
    bodies = [talk(ANTHROPIC, number) for number in range(30, 36)]
    came = bodies[0]["messages"][2]["content"][0]["content"]
    handle = handle_of("default", came)
    key = ContentKey("default", ContentKind.RESULT, bytes.fromhex(handle))
    for body in bodies:
        await scene.play(body)
        assert handle in str(scene.provider.messages()[2])
        scene.clock.time_s += 10 * 3600
        assert await scene.content.get(key, scene.clock.now()) == came.encode()


async def test_a_result_that_cannot_be_kept_is_masked_without_a_handle_also_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = HistoryScene(MASKED)
    keep = scene.content.put

    async def refuse(key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        return key.kind is not ContentKind.RESULT and await keep(key, content, ttl_s, now_s)

    monkeypatch.setattr(scene.content, "put", refuse)
    await scene.play(talk(ANTHROPIC, 30))
    assert "no longer shown" in str(scene.provider.messages())
    assert "GET /v1/bursar" not in str(scene.provider.messages())
    monkeypatch.undo()
    after = HistoryScene(MASKED, content=scene.content)
    await after.play(talk(ANTHROPIC, 30))
    assert canonical(after.provider.messages()) == canonical(scene.provider.messages())


async def test_an_edited_history_gets_its_own_bytes() -> None:
    scene = HistoryScene(MASKED)
    await play_turns(scene, ANTHROPIC, range(1, 40))
    edited = talk(ANTHROPIC, 39)
    edited["messages"][4]["content"][0]["content"] = "another result " * 100
    edited["messages"][-1]["content"][0]["content"] = "the last result"
    await scene.play(edited)
    check_valid(ANTHROPIC, scene)
    assert "the last result" in str(scene.provider.messages())
    check_sums(scene.ledger.entries[-1])


async def test_what_is_pinned_stays() -> None:
    scene = HistoryScene(HistoryOptions(tokens=6_000, recent_tokens=2_000, pinned=("page 3:",)))
    await play_turns(scene, ANTHROPIC, range(1, 40))
    body = str(scene.provider.messages())
    assert page(3) in body
    assert page(2) not in body
    assert page(4) not in body


@pytest.mark.parametrize("mode", ["observe", "passthrough"])
async def test_bytes_stay_as_they_came(mode: str) -> None:
    scene = HistoryScene(HistoryOptions(tokens=6_000, summary_model="claude-haiku-4-5"), mode=mode)
    for turn in range(1, 40):
        body = json.dumps(talk(ANTHROPIC, turn)).encode()
        scene.clock.time_s += 20.0 if turn % 10 else 7_200.0
        await scene.play(body)
        assert scene.provider.bodies[-1] == body
    assert scene.provider.asked == []
    saved = sum(entry.would_save.get(Technique.HISTORY, 0) for entry in scene.ledger.entries)
    assert (saved > 0) == (mode == "observe")
    for entry in scene.ledger.entries:
        check_sums(entry)


@both
async def test_a_prompt_never_exceeds_its_models_window(dialect: Dialect) -> None:
    scene = HistoryScene(HistoryOptions(limit=1_000_000), window_tokens=6_000)
    for turn in range(1, 120):
        reply = await scene.play(talk(dialect, turn))
        assert reply.status == 200
        scene.clock.time_s += 20.0
    check_valid(dialect, scene)
    assert breaks(scene) < 40


async def test_what_could_not_have_gone_out_as_it_came_is_compared_with_nothing() -> None:
    scene = HistoryScene(HistoryOptions(limit=1_000_000), window_tokens=6_000)
    await scene.play(talk(ANTHROPIC, 10))
    await scene.play(talk(ANTHROPIC, 60))
    short, long = scene.ledger.entries
    assert short.baseline_nusd is not None
    assert (long.baseline_nusd, dict(long.shares)) == (None, {})
    assert long.cost_nusd is not None
    check_sums(long)


async def test_a_limit_that_nothing_reaches_is_named_and_the_call_goes_out() -> None:
    scene = HistoryScene(HistoryOptions(limit=300, recent_tokens=100))
    body = talk(ANTHROPIC, 1, words=600)
    await scene.play(body)
    assert history.TOO_LONG in scene.entry.faults
    assert page(0, 600) in str(scene.provider.messages())


async def test_where_no_price_is_known_only_the_limit_counts() -> None:
    unpriced: dict[str, Any] = {"admit_unpriced": True}
    scene = HistoryScene(HistoryOptions(tokens=2_000, limit=12_000), **unpriced)
    for turn in (20, 60):
        await scene.play(talk(ANTHROPIC, turn, model="claude-unheard-of"))
    free, bounded = (len(json.loads(body)["messages"]) for body in scene.provider.bodies)
    assert (free, bounded) == (41, 121)
    assert page(1) in str(scene.provider.messages(0))
    assert page(1) not in str(scene.provider.messages(1))


async def test_if_rewriting_fails_the_call_goes_out_with_its_whole_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(history, "rewrite", fail)
    scene = HistoryScene(MASKED)
    await scene.play(talk(ANTHROPIC, 30))
    assert "history" in scene.entry.faults
    assert page(0) in str(scene.provider.messages())


async def test_a_step_stands_on_shortened_results() -> None:
    scene = HistoryScene(MASKED)
    plain = HistoryScene(MASKED, results="off")
    body = talk(ANTHROPIC, 30)
    rows = json.dumps([{"flight": f"HAT{n}", "seats": n} for n in range(20)], indent=2)
    body["messages"][-1]["content"][0]["content"] = rows
    await scene.play(body)
    await plain.play(body)
    assert rows not in str(scene.provider.messages()[-1]["content"][0]["content"])
    assert plain.provider.messages()[-1]["content"][0]["content"] == rows
