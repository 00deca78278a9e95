"""Random conversations through the engine in front of the provider double, which judges what it sends."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.adapters.model_limits import load_model_limits
from bursar.domain.ledger import CostBasis, Entry
from bursar.domain.prompt import Block
from bursar.double.models import ModelCatalogue
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from double_upstream import DoubleUpstream
from scripted_world import Scene, check_sums, whole

NAMES = {"anthropic": "anthropic.messages", "openai": "openai.chat"}
MODELS = ("claude-sonnet-4-6", "claude-haiku-4-5", "gpt-4o", "gpt-6.1-sol")

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Talk:
    """A client's side of one conversation."""

    number: int
    model: str
    tools: int
    system_words: int
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def is_anthropic(self) -> bool:
        return self.model.startswith("claude")

    def say(self, words: int, blocks: int) -> None:
        texts = [f"question {len(self.messages)} part {n} " + "word " * words for n in range(blocks)]
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text} for text in texts]})

    def body(self, *, streaming: bool, marks: Sequence[tuple[int, str]]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": json.loads(json.dumps(self.messages)),
            "stream": streaming,
        }
        system = f"policy {self.number % 2} " + "rule " * self.system_words
        names = [f"tool_{n}" for n in range(self.tools)]
        if self.is_anthropic:
            request["max_tokens"] = 50
            request["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
            request["system"] = [{"type": "text", "text": system}] if self.system_words else []
            self._mark(request, marks)
        else:
            request["max_completion_tokens"] = 50
            request["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
                for name in names
            ]
            if self.system_words:
                request["messages"].insert(0, {"role": "system", "content": system})
        return {name: value for name, value in request.items() if value != []}

    @staticmethod
    def _mark(request: dict[str, Any], marks: Sequence[tuple[int, str]]) -> None:
        places = [*request["tools"], *request["system"]]
        for message in request["messages"]:
            if isinstance(message["content"], list):
                places += message["content"]
        # Several may end up on the last block, where the latest, which lives shortest, holds.
        for place, ttl in marks:
            places[min(place, len(places) - 1)]["cache_control"] = {"type": "ephemeral", "ttl": ttl}

    def hear(self, answer: bytes, streamed: bytes) -> None:
        said = _said(answer, streamed, anthropic=self.is_anthropic)
        self.messages.append({"role": "assistant", "content": said})


def _said(answer: bytes, streamed: bytes, *, anthropic: bool) -> str:
    if not streamed:
        whole_answer = json.loads(answer)
        if anthropic:
            return "".join(block.get("text", "") for block in whole_answer["content"])
        return str(whole_answer["choices"][0]["message"]["content"])
    data = [json.loads(found) for found in re.findall(rb"^data: (\{.*)$", streamed, re.MULTILINE)]
    if anthropic:
        return "".join(
            event["delta"].get("text", "") for event in data if event["type"] == "content_block_delta"
        )
    return "".join(c["delta"].get("content") or "" for event in data for c in event["choices"])


@dataclass(frozen=True)
class Step:
    """One call: whose, after which pause, how long, with which marks of the client's own."""

    talk: int
    pause_s: float
    words: int
    blocks: int
    streaming: bool
    marks: tuple[tuple[int, str], ...]


@st.composite
def client_marks(draw: st.DrawFn) -> tuple[tuple[int, str], ...]:
    """Up to four marks, an hour's before five minutes'; most clients set none."""
    places = sorted(draw(st.sets(st.integers(0, 5), max_size=4))) if draw(st.booleans()) else []
    hours = draw(st.integers(0, len(places)))
    return tuple((place, "1h" if n < hours else "5m") for n, place in enumerate(places))


steps = st.lists(
    st.builds(
        Step,
        talk=st.integers(0, 2),
        pause_s=st.sampled_from([0.0, 5.0, 60.0, 299.0, 301.0, 1200.0, 3700.0]),
        words=st.sampled_from([1, 30, 800]),
        blocks=st.sampled_from([1, 2, 25]),
        streaming=st.booleans(),
        marks=client_marks(),
    ),
    min_size=1,
    max_size=12,
)
talks = st.lists(
    st.tuples(st.sampled_from(MODELS), st.sampled_from([0, 1, 3]), st.sampled_from([0, 100, 2500])),
    min_size=3,
    max_size=3,
)


async def play(scene: Scene, talking: list[Talk], script: list[Step]) -> list[tuple[Talk, dict[str, Any]]]:
    """Play a script; return what was asked, call by call."""
    asked: list[tuple[Talk, dict[str, Any]]] = []
    for step in script:
        scene.clock.time_s += step.pause_s
        talk = talking[step.talk]
        talk.say(step.words, step.blocks)
        body = talk.body(streaming=step.streaming, marks=step.marks)
        asked.append((talk, body))
        reply = await scene.play(body)
        assert reply.status == 200, reply.body
        talk.hear(reply.body, scene.client.received)
    return asked


def run(
    model_talks: Sequence[tuple[str, int, int]], script: list[Step], mode: str
) -> tuple[Scene, DoubleUpstream, Any]:
    scene = Scene(whole({}), mode=mode)
    # Made-up conversations may outgrow a real window, which is no matter of theirs.
    known = load_model_limits()
    wide = [replace(limits, context_tokens=10**9) for name in NAMES.values() for limits in known.served(name)]
    upstream = DoubleUpstream(scene, ModelCatalogue(wide))
    object.__setattr__(scene.world, "upstream", upstream)
    talking = [Talk(number, *made) for number, made in enumerate(model_talks)]
    return scene, upstream, asyncio.run(play(scene, talking, script))


def marks_of(body: bytes) -> Iterator[Any]:
    request = json.loads(body)
    for section in ("tools", "system", "messages"):
        members = request.get(section, [])
        for member in members if isinstance(members, list) else []:
            if "cache_control" in member:
                yield member["cache_control"]
            content = member.get("content")
            for block in content if isinstance(content, list) else []:
                for name in ("cache_control", "prompt_cache_breakpoint"):
                    if name in block:
                        yield block[name]


def blocks_of(dialect: str, body: bytes) -> list[bytes]:
    reading = DIALECTS[dialect].read(body, PieceMemo())
    request = reading.finish([1] * len(reading.texts))
    found: list[Block] = [block for piece in request.prompt.pieces() for block in piece.blocks]
    return [block.digest for block in found]


def check_recorded(entries: list[Entry], upstream: DoubleUpstream) -> None:
    assert [entry.cost_nusd for entry in entries] == upstream.costs_nusd
    for entry in entries:
        check_sums(entry)
        assert entry.basis is CostBasis.MEASURED
        assert entry.faults == ()


@FEW
@given(talks, steps)
def test_whatever_is_sent_is_accepted_billed_as_recorded_and_says_the_same(
    made: list[tuple[str, int, int]], script: list[Step]
) -> None:
    scene, upstream, asked = run(made, script, "optimise")
    assert upstream.refused == []
    check_recorded(scene.ledger.entries, upstream)
    for (talk, body), sent in zip(asked, upstream.bodies, strict=True):
        dialect = NAMES["anthropic" if talk.is_anthropic else "openai"]
        as_asked = json.dumps(body).encode()
        assert blocks_of(dialect, sent) == blocks_of(dialect, as_asked)
        marks = list(marks_of(sent))
        assert len(marks) <= 4
        for own in marks_of(as_asked):
            assert own in marks
        lives = [3600 if mark.get("ttl") == "1h" else 300 for mark in marks]
        assert lives == sorted(lives, reverse=True) or not talk.is_anthropic


@FEW
@given(talks, steps)
def test_prompt_blocks_once_sent_stay_sent(made: list[tuple[str, int, int]], script: list[Step]) -> None:
    unmarked = [Step(s.talk, s.pause_s, s.words, s.blocks, s.streaming, ()) for s in script]
    _, upstream, asked = run(made, unmarked, "optimise")
    before: dict[int, list[bytes]] = {}
    for (talk, _), sent in zip(asked, upstream.bodies, strict=True):
        found = blocks_of(NAMES["anthropic" if talk.is_anthropic else "openai"], sent)
        earlier = before.get(talk.number, [])
        assert found[: len(earlier)] == earlier
        before[talk.number] = found


@FEW
@given(talks, steps, st.sampled_from(["observe", "passthrough"]))
def test_what_is_left_as_it_came_is_its_own_baseline(
    made: list[tuple[str, int, int]], script: list[Step], mode: str
) -> None:
    whole_only = [Step(s.talk, s.pause_s, s.words, s.blocks, False, s.marks) for s in script]
    scene, upstream, asked = run(made, whole_only, mode)
    assert upstream.bodies == [json.dumps(body).encode() for _, body in asked]
    check_recorded(scene.ledger.entries, upstream)
    assert all(entry.saved_nusd == 0 for entry in scene.ledger.entries)


@FEW
@given(talks, steps)
def test_the_baseline_is_what_the_calls_cost_when_they_go_out_as_they_came(
    made: list[tuple[str, int, int]], script: list[Step]
) -> None:
    # Marked requests only differ in their marks, so the answers, and with them the histories, are the same.
    whole_only = [Step(s.talk, s.pause_s, s.words, s.blocks, False, ()) for s in script]
    claude = [
        made[n] if made[n][0].startswith("claude") else ("claude-sonnet-4-6", *made[n][1:]) for n in range(3)
    ]
    optimised, _, _ = run(claude, whole_only, "optimise")
    as_sent, _, _ = run(claude, whole_only, "passthrough")
    for ours, theirs in zip(optimised.ledger.entries, as_sent.ledger.entries, strict=True):
        assert ours.baseline_nusd == theirs.cost_nusd
