"""Flat prompts that begin alike, in front of the double: split where that pays, and the same from then on."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from bursar.domain.ledger import Entry, Technique
from bursar.policy.agent import AgentPolicy, PolicyBook, StablePrefixPolicy
from double_upstream import DoubleUpstream
from provider_answers import message
from scripted_world import Scene, ask, chat, check_sums, whole

BREAKPOINTS = "gpt-5.6-sol"
SYSTEM = "You answer questions about travel."

# About 5,000 tokens as the scene counts them, and some 40 more that differ.
RULES = "".join([f"{number}. Rule {number} is kept by everybody who travels.\n" for number in range(320)])


def question(name: str) -> str:
    return f"\n{name} asks:\n" + f"may {name} take the {name} along? " * 8


def flat(name: str, rules: str = RULES, **fields: Any) -> dict[str, Any]:
    """Instructions and question as one text of the user's."""
    return ask(messages=[{"role": "user", "content": rules + question(name)}], **fields)


class SplitScene(Scene):
    """A scene with the double as its provider."""

    def __init__(self, *, split: bool = True, **options: Any) -> None:
        policy = AgentPolicy(stable_prefix=StablePrefixPolicy(split=split))
        super().__init__(whole(message()), policies=PolicyBook(policy), **options)
        self.provider = DoubleUpstream(self)
        object.__setattr__(self.world, "upstream", self.provider)

    async def play_all(self, bodies: Sequence[dict[str, Any]], gap_s: float = 20.0, **headers: str) -> int:
        """Play calls one after another; return what they cost together, in nusd."""
        for body in bodies:
            self.clock.time_s += gap_s
            reply = await self.play(body, {name.replace("_", "-"): value for name, value in headers.items()})
            assert reply.status == 200, reply.body
        assert self.provider.refused == []
        for entry in self.entries:
            check_sums(entry)
            assert entry.faults == ()
        assert [entry.cost_nusd for entry in self.entries] == self.provider.costs_nusd
        return sum(self.provider.costs_nusd)

    @property
    def entries(self) -> list[Entry]:
        return self.ledger.entries

    def texts(self, number: int = -1) -> list[str]:
        """Return the texts of the first message of a request that was sent."""
        content = json.loads(self.provider.bodies[number])["messages"][0]["content"]
        return [content] if isinstance(content, str) else [block["text"] for block in content]


async def test_three_calls_that_begin_alike_cost_less() -> None:
    bodies = [flat(name) for name in ("Ann", "Bob", "Cid")]
    split, left = SplitScene(), SplitScene(split=False)
    cost, cost_left = await split.play_all(bodies), await left.play_all(bodies)
    assert cost < 0.85 * cost_left
    assert [len(split.texts(number)) for number in range(3)] == [1, 2, 2]
    assert ["".join(split.texts(number)) for number in range(3)] == [
        body["messages"][0]["content"] for body in bodies
    ]
    assert split.texts(1)[0] == split.texts(2)[0]
    usage = split.entries[2].usage
    assert usage is not None
    assert usage.cache_read > 0.9 * usage.prompt_tokens
    assert split.entries[2].shares[Technique.PREFIX_CACHE] > 0
    # As it came it would have been input, at $3 and its answer at $15 per million tokens.
    as_input_nusd = usage.prompt_tokens * 3_000 + usage.output * 15_000
    assert split.entries[2].baseline_nusd == pytest.approx(as_input_nusd, abs=2 * 3_000)


async def test_openais_models_with_breakpoints_share_as_well() -> None:
    bodies = [
        chat(**{**flat(name), "model": BREAKPOINTS, "max_tokens": None}) for name in ("Ann", "Bob", "Cid")
    ]
    split, left = SplitScene(), SplitScene(split=False)
    assert await split.play_all(bodies) < 0.85 * await left.play_all(bodies)
    assert [len(split.texts(number)) for number in range(3)] == [1, 2, 2]


async def test_models_that_match_within_texts_need_no_split() -> None:
    scene = SplitScene()
    await scene.play_all([chat(messages=flat(name)["messages"]) for name in ("Ann", "Bob", "Cid")])
    assert [len(scene.texts(number)) for number in range(3)] == [1, 1, 1]


async def test_a_system_prompt_that_varies_at_its_end_is_split() -> None:
    bodies = [ask(system=RULES + question(name)) for name in ("Ann", "Bob", "Cid")]
    split, left = SplitScene(), SplitScene(split=False)
    assert await split.play_all(bodies) < 0.85 * await left.play_all(bodies)
    system = json.loads(split.provider.bodies[2])["system"]
    assert "".join(block["text"] for block in system) == bodies[2]["system"]
    assert len(system) == 2


