"""A summary that a call buys is paid from the same budgets, and held before the call itself is."""

import asyncio
import json
from typing import Any

import pytest

from budget_scene import Purse, table
from bursar.domain.ledger import Component, Entry, Status
from bursar.domain.reservations import Level, Reservation, Unit
from bursar.errors import StoreFailed
from bursar.exchange.history import SUMMARY_FAILED
from bursar.policy.history.options import HistoryOptions
from bursar.ports import ContentKey
from bursar.settings.budgets import BudgetEntry
from bursar.wire.dialect import Dialect
from history_scene import SUMMARISERS, SUMMARY, HistoryScene, check_valid, discussion, page, summary_answer
from scripted_world import After, Answer, check_sums, fails, whole
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

# 300 tokens in and 20 out.
SUMMARY_NUSD = {"anthropic.messages": 400_000, "openai.chat": 57_000}


def scene_of(
    dialect: Dialect, *budgets: BudgetEntry, answer: Answer | None = None, **history: Any
) -> tuple[HistoryScene, Purse]:
    """A scene in which a long history is summarised."""
    options = HistoryOptions(
        tokens=4_000,
        recent_tokens=1_000,
        summary_tokens_max=100,
        summary_model=SUMMARISERS[dialect.name],
        **history,
    )
    scene = HistoryScene(options, answer or summary_answer(dialect))
    return scene, Purse(scene, *budgets)


@both
async def test_a_summary_is_held_before_it_is_sent_and_the_call_extends(dialect: Dialect) -> None:
    gate = After()
    scene, purse = scene_of(
        dialect, table(limit_usd="1"), answer=Answer(before=gate, steps=summary_answer(dialect).steps)
    )
    call = scene.begin(discussion(dialect, 40))
    await gate.reached.wait()
    summary_held = await purse.level("organisation")
    assert summary_held.settled == 0
    assert summary_held.held > SUMMARY_NUSD[dialect.name]
    gate.opened.set()
    assert (await call).status == 200
    check_valid(dialect, scene)
    assert SUMMARY in str(scene.provider.messages())
    assert purse.store.steps == ["reserve", "extend", "settle"]
    entry = scene.entry
    cost_nusd = SUMMARY_NUSD[dialect.name] + scene.provider.costs_nusd[0]
    assert entry.cost_nusd == cost_nusd
    assert await purse.level("organisation") == Level(cost_nusd, 0)
    await purse.check_at_rest()


@both
async def test_what_the_summary_took_stays_held_beside_what_the_call_may_take(dialect: Dialect) -> None:
    # So long an answer may cost more than the summary was held at.
    body = discussion(dialect, 40, max_tokens=4_000)
    scene, purse = scene_of(dialect, table(limit_usd="1"))
    await scene.play(body)
    alone, alone_purse = scene_of(dialect, table(limit_usd="1"))
    # The same prompt again: its summary is kept, so that only the call itself is held.
    object.__setattr__(alone.world, "content", scene.content)
    await alone.play(body)
    assert alone_purse.store.steps == ["reserve", "settle"]
    [together], [own] = purse.store.held.values(), alone_purse.store.held.values()
    assert {demand.counter.unit for demand in (*together.demands, *own.demands)} == {Unit.NUSD}
    assert together.amounts == tuple(amount + SUMMARY_NUSD[dialect.name] for amount in own.amounts)


@both
async def test_where_only_the_summary_does_not_fit_the_call_goes_without(dialect: Dialect) -> None:
    # Some 50,000 bytes are to be summarised; the call has some 15,000 tokens, as we count.
    scene, purse = scene_of(dialect, table(limit_tokens=30_000))
    assert (await scene.play(discussion(dialect, 40))).status == 200
    assert scene.provider.asked == []
    assert page(1) in str(scene.provider.messages())
    check_sums(scene.entry)
    assert SUMMARY_FAILED not in scene.entry.faults
    await purse.check_at_rest()


