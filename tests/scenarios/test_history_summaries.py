"""Summaries that a rewriting buys: attempts of the call, in its cost, and off the technique's share."""

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from bursar.domain.ledger import Component, CostBasis, Entry, Status, Technique
from bursar.drivers import asynchronous
from bursar.exchange import history
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.summary import SUMMARY_INSTRUCTIONS
from bursar.wire.dialect import Dialect
from history_scene import (
    SUMMARISERS,
    SUMMARY,
    HistoryScene,
    canonical,
    check_valid,
    discussion,
    page,
    summary_answer,
)
from provider_answers import message
from scripted_world import (
    After,
    Answer,
    Never,
    Scene,
    ScriptedUpstream,
    check_sums,
    fails,
    no_task_left,
    until,
    whole,
)
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)


def options(dialect: Dialect = ANTHROPIC, **changes: Any) -> HistoryOptions:
    said: dict[str, Any] = {
        "tokens": 4_000,
        "recent_tokens": 1_000,
        "summary_tokens_max": 100,
        "summary_model": SUMMARISERS[dialect.name],
    }
    return HistoryOptions(**{**said, **changes})


def asked(scene: HistoryScene, number: int = 0) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(scene.provider.asked[number].body)
    return body


def last(scene: HistoryScene) -> Entry:
    entry = scene.ledger.entries[-1]
    check_sums(entry)
    return entry


@both
async def test_a_summary_is_an_attempt_of_the_call_that_buys_it(dialect: Dialect) -> None:
    scene = HistoryScene(options(dialect), summary_answer(dialect))
    await scene.play(discussion(dialect, 40))
    check_valid(dialect, scene)
    assert SUMMARY in str(scene.provider.messages())
    assert page(1) not in str(scene.provider.messages())
    entry = last(scene)
    summary, own = entry.attempts
    assert (summary.model, summary.status, summary.basis) == (
        SUMMARISERS[dialect.name],
        Status.OK,
        CostBasis.MEASURED,
    )
    # 300 tokens in and 20 out.
    assert summary.cost_nusd == {"anthropic.messages": 400_000, "openai.chat": 57_000}[dialect.name]
    assert own.cost_nusd == scene.provider.costs_nusd[0]
    routing = entry.components[Component.ROUTING]
    assert (routing.tokens, routing.cost_nusd) == ({"input": 300, "output": 20}, summary.cost_nusd)


@both
async def test_the_request_for_a_summary_is_one_of_its_dialect(dialect: Dialect) -> None:
    scene = HistoryScene(options(dialect), summary_answer(dialect))
    await scene.play(discussion(dialect, 40, stream=True))
    body = asked(scene)
    assert "tools" not in body
    assert "stream" not in body
    assert body["model"] == SUMMARISERS[dialect.name]
    if dialect is ANTHROPIC:
        assert (body["system"], body["max_tokens"]) == (SUMMARY_INSTRUCTIONS, 100)
    else:
        assert body["messages"][0] == {"role": "system", "content": SUMMARY_INSTRUCTIONS}
        assert body["max_completion_tokens"] == 100
    said = body["messages"][-1]["content"]
    assert "Find the rule on bicycles." in said
    assert page(1) in said
    request = scene.provider.asked[0]
    assert request.headers == {"x-api-key": "k"}


@both
async def test_one_summary_serves_all_turns_up_to_the_next_step(dialect: Dialect) -> None:
    scene = HistoryScene(options(dialect), summary_answer(dialect))
    for turn in range(30, 60):
        scene.clock.time_s += 20.0 if turn % 10 else 7_200.0
        await scene.play(discussion(dialect, turn))
    check_valid(dialect, scene)
    assert 1 <= len(scene.provider.asked) <= 4
    sent = [canonical(scene.provider.messages(n)) for n in range(len(scene.provider.bodies))]
    breaks = sum(after[: len(before)] != before for before, after in pairwise(sent))
    assert breaks <= len(scene.provider.asked)
    for number, entry in enumerate(scene.ledger.entries):
        check_sums(entry)
        assert entry.attempts[-1].cost_nusd == scene.provider.costs_nusd[number]


