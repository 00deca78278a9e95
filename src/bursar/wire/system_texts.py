"""The texts of a request's system part: read out of its raw JSON, and put back in other words.

At Anthropic they are the field `system`, a string or an array of blocks; at OpenAI the system and developer
messages at the front. Requests were read before, so that their form is known to be right.
"""

from collections.abc import Iterator, Mapping

import msgspec

from bursar.wire import anthropic
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Request

Spot = tuple[int, int]
"""A piece of the system part, and a block of it."""


class SystemText(msgspec.Struct, frozen=True, gc=False):
    """One text of a prompt's system part.

    Attributes:
        spot: Where it stands.
        text: The text.
        is_marked: Whether the client's cache mark stands on it.
    """

    spot: Spot
    text: str
    is_marked: bool = False


def read_system_texts(request: Request) -> list[SystemText]:
    """Return the texts of a request's system part, in order."""
    system = request.prompt.system
    find = _anthropic if request.dialect == anthropic.NAME else _openai
    return [
        SystemText(spot, text, system[spot[0]].blocks[spot[1]].mark is not None)
        for spot, text in find(request)
    ]


def with_system_texts(request: Request, texts: Mapping[Spot, str]) -> Mapping[str, bytes]:
    """Return the fields of a request in which other texts stand in its system part.

    Args:
        request: The request.
        texts: New texts by where they stand; an empty one takes its block out, and a message that has no
            other. Something must remain.
    """
    if request.dialect == anthropic.NAME:
        value = request.fields["system"]
        if raw.is_text(value):
            return {"system": raw.encode(texts[0, 0])}
        blocks = enumerate(raw.read_array(value, ""))
        left = [_with_text(block, texts.get((n, 0))) for n, block in blocks if texts.get((n, 0)) != ""]
        return {"system": raw.join_array(left)}
    array, ends = request.fields["messages"], request.piece_ends["messages"]
    front = len(request.prompt.system)
    messages = [_with_parts(raw.element(array, ends, number), number, texts) for number in range(front)]
    return {"messages": raw.join_array([each for each in messages if each])[:-1] + array[ends[front - 1] :]}


def _text(block: raw.Slice) -> str | None:
    """Return a text block's text; None where it is none."""
    members = raw.read_object(block, "")
    if raw.read_text(members["type"], "") != "text":
        return None
    return raw.read_text(members["text"], "")


def _with_text(block: raw.Slice, text: str | None) -> bytes:
    return bytes(block) if text is None else raw.set_member(block, "text", raw.encode(text))


def _anthropic(request: Request) -> Iterator[tuple[Spot, str]]:
    value = request.fields.get("system", raw.NULL)
    if raw.is_text(value):
        yield (0, 0), raw.read_text(value, "")
    elif raw.is_array(value):
        for number, block in enumerate(raw.read_array(value, "")):
            text = _text(block)
            if text is not None:
                yield (number, 0), text


def _openai(request: Request) -> Iterator[tuple[Spot, str]]:
    array, ends = request.fields["messages"], request.piece_ends["messages"]
    for number in range(len(request.prompt.system)):
        content = raw.read_object(raw.element(array, ends, number), "")["content"]
        if raw.is_text(content):
            text = raw.read_text(content, "")
            # An empty one is no block.
            if text:
                yield (number, 0), text
            continue
        for block, part in enumerate(raw.read_array(content, "")):
            text = _text(part)
            if text is not None:
                yield (number, block), text


def _with_parts(message: bytes, number: int, texts: Mapping[Spot, str]) -> bytes:
    """Return one of OpenAI's system messages with other texts; nothing where none is left."""
    own = {block: text for (piece, block), text in texts.items() if piece == number}
    if not own:
        return message
    content = raw.read_object(message, "")["content"]
    if raw.is_text(content):
        return raw.set_member(message, "content", raw.encode(own[0])) if own[0] else b""
    parts = enumerate(raw.read_array(content, ""))
    left = [_with_text(part, own.get(block)) for block, part in parts if own.get(block) != ""]
    return raw.set_member(message, "content", raw.join_array(left)) if left else b""
