"""Agents whose prompts differ in front, before the double: made to begin alike where that is allowed."""

import random
from itertools import pairwise
from typing import Any, cast

import pytest

from bursar.domain.ledger import Technique
from bursar.exchange import stabilising
from bursar.policy.agent import AgentPolicy, PolicyBook, StablePrefixPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.stable_prefix import NOTE
from bursar.wire.dialect import Dialect
from unstable_fronts import OPENING, RULES, SteadyScene, call, calls, clock, none, session, tools
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)


def left(**options: Any) -> SteadyScene:
    """A scene in which fronts are left as they came."""
    return SteadyScene(order=False, volatile=False, **options)


def instructions(body: dict[str, Any]) -> str:
    """Return the instructions that were sent, without cache marks."""
    system = body.get("system", body["messages"][0]["content"])
    return system if isinstance(system, str) else "".join(block["text"] for block in system)


def last_text(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1].get("text", "")


def shuffled(conversation: int) -> dict[str, Any]:
    """The first call of a conversation, with its tools in another order, and their keys too."""
    return call(ANTHROPIC, conversation, 0, none, random.Random(conversation))  # noqa: S311 - an order, not a secret


def without_mark(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if name != "cache_control"}


def keys(value: Any) -> list[list[str]]:
    """Return the keys of all objects in a value, in their order."""
    if not isinstance(value, dict):
        return []
    members = cast("dict[str, Any]", value)
    return [list(members), *[found for inner in members.values() for found in keys(inner)]]


@both
@pytest.mark.parametrize(("line", "most"), [(clock, 0.65), (session, 0.95)], ids=["clock", "id"])
async def test_ten_conversations_with_a_varying_line_in_front_cost_less(
    dialect: Dialect, line: Any, most: float
) -> None:
    bodies = calls(dialect, 10, 4, line)
    cost, cost_left = await SteadyScene().play_all(bodies), await left().play_all(bodies)
    assert cost < most * cost_left


@both
async def test_tools_in_ever_another_order_cost_as_much_less(dialect: Dialect) -> None:
    bodies = calls(dialect, 6, 4, none, random.Random(7))  # noqa: S311 - an order, not a secret
    scene = SteadyScene()
    assert await scene.play_all(bodies) < 0.7 * await left().play_all(bodies)
    sent = [[without_mark(tool) for tool in scene.sent(number)["tools"]] for number in range(len(bodies))]
    assert sent[1:] == sent[1:2] * (len(bodies) - 1)
    assert [keys(tool) for tool in sent[1]] == [keys(tool) for tool in sent[-1]]
    assert sent[1] == tools(dialect)


@both
async def test_what_varies_stands_behind_the_prompt_and_the_rest_begins_alike(dialect: Dialect) -> None:
    scene = SteadyScene()
    await scene.play_all(calls(dialect, 2, 3))
    assert instructions(scene.sent(0)) == OPENING + clock(0, 0) + RULES
    for number, (conversation, turn) in enumerate([(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)], start=1):
        body = scene.sent(number)
        assert instructions(body) == OPENING + RULES
        assert last_text(body) == f"{NOTE}\n{clock(conversation, turn).rstrip()}"
    assert all(NOTE not in str(message) for message in scene.sent()["messages"][:-1])


async def test_no_mark_stands_on_the_note_and_the_next_turn_reads_up_to_it() -> None:
    scene = SteadyScene()
    await scene.play_all(calls(ANTHROPIC, 2, 4))
    for number in range(1, 8):
        content = scene.sent(number)["messages"][-1]["content"]
        assert "cache_control" not in content[-1]
        assert "cache_control" in content[-2]
    usages = [entry.usage for entry in scene.entries]
    for before, after in pairwise(usages[4:]):
        assert before is not None
        assert after is not None
        assert after.cache_read == before.cache_read + before.cache_write_5m


@both
async def test_an_agent_whose_front_never_varies_is_sent_as_it_came(dialect: Dialect) -> None:
    bodies = calls(dialect, 3, 3, none)
    scene, other = SteadyScene(), left()
    await scene.play_all(bodies)
    await other.play_all(bodies)
    assert scene.provider.bodies == other.provider.bodies


async def test_a_thread_keeps_its_front_though_another_agent_of_its_kind_was_seen_to_vary() -> None:
    scene = SteadyScene()
    first = [call(ANTHROPIC, 0, turn, session) for turn in range(3)]
    await scene.play_all([first[0], call(ANTHROPIC, 1, 0, session), *first[1:]])
    assert [OPENING + session(0, 0) in instructions(scene.sent(number)) for number in (0, 2, 3)] == [True] * 3
    assert instructions(scene.sent(1)) == OPENING + RULES


async def test_the_cache_is_not_left_behind_where_it_holds_the_prompt_as_it_came() -> None:
    scene = SteadyScene()
    await scene.play_all([call(ANTHROPIC, 0, 0, none), shuffled(1)])
    assert [tool["name"] for tool in scene.sent()["tools"]] == ["book", "cancel", "find", "refund"]
    # What that has written is gone, and only the thread that goes on as it began has written anew.
    scene.clock.time_s += 400.0
    await scene.play_all([call(ANTHROPIC, 0, 1, none), call(ANTHROPIC, 2, 0, none)])
    assert scene.sent()["tools"] == tools(ANTHROPIC)
    usage = scene.entries[-1].usage
    assert usage is not None
    assert usage.cache_read > 2_000


