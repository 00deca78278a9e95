import pytest

from bursar.domain.prompt import Piece, Role
from bursar.errors import BadRequest
from bursar.wire.memo import PieceMemo
from wire_bodies import ANTHROPIC, read

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
