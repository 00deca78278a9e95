import json
from typing import Any

import pytest

from bursar.domain.prompt import Piece, Role
from bursar.errors import BadRequest
from bursar.wire.dialect import Dialect
from bursar.wire.memo import NO_RUN, PieceMemo, Run
from wire_bodies import ANTHROPIC, OPENAI, read

PIECE = Piece(role=Role.USER, blocks=())


def test_a_memo_keeps_its_bound_and_forgets_the_oldest_first() -> None:
    memo = PieceMemo(pieces_max=16)
    keys = [bytes([number]) for number in range(40)]
    for key in keys:
        memo.put(key, PIECE)
        assert len(memo) <= 16
        assert memo.get(key) is PIECE
    assert memo.get(keys[0]) is None


def test_a_memo_of_a_few_pieces_still_keeps_its_bound() -> None:
    memo = PieceMemo(pieces_max=3)
    for number in range(10):
        memo.put(bytes([number]), PIECE)
    assert len(memo) <= 3


def test_a_system_text_that_was_remembered_is_no_system_block() -> None:
    memo = PieceMemo()
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    read(ANTHROPIC, {**body, "system": "x"}, memo)
    with pytest.raises(BadRequest, match=r"system\[0\]: an object was expected"):
        read(ANTHROPIC, {**body, "system": ["x"]}, memo)


def test_a_short_array_is_known_only_whole_and_only_under_its_tag() -> None:
    memo = PieceMemo()
    run = Run((PIECE,), (8,))
    memo.keep_whole(b'[{"a":1}]', b"at", run)
    assert memo.beginning(b'[{"a":1}]', b"at") == run
    assert memo.beginning(b'[{"a":1}]', b"am") == NO_RUN
    assert memo.beginning(b'[{"a":1},{"a":2}]', b"at") == NO_RUN


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("text", ["short", "long enough to be known by its beginning " * 40])
def test_what_comes_again_is_the_same_and_has_no_new_texts(dialect: Dialect, text: str) -> None:
    memo = PieceMemo()
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 1,
        "tools": [{"name": "find", "description": text}],
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}],
    }
    first, again = read(dialect, body, memo), read(dialect, body, memo)
    assert again == first
    assert [*map(id, again.prompt.pieces())] == [*map(id, first.prompt.pieces())]
    longer = {**body, "messages": [*body["messages"], {"role": "user", "content": "and now?"}]}
    assert [*dialect.read(json.dumps(longer).encode(), memo).texts] == ["and now?"]