@both
async def test_agents_and_tenants_learn_nothing_from_each_other(dialect: Dialect) -> None:
    scene = SteadyScene()
    await scene.play_all([call(dialect, 0, 0)], x_bursar_tenant="acme")
    await scene.play_all([call(dialect, 1, 0)], x_bursar_tenant="other")
    await scene.play_all([call(dialect, 2, 0)], x_bursar_tenant="acme", x_bursar_agent="another")
    assert [clock(number, 0) in instructions(scene.sent(number)) for number in range(3)] == [True] * 3


@both
async def test_in_observe_mode_no_byte_changes_and_what_it_would_save_is_booked(dialect: Dialect) -> None:
    bodies = calls(dialect, 4, 3)
    scene = SteadyScene(mode="observe")
    await scene.play_all(bodies)
    assert [scene.sent(number) for number in range(len(bodies))] == bodies
    would_save = sum(entry.would_save.get(Technique.PREFIX_CACHE, 0) for entry in scene.entries)
    acting = SteadyScene()
    saved = await left(policies=PolicyBook(AgentPolicy(prefix_cache=False))).play_all(bodies)
    saved -= await acting.play_all(bodies)
    assert would_save == pytest.approx(saved, rel=0.02)


async def test_short_prompts_are_left_alone() -> None:
    scene = SteadyScene()
    bodies: list[dict[str, Any]] = [
        {**call(ANTHROPIC, number, 0), "system": clock(number, 0) + "You help travellers.", "tools": []}
        for number in range(3)
    ]
    await scene.play_all(bodies)
    assert [scene.sent(number)["system"] for number in range(3)] == [body["system"] for body in bodies]


async def test_a_clients_own_marks_stay_where_they_were() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    scene = SteadyScene()
    for number in range(3):
        body = call(ANTHROPIC, number, 0, clock, random.Random(number))  # noqa: S311 - an order, not a secret
        body["tools"][-1] |= mark
        body["system"] = [{"type": "text", "text": body["system"], **mark}]
        await scene.play_all([body])
    sent = scene.sent()
    assert [tool["name"] for tool in sent["tools"]] == ["book", "cancel", "find", "refund"]
    assert ["cache_control" in tool for tool in sent["tools"]] == [False, False, False, True]
    assert sent["system"] == [{"type": "text", "text": OPENING + RULES, **mark}]


async def test_a_prompt_that_cannot_take_a_note_keeps_its_lines() -> None:
    scene = SteadyScene()
    await scene.play_all(calls(ANTHROPIC, 2, 2))
    body = call(ANTHROPIC, 2, 0)
    body["messages"].append({"role": "assistant", "content": "I"})
    await scene.play_all([body])
    assert NOTE not in str(scene.sent())
    assert instructions(scene.sent()) == OPENING + clock(2, 0) + RULES


@both
@pytest.mark.parametrize("broken", ["find_lines", "read_with_note"])
async def test_where_it_fails_the_call_goes_out_as_it_came(
    dialect: Dialect, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    scene = SteadyScene()
    await scene.play_all(calls(dialect, 1, 2))
    monkeypatch.setattr(stabilising, broken, fail)
    reply = await scene.play(call(dialect, 1, 0))
    assert reply.status == 200
    assert instructions(scene.sent()) == OPENING + clock(1, 0) + RULES
    assert NOTE not in str(scene.sent())
    assert scene.entries[-1].faults == ("prefix_cache",)


@both
async def test_shortened_results_and_a_rewritten_history_stand_on_the_stable_front(dialect: Dialect) -> None:
    policy = AgentPolicy(
        stable_prefix=StablePrefixPolicy(order=True, volatile=True),
        history=HistoryOptions(tokens=6_000, recent_tokens=500),
    )
    bodies = [call(dialect, 0, turn) for turn in range(0, 30, 3)]
    scene = SteadyScene(policies=PolicyBook(policy))
    await scene.play_all(bodies)
    rest = AgentPolicy(stable_prefix=StablePrefixPolicy(), history=policy.history)
    other = SteadyScene(policies=PolicyBook(rest))
    assert sum(scene.provider.costs_nusd) < 0.8 * await other.play_all(bodies)
    for number in range(1, len(bodies)):
        assert instructions(scene.sent(number)) == OPENING + RULES
        assert last_text(scene.sent(number)).startswith(NOTE)


async def test_where_nothing_is_allowed_a_front_that_never_stands_is_soon_marked_no_more() -> None:
    scene = left()
    cost_nusd = await scene.play_all(calls(ANTHROPIC, 10, 6))
    baselines = [entry.baseline_nusd for entry in scene.entries]
    # Only the first few marks were in vain.
    assert cost_nusd < 1.05 * sum(nusd or 0 for nusd in baselines)
    assert "cache_control" not in scene.provider.bodies[-1].decode()
