"""The bill before and after each technique, in the order in which they act."""

from collections.abc import Generator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bursar.domain.ledger import ACTING_ORDER, Technique
from bursar.domain.report import Tally
from bursar.exchange import attempts
from bursar.exchange.planning import Plan, make_plan
from bursar.policy.agent import AgentPolicy, OutputPolicy, PolicyBook
from bursar.policy.history.options import HistoryOptions
from bursar.replay.impact import impact
from bursar.wire.output import OutputLimits
from history_scene import HistoryScene, talk
from ledger_entries import entry
from wire_bodies import ANTHROPIC

# 1,000 as sent: 100 answered from the cache, 200 less by shorter results, 50 more by a summary.
SHARES = {
    Technique.PREFIX_CACHE: 400,
    Technique.RESPONSE_CACHE: 100,
    Technique.HISTORY: -50,
    Technique.TOOL_RESULTS: 200,
}


def test_each_step_begins_where_the_one_before_it_ended() -> None:
    total = Tally()
    total.add(entry(cost_nusd=350, baseline_nusd=1_000, shares=SHARES))
    assert [(step.technique, step.before_nusd, step.after_nusd) for step in impact(total, watched=False)] == [
        (Technique.RESPONSE_CACHE, 1_000, 900),
        (Technique.TOOL_RESULTS, 900, 700),
        (Technique.HISTORY, 700, 750),
        (Technique.PREFIX_CACHE, 750, 350),
    ]


def test_what_was_only_watched_leads_from_the_bill_to_what_it_would_have_been() -> None:
    total = Tally()
    total.add(entry(cost_nusd=1_000, baseline_nusd=1_000, shares={}, would_save=SHARES))
    steps = impact(total, watched=True)
    assert (steps[0].before_nusd, steps[-1].after_nusd) == (1_000, 350)


def test_every_technique_has_its_place() -> None:
    assert sorted(ACTING_ORDER) == sorted(Technique)


async def test_the_stages_of_a_call_are_in_that_order(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def watch(*arguments: Any) -> Generator[Any, Any, Plan]:
        plan = yield from make_plan(*arguments)
        plans.append(plan)
        return plan

    monkeypatch.setattr(attempts, "make_plan", watch)
    history = HistoryOptions(tokens=2_000, recent_tokens=1_000)
    scene = HistoryScene(history)
    output = OutputPolicy(OutputLimits(thinking_tokens=1_024))
    scene.engine.options = replace(
        scene.engine.options, policies=PolicyBook(AgentPolicy(history=history, output=output))
    )
    thinking = {"type": "enabled", "budget_tokens": 4_096}
    await scene.play(talk(ANTHROPIC, 60, max_tokens=8_000, thinking=thinking))
    acted = [stage.technique for stage in plans[0].stages]
    assert len(acted) >= 3
    assert all(ACTING_ORDER.index(one) < ACTING_ORDER.index(next_one) for one, next_one in pairwise(acted))