async def test_a_text_behind_a_common_system_prompt_is_split() -> None:
    scene = SplitScene()
    system = "".join([f"Principle {number} comes first.\n" for number in range(300)])
    await scene.play_all([flat(name, system=system) for name in ("Ann", "Bob", "Cid")])
    assert [len(scene.texts(number)) for number in range(3)] == [1, 2, 2]


@pytest.mark.parametrize(
    "bodies",
    [
        [flat(name, rules=RULES.replace("Rule", f"Rule of {name}")) for name in ("Ann", "Bob", "Cid")],
        [flat(name, rules=RULES[:1_500]) for name in ("Ann", "Bob", "Cid")],
        [flat("Ann")] * 3,
    ],
    ids=["distinct", "short", "equal"],
)
async def test_where_nothing_is_to_be_gained_every_byte_is_as_without_it(
    bodies: list[dict[str, Any]],
) -> None:
    split, left = SplitScene(), SplitScene(split=False)
    assert await split.play_all(bodies) == await left.play_all(bodies)
    assert split.provider.bodies == left.provider.bodies


async def test_what_comes_back_too_late_stays_as_it_came() -> None:
    scene = SplitScene()
    bodies = [flat(name) for name in ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Guy", "Hal")]
    await scene.play_all(bodies, gap_s=9_000.0)
    assert len(scene.texts(-1)) == 1
    assert scene.provider.bodies[-1] == json.dumps(bodies[-1]).encode()


def turns(name: str, count: int) -> dict[str, Any]:
    body = flat(name)
    for number in range(count):
        body["messages"] += [
            {"role": "assistant", "content": f"Answer {number}."},
            {"role": "user", "content": f"And {number}, {name}?"},
        ]
    return body


async def test_a_thread_goes_on_as_it_began() -> None:
    scene = SplitScene()
    await scene.play_all([flat("Ann"), flat("Bob"), flat("Cid")])
    await scene.play_all([turns(name, count) for count in (1, 2, 3, 4, 5) for name in ("Ann", "Bob", "Cid")])
    assert [len(scene.texts(number)) for number in range(18)] == [1, 2, 2] * 6
    assert scene.texts(16) == scene.texts(1)
    # A branch of a thread begins with the same text, and so does its repetition.
    await scene.play_all([turns("Bob", 2), flat("Bob"), flat("Ann")])
    assert [len(scene.texts(number)) for number in (-3, -2, -1)] == [2, 2, 1]


async def test_a_thread_that_began_before_we_did_is_left_alone() -> None:
    scene = SplitScene()
    await scene.play_all([turns(name, 2) for name in ("Ann", "Bob", "Cid")])
    await scene.play_all([turns(name, 3) for name in ("Ann", "Bob", "Cid")])
    assert all(len(scene.texts(number)) == 1 for number in range(6))


async def test_tenants_and_agents_learn_nothing_of_each_other() -> None:
    scene = SplitScene()
    for name, tenant, agent in (("Ann", "a", "x"), ("Bob", "b", "x"), ("Cid", "a", "y")):
        await scene.play_all([flat(name)], x_bursar_tenant=tenant, x_bursar_agent=agent)
    assert [len(scene.texts(number)) for number in range(3)] == [1, 1, 1]


async def test_observing_splits_nothing_and_books_what_it_would_save() -> None:
    scene = SplitScene(mode="observe")
    bodies = [flat(name) for name in ("Ann", "Bob", "Cid")]
    await scene.play_all(bodies)
    assert [json.loads(body) for body in scene.provider.bodies] == bodies
    assert scene.entries[2].would_save[Technique.PREFIX_CACHE] > 0


async def test_a_clients_own_mark_stays_behind_the_question() -> None:
    scene = SplitScene()
    mark = {"type": "ephemeral", "ttl": "1h"}
    bodies = [
        ask(
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "text", "text": RULES + question(name), "cache_control": mark}],
                }
            ]
        )
        for name in ("Ann", "Bob", "Cid")
    ]
    await scene.play_all(bodies)
    (written, last), (read, last_again) = [
        json.loads(body)["messages"][0]["content"] for body in scene.provider.bodies[1:]
    ]
    assert [written["cache_control"], last["cache_control"], last_again["cache_control"]] == [mark] * 3
    assert "cache_control" not in read
    usage = scene.entries[2].usage
    assert usage is not None
    assert usage.cache_read > 5_000


async def test_a_split_that_fails_costs_nothing_but_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr("bursar.exchange.splitting.read_text_at", fail)
    scene = SplitScene()
    body = flat("Ann")
    await scene.play(body)
    assert [len(scene.texts()), scene.entry.faults] == [1, (Technique.PREFIX_CACHE.value,)]
