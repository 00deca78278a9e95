"""Settings that change while conversations go on: for those that begin afterwards, through a restart."""

import json
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bursar.adapters.content.memory import MemoryContent
from bursar.exchange import pins, policy_pin
from bursar.exchange.pins import write_pin
from bursar.policy.agent import AgentPolicy, PolicyBook, StablePrefixPolicy, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.loops import LoopOptions
from bursar.policy.tool_results.limits import Limits
from bursar.ports import ContentKey
from bursar.wire.dialect import Dialect
from double_upstream import DoubleUpstream
from history_scene import HistoryScene, canonical, page, talk, without_marks
from provider_answers import message
from scripted_world import Scene, ask, chat, whole
from unstable_fronts import RULES, SteadyScene, call, clock
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)


def clock_of_turn_0(conversation: int, turn: int) -> str:
    del turn
    return clock(conversation, 0)


CUT = ToolResultPolicy(mode="truncate", limits=Limits(tokens_max=100))
LOSSLESS = ToolResultPolicy()
OFF = ToolResultPolicy(mode="off")


def rows(number: int) -> str:
    seats = [{"flight": f"HAT{number}x{row}", "seats": {"economy": row, "business": 3}} for row in range(40)]
    return json.dumps(seats, indent=2)


def at_turn(dialect: Dialect, turn: int, who: str = "Ann") -> dict[str, Any]:
    """A conversation that has come so far: one tool result a turn."""
    body = talk(dialect, turn)
    for number, each in enumerate(body["messages"]):
        if each["role"] == "tool":
            each["content"] = rows(number)
        elif each["role"] == "user" and isinstance(each["content"], list):
            for block in each["content"]:
                if block["type"] == "tool_result":
                    block["content"] = rows(number)
    first = next(each for each in body["messages"] if each["role"] == "user")
    first["content"] = f"I am {who}. Find the rule on bicycles."
    return body


