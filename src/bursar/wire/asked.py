"""What a request asks: the newest text that a user wrote, and whether the answer is to have a form.

Requests were read before, so that their form is known to be right.

Sources: the types of the anthropic SDK 2.12 and of the openai SDK 3.54, checked 2026-11-24.
"""

import re
from collections.abc import Iterator, Sequence

from bursar.domain.prompt import BlockKind, Piece, Role
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Request

# A longer message is not parsed: its raw ends say enough about it.
_PARSED_BYTES_MAX = 1 << 18
# How far back a user's text is looked for: an agent may have called tools for so many messages since.
_LOOKED_BACK_MAX = 1_000

_FORMS = re.compile(rb'"json_schema"|"json_object"')


def read_last_user_text(request: Request) -> str:
    """Return the text of the last message in which a user wrote any, its blocks joined by line breaks.

    Empty where there is none among the last thousand messages. Of a message beyond 256 KiB it is the raw
    JSON, less its middle: for telling how hard it is, not for reading.
    """
    ends = request.piece_ends.get("messages", ())
    pieces = request.array_pieces if ends else ()
    for number in range(len(pieces) - 1, max(len(pieces) - 1 - _LOOKED_BACK_MAX, -1), -1):
        if _holds_user_text(pieces[number]):
            return _text(raw.element(request.fields["messages"], ends, number))
    return ""


def wants_form(request: Request) -> bool:
    """Whether a request asks for an answer in JSON (a schema, or any)."""
    fields = request.fields
    if not raw.is_null(fields.get("output_format")):
        return True
    config = fields.get("output_config", raw.NULL)
    if raw.is_object(config) and not raw.is_null(raw.read_object(config, "").get("format")):
        return True
    form = fields.get("response_format")
    return form is not None and _FORMS.search(form) is not None


def _holds_user_text(piece: Piece) -> bool:
    return piece.role is Role.USER and any(block.kind is BlockKind.TEXT for block in piece.blocks)


def _text(message: bytes) -> str:
    if len(message) > _PARSED_BYTES_MAX:
        half = _PARSED_BYTES_MAX // 2
        return (message[:half] + message[-half:]).decode(errors="ignore")
    content = raw.read_object(message, "")["content"]
    if raw.is_text(content):
        return raw.read_text(content, "")
    return "\n".join(_texts(raw.read_array(content, "")))


def _texts(parts: Sequence[raw.Slice]) -> Iterator[str]:
    for part in parts:
        text = raw.read_object(part, "").get("text")
        if text is not None and raw.is_text(text):
            yield raw.read_text(text, "")
