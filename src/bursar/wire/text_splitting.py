"""Text blocks as two: the same text, and a place for a cache mark between its parts."""

from collections.abc import Mapping

import msgspec

from bursar.domain.prompt import Place, Section
from bursar.wire import raw_json as raw
from bursar.wire.anthropic_prompt import MARK_FIELD as ANTHROPIC_MARK
from bursar.wire.dialect import Request
from bursar.wire.openai_prompt import MARK_FIELD as OPENAI_MARK
from bursar.wire.splicing import splice_elements

_PLAIN_MEMBERS = frozenset(("type", "text", ANTHROPIC_MARK, OPENAI_MARK))


class _Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a text stands: in which field, in which of its elements, and in which block of that one.

    Attributes:
        field: The top-level field.
        element: Number of the element; None where the field is the text.
        block: Number of the block in the element's content; None where the element is the block.
    """

    field: str
    element: int | None
    block: int | None


def read_text_at(request: Request, place: Place) -> bytes | None:
    """Return the text of a block, in UTF-8; None where it is no block of text only.

    Args:
        request: The request.
        place: Where the block stands in it: in the system prompt, or in a message of the user's.
    """
    spot = _find(request, place)
    if spot.element is None:
        return raw.read_text(request.fields[spot.field], spot.field).encode()
    element = raw.element(request.fields[spot.field], request.piece_ends[spot.field], spot.element)
    if spot.block is None:
        return _read_block(element)
    content = raw.read_object(element, "")["content"]
    if raw.is_text(content):
        return raw.read_text(content, "").encode()
    return _read_block(raw.read_array(content, "")[spot.block])


def split_text_at(request: Request, place: Place, end_bytes: int) -> Mapping[str, bytes]:
    """Return the field that changes where a block of text becomes two with the same text.

    A mark of the client's on it stays on the second.

    Args:
        request: The request.
        place: Where the block stands in it (`read_text_at` must return its text).
        end_bytes: Where the first part ends in the text's UTF-8, between two characters.
    """
    spot = _find(request, place)
    value = request.fields[spot.field]
    if spot.element is None:
        return {spot.field: b"[" + _split_string(value, end_bytes) + b"]"}
    return {
        spot.field: splice_elements(
            value,
            request.piece_ends[spot.field],
            (spot.element,),
            lambda _, element: _split_element(element, spot.block, end_bytes),
        )
    }


def _find(request: Request, place: Place) -> _Spot:
    """Find a block: Anthropic's system blocks are elements by themselves, OpenAI's stand in messages."""
    if "system" in request.piece_ends:
        if place.section is not Section.SYSTEM:
            return _Spot("messages", place.piece, place.block)
        return _Spot("system", None if raw.is_text(request.fields["system"]) else place.piece, None)
    front = 0 if place.section is Section.SYSTEM else len(request.prompt.system)
    return _Spot("messages", front + place.piece, place.block)


def _read_block(block: raw.Slice) -> bytes | None:
    members = raw.read_object(block, "")
    if not members.keys() <= _PLAIN_MEMBERS or bytes(members["type"]) != b'"text"':
        return None
    return raw.read_text(members["text"], "").encode()


def _split_element(element: bytes, block: int | None, end_bytes: int) -> bytes:
    if block is None:
        return _split_block(element, end_bytes)
    members = raw.read_object(element, "")
    content = members["content"]
    if raw.is_text(content):
        members["content"] = msgspec.Raw(b"[" + _split_string(content, end_bytes) + b"]")
    else:
        blocks: list[raw.Slice] = [*raw.read_array(content, "")]
        blocks[block] = _split_block(blocks[block], end_bytes)
        members["content"] = msgspec.Raw(raw.join_array(blocks))
    return raw.encode(members)


def _split_block(block: raw.Slice, end_bytes: int) -> bytes:
    """Write a text block as two; whatever it holds beside its text goes with the second."""
    members = raw.read_object(block, "")
    first, rest = _parts(members["text"], end_bytes)
    members["text"] = msgspec.Raw(rest)
    return _text_block(first) + b"," + raw.encode(members)


def _split_string(text: raw.Slice, end_bytes: int) -> bytes:
    first, rest = _parts(text, end_bytes)
    return _text_block(first) + b"," + _text_block(rest)


def _parts(text: raw.Slice, end_bytes: int) -> tuple[bytes, bytes]:
    content = raw.read_text(text, "").encode()
    return raw.encode(content[:end_bytes].decode()), raw.encode(content[end_bytes:].decode())


def _text_block(text: bytes) -> bytes:
    return b'{"type":"text","text":' + text + b"}"