class CountingContent(MemoryContent):
    """Working content that counts how often it is used."""

    def __init__(self) -> None:
        super().__init__(1 << 22)
        self.lookups = 0
        self.keeps = 0

    async def get(self, key: ContentKey, now_s: float) -> bytes | None:
        self.lookups += 1
        return await super().get(key, now_s)

    async def put(self, key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        self.keeps += 1
        return await super().put(key, content, ttl_s, now_s)


class PinScene(Scene):
    """A process with settings, in front of the double.

    Args:
        policy: The settings of all agents.
        content: The working content, where another process had it before.
    """

    def __init__(self, policy: AgentPolicy, content: MemoryContent | None = None, **options: Any) -> None:
        policy = msgspec.structs.replace(policy, loops=LoopOptions(mode="off"))
        super().__init__(whole(message()), policies=PolicyBook(policy), **options)
        self.provider = DoubleUpstream(self)
        self.content = content or CountingContent()
        object.__setattr__(self.world, "upstream", self.provider)
        object.__setattr__(self.world, "content", self.content)

    async def send(self, body: dict[str, Any], **headers: str) -> list[Any]:
        """Play a call, and return the messages that went out, without cache marks."""
        self.clock.time_s += 20.0
        reply = await self.play(body, {name.replace("_", "-"): value for name, value in headers.items()})
        assert reply.status == 200, reply.body
        return canonical(without_marks(json.loads(self.provider.bodies[-1])["messages"]))

    @property
    def faults(self) -> Sequence[tuple[str, ...]]:
        return [entry.faults for entry in self.ledger.entries]


def with_results(results: ToolResultPolicy, **history: Any) -> AgentPolicy:
    return AgentPolicy(tool_results=results, history=HistoryOptions(**history))


@both
@pytest.mark.parametrize(
    ("before", "after"),
    [(CUT, LOSSLESS), (LOSSLESS, CUT), (LOSSLESS, OFF), (OFF, LOSSLESS)],
    ids=["truncate-lossless", "lossless-truncate", "lossless-off", "off-lossless"],
)
async def test_a_conversation_keeps_its_settings_through_a_restart_and_the_next_takes_the_new_ones(
    dialect: Dialect, before: ToolResultPolicy, after: ToolResultPolicy
) -> None:
    first = PinScene(with_results(before))
    sent: list[Any] = []
    for turn in range(7):
        now = await first.send(at_turn(dialect, turn))
        assert now[: len(sent)] == sent
        sent = now
    again = PinScene(with_results(after, tokens=1_000_000), first.content)
    for turn in range(7, 13):
        now = await again.send(at_turn(dialect, turn))
        assert now[: len(sent)] == sent
        sent = now
    unchanged = PinScene(with_results(before))
    assert sent == await unchanged.send(at_turn(dialect, 12))
    fresh = PinScene(with_results(after, tokens=1_000_000))
    new = await again.send(at_turn(dialect, 3, "Bob"))
    assert new == await fresh.send(at_turn(dialect, 3, "Bob"))
    assert new != await unchanged.send(at_turn(dialect, 3, "Bob"))
    assert set(again.faults) == {()}


@both
async def test_a_restart_right_behind_the_first_result_finds_the_settings(dialect: Dialect) -> None:
    first = PinScene(with_results(CUT))
    await first.send(at_turn(dialect, 0))
    sent = await first.send(at_turn(dialect, 1))
    again = PinScene(with_results(LOSSLESS), first.content)
    assert (await again.send(at_turn(dialect, 2)))[: len(sent)] == sent


async def test_a_client_that_moves_its_marks_is_known_again() -> None:
    def marked(turn: int) -> dict[str, Any]:
        body = at_turn(ANTHROPIC, turn)
        body["messages"][-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        return body

    first = PinScene(with_results(CUT))
    sent = [await first.send(marked(turn)) for turn in (1, 2)][-1]
    again = PinScene(with_results(LOSSLESS), first.content)
    assert (await again.send(marked(3)))[: len(sent)] == sent


async def test_pins_cost_one_look_and_one_write_a_conversation() -> None:
    scene = PinScene(with_results(LOSSLESS))
    content = scene.content
    assert isinstance(content, CountingContent)
    for turn in range(12):
        await scene.send(at_turn(ANTHROPIC, turn))
    assert (content.lookups, content.keeps) == (1, 1)
    again = PinScene(with_results(CUT), content)
    for turn in range(12, 15):
        await again.send(at_turn(ANTHROPIC, turn))
    assert (content.lookups, content.keeps) == (2, 1)


async def test_a_conversation_without_results_is_not_pinned() -> None:
    scene = PinScene(with_results(LOSSLESS))
    content = scene.content
    assert isinstance(content, CountingContent)
    messages: list[Any] = []
    for number in range(6):
        messages.append({"role": "user", "content": f"Question {number}?"})
        await scene.send(chat(messages=messages))
        messages.append({"role": "assistant", "content": f"Answer {number}."})
    assert (content.lookups, content.keeps) == (1, 0)


async def test_results_that_come_late_pin_a_conversation_too() -> None:
    opening = [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A guide."},
    ]

    def late(turn: int) -> dict[str, Any]:
        body = at_turn(ANTHROPIC, turn)
        return {**body, "messages": [*opening, *body["messages"]]}

    first = PinScene(with_results(CUT))
    sent = [await first.send(late(turn)) for turn in range(4)][-1]
    again = PinScene(with_results(LOSSLESS), first.content)
    assert (await again.send(late(4)))[: len(sent)] == sent


@pytest.mark.parametrize("mode", ["observe", "passthrough"])
async def test_a_mode_that_leaves_calls_alone_acts_at_once(mode: str) -> None:
    first = PinScene(with_results(CUT))
    await first.send(at_turn(ANTHROPIC, 3))
    again = PinScene(with_results(CUT), first.content, mode=mode)
    body = at_turn(ANTHROPIC, 4)
    assert await again.send(body) == canonical(body["messages"])


async def test_other_tenants_agents_and_conversations_find_nothing() -> None:
    first = PinScene(with_results(CUT))
    headers = {"x_bursar_tenant": "acme", "x_bursar_agent": "guide", "x_bursar_conversation": "c1"}
    sent = await first.send(at_turn(ANTHROPIC, 3), **headers)
    again = PinScene(with_results(LOSSLESS), first.content)
    assert (await again.send(at_turn(ANTHROPIC, 4), **headers))[: len(sent)] == sent
    for name in headers:
        other = await again.send(at_turn(ANTHROPIC, 4), **{**headers, name: "other"})
        assert other[: len(sent)] != sent


async def test_another_version_of_the_rules_is_a_marked_miss_and_the_new_settings_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = PinScene(with_results(CUT))
    await first.send(at_turn(ANTHROPIC, 3))
    for module in (pins, policy_pin):
        monkeypatch.setattr(module, "POLICY_VERSION", "tool-results/2")
    again = PinScene(with_results(LOSSLESS), first.content)
    assert "left out" not in json.dumps(await again.send(at_turn(ANTHROPIC, 4)))
    assert again.faults[-1] == (policy_pin.PIN_LOST,)
    await again.send(at_turn(ANTHROPIC, 5))
    assert again.faults[-1] == ()


async def test_a_pin_that_cannot_be_read_is_a_marked_miss_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(pin: pins.Pin) -> bytes:
        return b"\xc1" + write_pin(pin)

    first = PinScene(with_results(CUT))
    with monkeypatch.context() as patch:
        patch.setattr(policy_pin, "write_pin", damaged)
        await first.send(at_turn(ANTHROPIC, 3))
    again = PinScene(with_results(LOSSLESS), first.content)
    await again.send(at_turn(ANTHROPIC, 4))
    once_more = PinScene(with_results(OFF), first.content)
    await once_more.send(at_turn(ANTHROPIC, 5))
    assert [again.faults[-1], once_more.faults[-1]] == [(policy_pin.PIN_LOST,), ()]


async def test_a_store_that_fails_costs_no_call_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = PinScene(with_results(LOSSLESS))

    async def refuse(*_: Any) -> bool:
        return False

    monkeypatch.setattr(scene.content, "put", refuse)
    for turn in range(4):
        await scene.send(at_turn(ANTHROPIC, turn))
    assert set(scene.faults) == {()}


@both
async def test_a_step_of_the_history_stays_where_its_settings_are_changed_or_gone(dialect: Dialect) -> None:
    masked = HistoryOptions(tokens=6_000, recent_tokens=2_000)
    before = HistoryScene(masked)
    for turn in range(1, 40):
        before.clock.time_s += 20.0 if turn % 10 else 7_200.0
        await before.play(talk(dialect, turn))
    sent = canonical(before.provider.messages())
    assert page(0) not in str(sent)
    for changed in (HistoryOptions(), HistoryOptions(tokens=50_000, recent_tokens=9_000)):
        after = HistoryScene(changed, content=before.content)
        await after.play(talk(dialect, 40))
        assert canonical(after.provider.messages())[: len(sent)] == sent
        assert after.entry.faults == ()


async def test_a_front_stays_as_it_was_sent_through_a_restart() -> None:
    first = SteadyScene(order=True, volatile=True)
    shuffled = random.Random(7)  # noqa: S311 - A test that can be run again.
    await first.play_all([call(ANTHROPIC, n, turn, clock, shuffled) for n in range(4) for turn in range(3)])
    content = first.world.content
    for stable in (StablePrefixPolicy(order=True, volatile=True), StablePrefixPolicy(split=False)):
        again = SteadyScene(policies=PolicyBook(AgentPolicy(stable_prefix=stable)))
        object.__setattr__(again.world, "content", content)
        await again.play_all([call(ANTHROPIC, 3, 3, clock, shuffled)])
        assert without_marks(again.sent()["tools"]) == without_marks(first.sent()["tools"])
        assert without_marks(again.sent()["system"]) == without_marks(first.sent()["system"])
        assert "Now it is" not in str(again.sent()["system"])


async def test_a_front_that_was_left_alone_stays_so_though_a_new_process_sees_it_vary() -> None:
    first = SteadyScene(order=False, volatile=True)
    await first.play_all([call(ANTHROPIC, 0, turn, clock_of_turn_0) for turn in range(3)])
    again = SteadyScene(order=False, volatile=True)
    object.__setattr__(again.world, "content", first.world.content)
    await again.play_all([call(ANTHROPIC, n, 0) for n in range(1, 6)])
    assert "Now it is" not in str(again.sent()["system"])
    await again.play_all([call(ANTHROPIC, 0, 3, clock_of_turn_0)])
    assert without_marks(again.sent()["system"]) == without_marks(first.sent()["system"])


async def test_a_text_that_was_split_stays_so_through_a_restart() -> None:
    def told(name: str, turn: int) -> dict[str, Any]:
        messages: list[Any] = [
            {"role": "user", "content": RULES * 2 + f"\n{name} asks: may {name} come along?"}
        ]
        for number in range(turn):
            messages.append({"role": "assistant", "content": f"Yes, {name}, {number}."})
            messages.append({"role": "user", "content": f"And {number} more?"})
        return ask(messages=messages)

    first = PinScene(with_results(LOSSLESS))
    for name in ("Ann", "Bob", "Cid"):
        sent = [await first.send(told(name, turn)) for turn in range(4)][-1]
    assert len(sent[0]["content"]) == 2
    again = PinScene(with_results(LOSSLESS), first.content)
    assert (await again.send(told("Cid", 4)))[: len(sent)] == sent
    assert set(again.faults) == {()}


def test_who_writes_summaries_is_what_is_set_now() -> None:
    known = pins.Pins()
    before = with_results(LOSSLESS, tokens=1_000, summary_model="old")
    now = with_results(CUT, tokens=2_000, summary_model="new", summary_tokens_max=10)
    policy = known.policy(now, known.in_force(before))
    assert policy.tool_results == LOSSLESS
    assert (policy.history.tokens, policy.history.summary_model) == (1_000, "new")
    assert policy.history.summary_tokens_max == 10
    assert known.policy(now, known.in_force(now)) is now
