"""Shorthand for reading and writing bodies in tests: every text counts one token per character."""

import json
from typing import Any

from bursar.domain.prompt import Block, Mark, Place, Section
from bursar.wire.dialect import Dialect, Edits, Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

ANTHROPIC = DIALECTS["anthropic.messages"]
OPENAI = DIALECTS["openai.chat"]


def read(dialect: Dialect, body: Any, memo: PieceMemo | None = None) -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reading = dialect.read(content, PieceMemo() if memo is None else memo)
    return reading.finish([len(text) for text in reading.texts])


def anthropic(messages: Any, **fields: Any) -> Request:
    return read(ANTHROPIC, {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": messages, **fields})


def openai(messages: Any, **fields: Any) -> Request:
    return read(OPENAI, {"model": "gpt-4o", "messages": messages, **fields})


def blocks(request: Request) -> list[Block]:
    return [block for piece in request.prompt.pieces() for block in piece.blocks]


def digests(request: Request) -> list[bytes]:
    return [block.digest for block in blocks(request)]


def marks(request: Request) -> dict[Place, Mark]:
    sections = (
        (Section.TOOLS, request.prompt.tools),
        (Section.SYSTEM, request.prompt.system),
        (Section.MESSAGES, request.prompt.messages),
    )
    return {
        Place(section, number, index): block.mark
        for section, pieces in sections
        for number, piece in enumerate(pieces)
        for index, block in enumerate(piece.blocks)
        if block.mark is not None
    }


def written(dialect: Dialect, request: Request, edits: Edits) -> Any:
    return json.loads(dialect.write(request, edits))
