"""Laws of texts that are split: the same text, taken by the provider, and the same at every turn."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.domain.prompt import Place, Section
from bursar.view.beginnings import Beginnings
from bursar.wire.dialect import Dialect, Edits
from bursar.wire.memo import PieceMemo
from bursar.wire.text_splitting import read_text_at, split_text_at
from double_upstream import DoubleUpstream
from provider_answers import message
from scripted_world import Scene, check_sums, whole
from wire_bodies import ANTHROPIC, OPENAI, read

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

texts = st.text(min_size=2, max_size=60)
members = st.dictionaries(
    st.sampled_from(["x", "ü", "note"]), st.none() | st.integers() | st.text(), max_size=2
)

# Whether what can be escaped in JSON is, and whether a message's content is an array of blocks.
shapes = st.tuples(st.booleans(), st.booleans())


@both
@given(texts, st.integers(1, 10**6), shapes, st.tuples(members, members))
def test_the_halves_are_the_text_and_nothing_else_changes(
    dialect: Dialect, text: str, at: int, shape: tuple[bool, bool], unknown: tuple[Any, Any]
) -> None:
    (escaped, as_block), (extra, more) = shape, unknown
    content: Any = [{"type": "text", "text": text}, {"type": "text", "text": "Go."}] if as_block else text
    body = {
        "model": "claude-sonnet-4-6" if dialect is ANTHROPIC else "gpt-5.6-sol",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": content, **extra}, {"role": "assistant", "content": "A"}],
        **more,
    }
    request = read(dialect, json.dumps(body, ensure_ascii=escaped).encode())
    place = Place(Section.MESSAGES, 0, 0)
    assert read_text_at(request, place) == text.encode()
    end = 1 + at % (len(text) - 1)
    fields = split_text_at(request, place, len(text[:end].encode()))
    reading = dialect.reread_fields(request, fields, PieceMemo())
    split = json.loads(dialect.write(reading.finish([1] * len(reading.texts)), Edits()))
    first, second, *rest = split["messages"][0]["content"]
    assert (first["text"], second["text"]) == (text[:end], text[end:])
    assert rest == ([{"type": "text", "text": "Go."}] if as_block else [])
    split["messages"][0]["content"] = content
    assert split == body


@given(
    st.lists(st.sampled_from(["word ", "\n", "漢", "\U0001f600", "é"]), min_size=1, max_size=30), st.text()
)
def test_what_is_found_is_what_texts_share_in_whole_characters(parts: list[str], tail: str) -> None:
    shared = "".join(parts) * 200
    beginnings = Beginnings()
    text = shared + "1" + tail
    assert beginnings.learn(b"", (shared + "0" + tail).encode(), 0.0) == ()
    found = beginnings.learn(b"", text.encode(), 1.0)
    assert len(found) == (1 if len(shared.rstrip().encode()) > 2_048 else len(found))
    for beginning in found:
        first = text.encode()[: beginning.end_bytes].decode()
        assert shared.startswith(first)
        assert text[len(first) :].strip()


@dataclass(frozen=True)
class Step:
    """One call: of which conversation, after which pause."""

    talk: int
    pause_s: float


@dataclass(frozen=True)
class Flat:
    """A conversation that begins with one long text."""

    rules: int
    length: int
    in_system: bool
    marked: bool


# Two sets of rules that begin alike, and are alike from line to line further or less far.
RULES = [
    [f"{n}. Rule {n} is kept{' for ever' if n > until else ''}.\n" for n in range(900)]
    for until in (450, 900)
]
talks = st.lists(
    st.builds(
        Flat,
        rules=st.integers(0, 1),
        length=st.sampled_from([40, 400, 500, 850]),
        in_system=st.booleans(),
        marked=st.sampled_from([False, False, True]),
    ),
    min_size=2,
    max_size=5,
)
steps = st.lists(
    st.builds(Step, talk=st.integers(0, 4), pause_s=st.sampled_from([0.0, 5.0, 60.0, 301.0, 4_000.0])),
    min_size=2,
    max_size=14,
)


def body_of(model: str, number: int, flat: Flat, turns: int) -> dict[str, Any]:
    text = "".join(RULES[flat.rules][: flat.length]) + f"Client {number} asks.\n" * 3
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hello." if flat.in_system else text}]
    for turn in range(turns):
        messages += [
            {"role": "assistant", "content": f"Answer {turn}."},
            {"role": "user", "content": f"And {turn}?"},
        ]
    if model.startswith("gpt"):
        system = [{"role": "system", "content": text}] if flat.in_system else []
        return {"model": model, "messages": system + messages}
    if flat.marked:
        mark = {"cache_control": {"type": "ephemeral"}}
        messages[-1]["content"] = [{"type": "text", "text": messages[-1]["content"], **mark}]
    system_field = {"system": text} if flat.in_system else {}
    return {"model": model, "max_tokens": 20, "messages": messages, **system_field}


def joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join([block["text"] for block in content])


def texts_of(body: dict[str, Any]) -> list[str]:
    return [joined(body.get("system", "")), *(joined(each["content"]) for each in body["messages"])]


def blocks_of(dialect: Dialect, body: bytes) -> list[bytes]:
    return [block.digest for piece in read(dialect, body).prompt.pieces() for block in piece.blocks]


async def play(model: str, flats: list[Flat], script: list[Step]) -> tuple[Scene, DoubleUpstream, list[Any]]:
    scene = Scene(whole(message()))
    upstream = DoubleUpstream(scene)
    object.__setattr__(scene.world, "upstream", upstream)
    asked: list[Any] = []
    turns = dict.fromkeys(range(len(flats)), 0)
    for step in script:
        number = step.talk % len(flats)
        scene.clock.time_s += step.pause_s
        body = body_of(model, number, flats[number], turns[number])
        turns[number] += 1
        asked.append((number, body))
        reply = await scene.play(body)
        assert reply.status == 200, reply.body
    return scene, upstream, asked


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-5.6-sol"])
@FEW
@given(talks, steps)
def test_flat_prompts_are_taken_billed_as_recorded_and_say_the_same_at_every_turn(
    model: str, flats: list[Flat], script: list[Step]
) -> None:
    dialect = OPENAI if model.startswith("gpt") else ANTHROPIC
    scene, upstream, asked = asyncio.run(play(model, flats, script))
    assert upstream.refused == []
    assert [entry.cost_nusd for entry in scene.ledger.entries] == upstream.costs_nusd
    before: dict[int, list[bytes]] = {}
    for entry, (number, body), sent in zip(scene.ledger.entries, asked, upstream.bodies, strict=True):
        check_sums(entry)
        assert entry.faults == ()
        assert texts_of(json.loads(sent)) == texts_of(body)
        found = blocks_of(dialect, sent)
        earlier = before.get(number, [])
        assert found[: len(earlier)] == earlier
        before[number] = found
        assert len(found) <= len(blocks_of(dialect, json.dumps(body).encode())) + 1
