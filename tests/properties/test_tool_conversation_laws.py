"""Random conversations with tools through the engine in front of the provider double, which judges them."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_exchange_laws import blocks_of

from bursar.domain.ledger import CostBasis
from bursar.policy.tool_results.codec import encode
from double_upstream import DoubleUpstream
from history_conversations import Call, Step, Turn, messages_of
from scripted_world import Scene, check_sums, whole
from wire_bodies import ANTHROPIC, OPENAI

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

scalars = st.integers(-999, 999) | st.booleans() | st.none() | st.text(max_size=12)
rows = st.lists(
    st.fixed_dictionaries({"flight": st.text("ABC0", min_size=1, max_size=5), "seats": scalars}), max_size=20
)
results = st.one_of(
    st.builds(lambda value, indent: json.dumps(value, indent=indent), rows, st.sampled_from([None, 2])),
    st.builds(json.dumps, st.dictionaries(st.text("abc", max_size=3), scalars, max_size=4)),
    st.text(max_size=300).map(lambda text: f"w{text}"),
    st.just("\x1b[32mok\x1b[0m   \nline  \n" * 20),
)
calls = st.builds(
    Call,
    tool=st.sampled_from(["find", "f"]),
    arguments=st.just({"q": "x"}),
    result=results,
    image=st.booleans(),
)
turns = st.builds(
    Turn,
    text=st.text("word ", min_size=1, max_size=20).map(lambda text: f"w{text}"),
    steps=st.lists(
        st.builds(Step, text=st.just("I look."), calls=st.lists(calls, min_size=1, max_size=3).map(tuple)),
        max_size=4,
    ).map(lambda steps: (*steps, Step("Done."))),
)
talks = st.lists(turns, min_size=1, max_size=3)
pauses = st.lists(st.sampled_from([0.0, 5.0, 301.0, 4000.0]), min_size=4, max_size=4)


class CharacterCounter:
    """A token is four characters, so that a shorter text never has more of them."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [-(-len(text) // 4) for text in texts]


@dataclass(frozen=True)
class Played:
    """What was asked of the provider in one conversation, and what that cost."""

    scene: Scene
    upstream: DoubleUpstream
    asked: list[Any]


def play(dialect: Any, talk: list[Turn], pauses_s: list[float], mode: str = "optimise") -> Played:
    """Play a conversation: a call before each assistant's message."""
    messages = messages_of(dialect, talk)
    model = "claude-sonnet-4-6" if dialect is ANTHROPIC else "gpt-4o"
    limit = "max_tokens" if dialect is ANTHROPIC else "max_completion_tokens"
    scene = Scene(whole({}), mode=mode)
    object.__setattr__(scene.world, "tokenizer", CharacterCounter())
    upstream = DoubleUpstream(scene)
    object.__setattr__(scene.world, "upstream", upstream)
    # Long enough for every cache: what is too short for one may go out as it came until it no longer is.
    rules = "Rules of the house. " * 700
    system = {"system": rules} if dialect is ANTHROPIC else {}
    if dialect is OPENAI:
        messages[0]["content"] = rules
    asked: list[Any] = []

    async def run() -> None:
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            scene.clock.time_s += pauses_s[len(asked) % len(pauses_s)]
            body = {"model": model, limit: 50, **system, "messages": messages[:number]}
            asked.append(body)
            await scene.play(json.dumps(body, separators=(",", ":")).encode())

    asyncio.run(run())
    return Played(scene, upstream, asked)


def result_texts(body: Any) -> list[str]:
    texts: list[str] = []
    for message in body["messages"]:
        content = message["content"]
        if message["role"] == "tool":
            texts.append(content if isinstance(content, str) else "".join(part["text"] for part in content))
        elif isinstance(content, list):
            for block in content:
                if block["type"] == "tool_result":
                    inner = block["content"]
                    texts += [inner] if isinstance(inner, str) else [p["text"] for p in inner if "text" in p]
    return texts


@both
@FEW
@given(talk=talks, pauses_s=pauses)
def test_whatever_is_sent_is_accepted_and_its_shares_add_up(
    dialect: Any, talk: list[Turn], pauses_s: list[float]
) -> None:
    played = play(dialect, talk, pauses_s)
    assert played.upstream.refused == []
    entries = played.scene.ledger.entries
    assert [entry.cost_nusd for entry in entries] == played.upstream.costs_nusd
    for entry in entries:
        check_sums(entry)
        assert entry.basis is CostBasis.MEASURED
        # A tool called again and again with the same arguments is warned of; what is sent stays the same.
        assert set(entry.faults) <= {"loop"}


@both
@FEW
@given(talk=talks, pauses_s=pauses)
def test_results_are_written_without_loss_and_keep_their_bytes(
    dialect: Any, talk: list[Turn], pauses_s: list[float]
) -> None:
    played = play(dialect, talk, pauses_s)
    before: list[bytes] = []
    for asked, sent in zip(played.asked, played.upstream.bodies, strict=True):
        found = blocks_of(dialect.name, sent)
        assert found[: len(before)] == before
        before = found
        for original, text in zip(result_texts(asked), result_texts(json.loads(sent)), strict=True):
            assert text == (encode(original) or original) or text.startswith("[the same as tool result ")


@both
@FEW
@given(talk=talks, pauses_s=pauses)
def test_the_baseline_is_what_the_calls_cost_as_they_came(
    dialect: Any, talk: list[Turn], pauses_s: list[float]
) -> None:
    ours, as_sent = play(dialect, talk, pauses_s), play(dialect, talk, pauses_s, "passthrough")
    for entry, theirs in zip(ours.scene.ledger.entries, as_sent.scene.ledger.entries, strict=True):
        assert entry.baseline_nusd is not None
        assert theirs.cost_nusd is not None
        # Another prompt's tokens are told by the proportion of our counts, which leave a few tokens out.
        assert abs(entry.baseline_nusd - theirs.cost_nusd) <= theirs.cost_nusd // 50