@both
async def test_a_call_refused_after_its_summary_was_paid_is_recorded_at_that_cost(dialect: Dialect) -> None:
    scene, purse = scene_of(dialect, table(limit_usd="0.08"))
    reply = await scene.play(discussion(dialect, 40, max_tokens=16_000))
    assert reply.status == 402
    assert (len(scene.provider.asked), scene.provider.bodies) == (1, [])
    error = json.loads(reply.body)["error"]
    # What the call holds for its summary is part of what it needs, and nobody else's.
    assert (error["spent_usd"], error["held_usd"]) == ("0.000000000", "0.000000000")
    assert error["needed_usd"] > error["limit_usd"]
    entry = scene.entry
    assert (entry.status, entry.http_status) == (Status.REFUSED, 402)
    assert [attempt.model for attempt in entry.attempts] == [SUMMARISERS[dialect.name]]
    assert entry.cost_nusd == SUMMARY_NUSD[dialect.name]
    assert set(entry.components) == {Component.ROUTING}
    assert await purse.level("organisation") == Level(SUMMARY_NUSD[dialect.name], 0)
    await purse.check_at_rest()


FAILURES = {
    "refused": whole({"error": {}}, 529),
    "lost": fails(sent=True, timed_out=True),
    "unreachable": fails(sent=False),
    "garbage": whole(b"<html>"),
}


@both
@pytest.mark.parametrize("name", FAILURES)
async def test_a_summary_that_fails_is_counted_at_what_it_took(name: str, dialect: Dialect) -> None:
    scene, purse = scene_of(dialect, table(limit_usd="1"), answer=FAILURES[name])
    assert (await scene.play(discussion(dialect, 40))).status == 200
    assert len(scene.entry.attempts) == 2
    await purse.check_at_rest()


@both
async def test_the_store_may_fail_between_a_summary_and_its_call(dialect: Dialect) -> None:
    gate = After()
    scene, purse = scene_of(
        dialect, table(limit_usd="1"), answer=Answer(before=gate, steps=summary_answer(dialect).steps)
    )
    scene.clock.held = True
    call = scene.begin(discussion(dialect, 40))
    await gate.reached.wait()
    purse.store.is_down = True
    gate.opened.set()
    assert (await call).status == 503
    assert scene.provider.bodies == []
    assert scene.entry.cost_nusd == SUMMARY_NUSD[dialect.name]
    purse.store.is_down = False
    await purse.holdings.close()
    await purse.check_at_rest()


async def test_a_call_whose_summary_could_not_be_held_is_not_held_under_the_same_name_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, purse = scene_of(ANTHROPIC, table(limit_usd="1"))
    reserve, failures = purse.store.reserve, 1

    async def fail_once(reservation: Reservation, now_s: float) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreFailed("the store is down")
        return await reserve(reservation, now_s)

    monkeypatch.setattr(purse.store, "reserve", fail_once)
    assert (await scene.play(discussion(ANTHROPIC, 40))).status == 503
    assert (scene.provider.asked, scene.provider.bodies) == ([], [])
    await purse.holdings.close()
    await purse.check_at_rest()


async def test_a_call_cancelled_after_its_summary_holds_no_more_and_does_not_go_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, purse = scene_of(ANTHROPIC, table(limit_usd="1"))
    keeping, keep = asyncio.Event(), scene.content.put

    async def keep_never(key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        if not scene.provider.asked:
            return await keep(key, content, ttl_s, now_s)
        keeping.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(scene.content, "put", keep_never)
    call = scene.begin(discussion(ANTHROPIC, 40))
    await keeping.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (len(scene.provider.asked), scene.provider.bodies) == (1, [])
    assert (scene.entry.status, scene.entry.cost_nusd) == (Status.ABORTED, 400_000)
    assert purse.store.steps == ["reserve", "settle"]
    await purse.check_at_rest()


async def test_a_bug_after_a_refused_extension_counts_what_was_held_until_then() -> None:
    scene, purse = scene_of(ANTHROPIC, table(limit_usd="0.08"))
    record, failures = scene.ledger.record, [RuntimeError("a bug")]

    async def fail_once(entry: Entry) -> None:
        if failures:
            raise failures.pop()
        await record(entry)

    scene.ledger.record = fail_once
    with pytest.raises(RuntimeError):
        await scene.play(discussion(ANTHROPIC, 40, max_tokens=16_000))
    await purse.check_at_rest()
    [held] = purse.store.held.values()
    [entry] = scene.ledger.entries
    assert entry.cost_nusd == held.amounts[0]
