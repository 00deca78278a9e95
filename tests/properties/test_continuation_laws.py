"""What is remembered of a conversation changes nothing but the time that its next turn takes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.domain.attribution import Attribution
from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import ContentClass, Mark, Place, Section, shared_start
from bursar.domain.tokens import Basis, Overhead, TokenRatios
from bursar.view.threads import ThreadIndex
from bursar.wire.dialect import Dialect, Edits, Request
from bursar.wire.memo import PieceMemo
from wire_bodies import ANTHROPIC, OPENAI, read

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)
RATIOS = TokenRatios("r", dict.fromkeys(ContentClass, 1070), Basis.CALIBRATED, Overhead(3, 346, 2, 4))
MARKS = {
    ANTHROPIC.name: ("cache_control", {"type": "ephemeral"}),
    OPENAI.name: ("prompt_cache_breakpoint", {"mode": "explicit", "ttl": "12h"}),
}


@st.composite
def turns(draw: Any, dialect: Dialect) -> list[bytes]:
    """Bodies of one conversation, or of branches of it; marks may move from turn to turn."""
    # Long enough to be remembered by its beginning, at once or after some turns.
    size = draw(st.sampled_from([0, 90, 700]))
    words = st.text(st.sampled_from('ab{}[],:\\" é'), max_size=4)
    texts = draw(st.lists(words, min_size=1, max_size=14))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]))
    bodies: list[bytes] = []
    for count in draw(st.lists(st.integers(1, len(texts)), min_size=1, max_size=6)):
        if draw(st.integers(0, 5)) == 0:
            texts = [*texts[: count - 1], draw(words) + "another", *texts[count:]]
        marked = draw(st.sets(st.integers(0, count - 1), max_size=2))
        messages = [message(dialect, n, texts[n] + "x" * size, marked=n in marked) for n in range(count)]
        body: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": messages}
        if draw(st.booleans()):
            body["tools"] = []
        bodies.append(json.dumps(body, separators=separators).encode())
    return bodies


def message(dialect: Dialect, number: int, text: str, *, marked: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": text}
    if marked:
        name, mark = MARKS[dialect.name]
        block[name] = mark
    blocks = [block, {"type": "text", "text": "after"}] if number % 3 == 2 else [block]
    if dialect is ANTHROPIC and number % 4 == 3:
        blocks.append({"type": "image", "source": {"type": "url", "url": "u"}})
    return {"role": "assistant" if number % 2 else "user", "content": blocks}


@both
@given(data=st.data())
def test_a_conversation_is_read_as_if_each_turn_were_the_first(dialect: Dialect, data: Any) -> None:
    memo = PieceMemo()
    for body in data.draw(turns(dialect)):
        assert read(dialect, body, memo) == read(dialect, body)


@both
@given(data=st.data())
def test_a_conversation_is_written_as_if_each_turn_were_the_first(dialect: Dialect, data: Any) -> None:
    memo = PieceMemo()
    for body in data.draw(turns(dialect)):
        again, fresh = read(dialect, body, memo), read(dialect, body)
        edits = Edits({place: Mark("5m") for place in markable(fresh)[-2:]})
        assert dialect.write(again, edits) == dialect.write(fresh, edits)


@both
@given(data=st.data())
def test_a_layout_goes_on_as_if_it_began(dialect: Dialect, data: Any) -> None:
    memo = PieceMemo()
    known: Layout | None = None
    for body in data.draw(turns(dialect)):
        prompt = read(dialect, body, memo).prompt
        fresh = lay_out(prompt, scope=b"scope", ratios=RATIOS)
        known = lay_out(prompt, scope=b"scope", ratios=RATIOS, known=known)
        assert columns(known) == columns(fresh)


@both
@given(data=st.data())
def test_a_history_has_the_same_name_whatever_came_before(dialect: Dialect, data: Any) -> None:
    memo, index = PieceMemo(), ThreadIndex()
    who = Attribution(conversation="one")
    for number, body in enumerate(data.draw(turns(dialect))):
        messages = read(dialect, body, memo).prompt.messages
        call = index.join(who, messages, operation_id=str(number), at_s=0.0)
        alone = ThreadIndex().join(who, messages, operation_id="alone", at_s=0.0)
        assert (call.link, call.start) == (alone.link, alone.start)


@both
@given(data=st.data())
def test_what_is_shared_is_a_start_of_both(dialect: Dialect, data: Any) -> None:
    one, other = (read(dialect, body).prompt.messages for body in (data.draw(turns(dialect)) * 2)[:2])
    count = shared_start(one, other)
    assert one[:count] == other[:count]
    assert shared_start(one, one) == len(one)


def markable(request: Request) -> list[Place]:
    return [
        Place(Section.MESSAGES, number, index)
        for number, piece in enumerate(request.prompt.messages)
        for index, block in enumerate(piece.blocks)
        if block.markable
    ]


def columns(layout: Layout) -> tuple[Any, ...]:
    return (
        layout.chain,
        layout.ends,
        layout.result_ends,
        layout.blocks,
        list(layout.places),
        layout.marks,
        (layout.tools_end, layout.system_end, layout.message_ends, layout.front_link),
    )
