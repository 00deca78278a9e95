"""Laws of fronts that are made stable: nothing lost, taken by the provider, and the same at every turn."""

import asyncio
import json
import random
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.policy.stable_prefix import NOTE, part
from bursar.view.volatile_lines import find_lines
from bursar.wire.dialect import Dialect, Edits, Request
from bursar.wire.memo import PieceMemo
from bursar.wire.notes import read_with_note
from bursar.wire.system_texts import SystemText, read_system_texts, with_system_texts
from bursar.wire.tool_order import order_tools
from unstable_fronts import OPENING, RULES, SteadyScene, Varying, call, none
from wire_bodies import ANTHROPIC, OPENAI, digests, read

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)

lines = st.one_of(
    st.text(max_size=20),
    st.builds("It is 12:{:02}.".format, st.integers(0, 59)),
    st.builds("id {:x}".format, st.integers(0, 2**64)),
    st.sampled_from(["", "Be kind.", "```", '{"at": 7}', "| 7 |", "May I?"]),
)
texts = st.builds("\n".join, st.lists(lines, max_size=12))


def shuffled(value: Any, order: random.Random) -> Any:
    """Return a value with the keys of its objects in another order."""
    if isinstance(value, list):
        return [shuffled(inner, order) for inner in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = list(cast("dict[str, Any]", value).items())
    order.shuffle(members)
    return {name: shuffled(inner, order) for name, inner in members}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(st.lists(st.tuples(st.text(max_size=3), values), max_size=5), st.randoms(use_true_random=False))
def test_tools_in_order_are_the_same_tools_once_and_for_all(
    named: list[tuple[str, Any]], order: random.Random
) -> None:
    tools = [{"name": name, "input_schema": schema} for name, schema in named]
    ordered = order_tools(encoded(tools))
    assert order_tools(ordered) == ordered
    assert Counter(map(repr, _sorted(json.loads(ordered)))) == Counter(map(repr, _sorted(tools)))
    names = [name for name, _ in named]
    if len(set(names)) == len(names):
        order.shuffle(tools)
        assert order_tools(encoded(shuffled(tools, order))) == ordered


def _sorted(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


@given(st.lists(texts, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_of_instructions_every_line_stays_or_is_noted(parts: list[str], order: random.Random) -> None:
    given_texts = [SystemText((number, 0), text) for number, text in enumerate(parts)]
    found = find_lines([(each.spot, each.text) for each in given_texts])
    moved = frozenset(line.name for line in found if order.random() < 0.5)
    parting = part(given_texts, found, moved)
    if parting is None:
        return
    note = parting.note.split("\n")
    assert note[0] == NOTE
    remaining = [parting.texts.get(each.spot, each.text) for each in given_texts]
    before = Counter(line for text in parts for line in text.split("\n") if line.strip())
    after = Counter(line for text in remaining for line in text.split("\n") if line.strip())
    assert before == after + Counter(line for line in note[1:] if line.strip())
    # What is left holds nothing more to move.
    left = [each for each in zip(given_texts, remaining, strict=True) if each[1]]
    again = find_lines([(each.spot, text) for each, text in left])
    assert {line.value for line in again} <= {line.value for line in found}


def _instructed(dialect: Dialect, texts: list[str], *, as_blocks: bool) -> Request:
    blocks = [{"type": "text", "text": text} for text in texts]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    if dialect is ANTHROPIC:
        system: Any = blocks if as_blocks else texts[0]
        return read(dialect, {"model": "claude-sonnet-4-6", "system": system, "messages": messages})
    front = [{"role": "system", "content": blocks if as_blocks else texts[0]}]
    return read(dialect, {"model": "gpt-4o", "messages": [*front, *messages]})


@both
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.text(min_size=1), st.booleans())
def test_a_request_in_other_words_is_read_as_if_it_came_so(
    dialect: Dialect, texts: list[str], note: str, as_blocks: bool
) -> None:
    request = _instructed(dialect, texts, as_blocks=as_blocks)
    found = read_system_texts(request)
    assert [each.text for each in found] == (texts if as_blocks else texts[:1])
    fields = with_system_texts(request, {found[0].spot: "Other."})
    reading = dialect.reread_fields(request, fields, PieceMemo())
    revised = reading.finish([1] * len(reading.texts))
    assert [each.text for each in read_system_texts(revised)] == [
        "Other.",
        *[each.text for each in found[1:]],
    ]
    assert read_with_note(revised, note, PieceMemo()).texts == [note]
    noted = read_with_note(revised, note, PieceMemo()).finish([1])
    assert digests(read(dialect, dialect.write(noted, Edits()))) == digests(noted)
    assert digests(noted)[:-1] == digests(revised)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, int, float, int]]:
    """Calls of some conversations: conversation, turn, seconds since the last call, and an order of tools."""
    turns = [0, 0, 0]
    drawn: list[tuple[int, int, float, int]] = []
    for _ in range(draw(st.integers(2, 8))):
        number = draw(st.integers(0, 2))
        gap_s = draw(st.sampled_from([5.0, 400.0, 4_000.0]))
        drawn.append((number, turns[number], gap_s, draw(st.sampled_from([0, 1, 2]))))
        turns[number] += 1
    return drawn


def _session(conversation: int, _: int) -> str:
    return f"Session {conversation}.\n"


def _clock(conversation: int, turn: int) -> str:
    return f"It is {conversation}:{turn:02}.\n"


def _slow_clock(_: int, turn: int) -> str:
    return f"Be kind.\nIt is 12:{turn // 2:02}.\n"


def _row(conversation: int, turn: int) -> str:
    return f"Case {conversation}.\n| {turn} |\n"


front_lines = st.sampled_from([_session, _clock, _slow_clock, _row, none])


@both
@FEW
@given(drawn=conversations(), line=front_lines, marked=st.booleans())
def test_what_goes_out_is_taken_adds_up_and_begins_as_the_turn_before(
    dialect: Dialect, drawn: list[tuple[int, int, float, int]], line: Varying, marked: bool
) -> None:
    async def play() -> None:
        scene = SteadyScene()
        sent: dict[int, list[bytes]] = {}
        fronts: dict[int, Any] = {}
        for number, turn, gap_s, order in drawn:
            shuffles = random.Random(order) if order else None  # noqa: S311 - an order, not a secret
            body = call(dialect, number, turn, line, shuffles)
            if marked and dialect is ANTHROPIC:
                body["tools"][-1]["cache_control"] = {"type": "ephemeral"}
            await scene.play_all([body], gap_s, x_bursar_conversation=str(number))
            request = read(dialect, scene.provider.bodies[-1])
            chain = digests(request)
            noted = NOTE in str(scene.sent()["messages"][-1])
            lasting = chain[: len(chain) - noted]
            instructions = "".join(each.text for each in read_system_texts(request))
            said = line(number, turn)
            kept = f"{OPENING}{said}{RULES}"
            assert instructions == kept or (noted and len(instructions) < len(kept))
            # Where the client itself began in another way, there is nothing to keep to.
            front = body["tools"], said
            if fronts.get(number) == front:
                assert lasting[: len(sent[number])] == sent[number]
            sent[number], fronts[number] = lasting, front

    asyncio.run(play())


@FEW
@given(drawn=conversations())
def test_an_agent_with_a_clock_that_goes_on_costs_no_more_than_its_notes(
    drawn: list[tuple[int, int, float, int]],
) -> None:
    async def play(*, on: bool) -> int:
        scene = SteadyScene(order=on, volatile=on)
        bodies = [call(ANTHROPIC, number, turn) for number, turn, _, _ in drawn]
        cost_nusd = await scene.play_all(bodies, gap_s=10.0)
        # What the double answers differs with the prompt.
        return cost_nusd - 15_000 * sum(entry.usage.output for entry in scene.entries if entry.usage)

    # Thirty tokens a call; where a conversation ends at once, nothing comes back for them.
    notes_nusd = len(drawn) * 30 * 3_000
    assert asyncio.run(play(on=True)) <= asyncio.run(play(on=False)) + notes_nusd