async def test_a_later_summary_holds_what_the_earlier_one_said() -> None:
    scene = HistoryScene(
        options(), summary_answer(ANTHROPIC), summary_answer(ANTHROPIC, "They looked at more pages.")
    )
    await scene.play(discussion(ANTHROPIC, 30))
    scene.clock.time_s += 7_200.0
    await scene.play(discussion(ANTHROPIC, 60))
    check_valid(ANTHROPIC, scene)
    assert len(scene.provider.asked) == 2
    said = asked(scene, 1)["messages"][0]["content"]
    assert SUMMARY in said
    assert page(1) not in said
    assert "They looked at more pages." in str(scene.provider.messages())
    assert SUMMARY not in str(scene.provider.messages())


async def test_after_a_restart_the_same_summary_is_sent_and_none_is_bought() -> None:
    before = HistoryScene(options(), summary_answer(ANTHROPIC))
    await before.play(discussion(ANTHROPIC, 40))
    after = HistoryScene(options(), content=before.content)
    await after.play(discussion(ANTHROPIC, 40))
    assert canonical(after.provider.messages()) == canonical(before.provider.messages())
    assert len(last(after).attempts) == 1


FAILURES: Mapping[str, Answer] = {
    "refused": whole({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529),
    "cut off": summary_answer(ANTHROPIC, stop_reason="max_tokens"),
    "empty": summary_answer(ANTHROPIC, " \n"),
    "a tool call": whole(
        message() | {"content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}]}
    ),
    "garbage": whole(b"<html>"),
    "unreachable": fails(sent=False),
    "lost": fails(sent=True, timed_out=True),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_a_summary_the_call_goes_out_as_it_came(failure: str) -> None:
    scene = HistoryScene(options(), FAILURES[failure])
    await scene.play(discussion(ANTHROPIC, 40))
    assert page(1) in str(scene.provider.messages())
    entry = last(scene)
    assert (entry.status, entry.http_status) == (Status.OK, 200)
    assert history.SUMMARY_FAILED in entry.faults
    first, own = entry.attempts
    assert own.cost_nusd == scene.provider.costs_nusd[0]
    nothing = failure in {"refused", "unreachable"}
    assert (first.cost_nusd == 0) == nothing
    assert entry.basis is (CostBasis.ESTIMATED if failure in {"garbage", "lost"} else CostBasis.MEASURED)


async def test_without_a_summary_messages_are_dropped_where_the_prompt_would_not_fit() -> None:
    scene = HistoryScene(options(limit=9_000), FAILURES["cut off"])
    await scene.play(discussion(ANTHROPIC, 40))
    check_valid(ANTHROPIC, scene)
    assert page(1) not in str(scene.provider.messages())
    assert "Find the rule on bicycles." in str(scene.provider.messages())
    assert history.SUMMARY_FAILED in last(scene).faults


async def test_after_a_failure_no_summary_is_tried_for_a_while() -> None:
    scene = HistoryScene(options(), FAILURES["refused"])
    for turn in range(40, 44):
        await scene.play(discussion(ANTHROPIC, turn))
    assert len(scene.provider.asked) == 1
    scene.clock.time_s += 7_200.0
    await scene.play(discussion(ANTHROPIC, 60))
    assert len(scene.provider.asked) == 2


@pytest.mark.parametrize("model", ["gpt-4o-mini", "never-heard-of"])
async def test_a_model_that_the_provider_has_not_or_has_no_price_summarises_nothing(model: str) -> None:
    scene = HistoryScene(options(summary_model=model, limit=9_000))
    await scene.play(discussion(ANTHROPIC, 40))
    check_valid(ANTHROPIC, scene)
    assert "left out here" in str(scene.provider.messages())
    assert len(last(scene).attempts) == 1


async def test_turns_that_come_meanwhile_go_on_as_they_are() -> None:
    gate = After()
    slow = Answer(before=gate, steps=summary_answer(ANTHROPIC).steps)
    scene = HistoryScene(options(), slow)
    async with no_task_left():
        call = scene.begin(discussion(ANTHROPIC, 40))
        await gate.reached.wait()
        await scene.play(discussion(ANTHROPIC, 41))
        assert page(1) in str(scene.provider.messages())
        gate.opened.set()
        await call
    assert SUMMARY in str(scene.provider.messages())
    assert len(scene.provider.asked) == 1
    await scene.play(discussion(ANTHROPIC, 42))
    assert SUMMARY in str(scene.provider.messages())
    assert len(scene.provider.asked) == 1


async def test_turns_that_come_meanwhile_and_would_not_fit_drop_for_themselves() -> None:
    gate = After()
    scene = HistoryScene(
        options(limit=9_000),
        Answer(before=gate, steps=summary_answer(ANTHROPIC).steps),
        summary_answer(ANTHROPIC),
    )
    async with no_task_left():
        call = scene.begin(discussion(ANTHROPIC, 40))
        await gate.reached.wait()
        await scene.play(discussion(ANTHROPIC, 41))
        assert "left out here" in str(scene.provider.messages())
        gate.opened.set()
        await call
    await scene.play(discussion(ANTHROPIC, 42))
    assert SUMMARY in str(scene.provider.messages())
    assert "left out here" not in str(scene.provider.messages())
    check_valid(ANTHROPIC, scene)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves_during_the_summary_ends_the_call(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "_WATCH_AFTER_S", 0.001)
    hanging = Answer(steps=[b'{"id"', Never()]) if begun else Answer(before=Never())
    scene = HistoryScene(options(), hanging)
    async with no_task_left():
        call = scene.begin(discussion(ANTHROPIC, 40))
        await until(lambda: scene.provider.asked)
        scene.client.gone.set()
        async with asyncio.timeout(5):
            assert (await call).status == 499
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.ABORTED, 499, CostBasis.ESTIMATED)
    [attempt] = entry.attempts
    assert (attempt.model, attempt.status) == ("claude-haiku-4-5", Status.ABORTED)
    assert entry.cost_nusd is not None
    assert entry.cost_nusd > 0
    assert entry.shares == {Technique.HISTORY: -entry.cost_nusd}
    assert set(entry.components) == {Component.ROUTING}
    assert scene.provider.bodies == []
    # The thread is not held up by what was left.
    scene.clock.time_s += 7_200.0
    await play_all(scene, 41)
    assert len(scene.ledger.entries) == 2


async def play_all(scene: Scene, results: int) -> None:
    async with asyncio.timeout(5):
        task = scene.begin(discussion(ANTHROPIC, results))
        await asyncio.sleep(0.05)
        scene.client.gone.set()
        await task


async def test_what_a_summary_cost_comes_off_the_share_of_the_call_that_bought_it() -> None:
    """The summary costs more than its turn saves; later turns earn it back."""
    scene = HistoryScene(options(), summary_answer(ANTHROPIC))
    for turn in range(40, 44):
        await scene.play(discussion(ANTHROPIC, turn))
    entry = scene.ledger.entries[0]
    own = entry.attempts[1]
    assert entry.baseline_nusd is not None
    assert own.cost_nusd is not None
    assert sum(entry.shares.values()) == entry.baseline_nusd - own.cost_nusd - 400_000


async def test_a_call_that_its_provider_refuses_has_paid_for_the_summary_all_the_same() -> None:
    scene = HistoryScene(options(), summary_answer(ANTHROPIC))
    await scene.play(discussion(ANTHROPIC, 40, temperature=7))
    entry = last(scene)
    assert entry.http_status == 400
    assert (entry.cost_nusd, entry.baseline_nusd) == (400_000, 0)
    assert entry.shares == {Technique.HISTORY: -400_000}


async def test_where_the_calls_own_cost_is_unknown_so_is_the_sum() -> None:
    scene = HistoryScene(options(limit=5_000), admit_unpriced=True)
    answers = ScriptedUpstream(summary_answer(ANTHROPIC), whole(message()))
    object.__setattr__(scene.world, "upstream", answers)
    await scene.play(discussion(ANTHROPIC, 40, model="claude-unheard-of"))
    entry = last(scene)
    assert [attempt.cost_nusd for attempt in entry.attempts] == [400_000, None]
    assert (entry.cost_nusd, entry.baseline_nusd, entry.basis) == (None, None, CostBasis.UNKNOWN)
