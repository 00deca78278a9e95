"""The dialect of Anthropic's Messages API.

Sources: PROVIDERS' facts and the types of the anthropic SDK 2.12, checked 2026-11-24.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bursar.domain.prices import Terms
from bursar.domain.prompt import Mark, Piece, Prompt, Section
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.anthropic_prompt import (
    MARK_FIELD,
    read_mark,
    read_message,
    read_system_block,
    read_system_text,
    read_tool,
    write_mark,
)
from bursar.wire.anthropic_stream import AnthropicMeter, read_answer
from bursar.wire.dialect import Answer, Edits, Fault, Reading, Request, StreamMeter
from bursar.wire.drafts import PieceReader
from bursar.wire.memo import PieceMemo
from bursar.wire.splicing import MarkField, check_marks, mark_block, mark_content, marks_by_section

NAME = "anthropic.messages"

_TOOL_TAG, _SYSTEM_TAG, _MESSAGE_TAG = b"at", b"as", b"am"

_SECTION_FIELDS = {section: section.value for section in Section}
_MARKS = MarkField(MARK_FIELD, write_mark)

# Cheap looks at raw bytes: quotes inside JSON strings are escaped, so these match structure only.
_IMAGE = re.compile(rb'"type"\s*:\s*"image"')
_CITATIONS = re.compile(rb'"citations"\s*:\s*\{\s*"enabled"\s*:\s*true')
_WEB_SEARCH = re.compile(rb'"type"\s*:\s*"web_search_')


class AnthropicMessages:
    """Fills `Dialect` for Anthropic's Messages API."""

    name = NAME

    def read(self, body: bytes, memo: PieceMemo) -> Reading:
        """Parse a request body; see `Dialect.read`."""
        fields = raw.read_body(body)
        head = _read_head(fields)
        reader = PieceReader(memo)
        tools = _read_tools(fields, reader)
        system = _read_system(fields, reader)
        elements = raw.read_array(raw.required(fields, "messages", ""), "messages")
        if not elements:
            raise BadRequest("at least one message is required", place="messages")
        messages = reader.take(elements, "messages", _MESSAGE_TAG, read_message)
        contents = {name: bytes(value) for name, value in fields.items()}

        def finish(counts: Sequence[int]) -> Request:
            reader.finish(counts)
            return Request(
                dialect=NAME,
                fields=contents,
                model=head.model,
                stream=head.stream,
                max_tokens=head.max_tokens,
                user=head.user,
                terms=head.terms,
                wants_usage=True,
                prompt=Prompt(
                    tools=tuple(tools),
                    system=tuple(system),
                    messages=tuple(messages),
                    system_salt=_system_salt(contents),
                    messages_salt=_messages_salt(contents),
                    auto_mark=head.auto_mark,
                ),
            )

        return Reading(texts=reader.texts(), finish=finish)

    def write(self, request: Request, edits: Edits) -> bytes:
        """Return the body with edits applied; see `Dialect.write`."""
        check_marks(request.prompt, edits, _SECTION_FIELDS)
        fields: dict[str, raw.Slice] = {**request.fields, **edits.fields}
        for section, pieces in marks_by_section(edits.marks).items():
            try:
                fields[section.value] = _mark_section(section, fields[section.value], pieces)
            except LookupError:
                raise ValueError(f"a mark is to be set in {section.value} where there is nothing") from None
        return raw.join_object(fields)

    def usage_request_fields(self, request: Request) -> Mapping[str, bytes]:
        """Nothing: Anthropic's streams always carry usage."""
        del request
        return {}

    def answer(self, body: bytes, request: Request | None = None) -> Answer:
        """Read a whole answer; see `Dialect.answer`."""
        del request
        return read_answer(body)

    def meter(self, request: Request) -> StreamMeter:
        """Start metering a stream."""
        del request
        return AnthropicMeter()

    def error(self, fault: Fault, operation_id: str) -> bytes:
        """Write an error body: `{"type": "error", "error": {…}, "request_id": …}`."""
        error = {"type": fault.kind, "message": fault.message, **fault.details}
        return raw.encode({"type": "error", "error": error, "request_id": operation_id})

    def error_event(self, fault: Fault, operation_id: str) -> bytes:
        """Write an `error` event."""
        return b"event: error\ndata: " + self.error(fault, operation_id) + b"\n\n"


@dataclass(frozen=True, slots=True)
class _Head:
    """The top-level fields that we look at."""

    model: str
    stream: bool
    max_tokens: int | None
    user: str
    terms: Terms
    auto_mark: Mark | None


def _read_head(fields: raw.RawObject) -> _Head:
    model = raw.read_text(raw.required(fields, "model", ""), "model")
    if not model:
        raise BadRequest("the name of a model is required", place="model")
    fast = raw.optional_text(fields, "speed") == "fast"
    return _Head(
        model=model,
        stream=raw.optional_flag(fields, "stream"),
        max_tokens=raw.optional_count(fields, "max_tokens"),
        user=raw.optional_text(raw.optional_object(fields, "metadata"), "user_id", "metadata"),
        terms=Terms(tier="fast" if fast else "standard", geo=raw.optional_text(fields, "inference_geo")),
        auto_mark=read_mark(fields.get(MARK_FIELD), MARK_FIELD),
    )


def _read_tools(fields: raw.RawObject, reader: PieceReader) -> list[Piece]:
    tools = fields.get("tools")
    if tools is None or raw.is_null(tools):
        return []
    return reader.take(raw.read_array(tools, "tools"), "tools", _TOOL_TAG, read_tool)


def _read_system(fields: raw.RawObject, reader: PieceReader) -> list[Piece]:
    system = fields.get("system")
    if system is None or raw.is_null(system):
        return []
    if raw.is_text(system):
        return reader.take([system], "system", _SYSTEM_TAG, read_system_text)
    return reader.take(raw.read_array(system, "system"), "system", _SYSTEM_TAG, read_system_block)


def _system_salt(fields: Mapping[str, bytes]) -> bytes:
    """What keeps cached tools but not the rest: speed, web search, citations (PROVIDERS' table)."""
    citations = b'"citations"' in fields["messages"] and _CITATIONS.search(fields["messages"])
    web_search = b'"web_search_' in fields.get("tools", b"") and _WEB_SEARCH.search(fields["tools"])
    fast = fields.get("speed") == b'"fast"'
    return (
        (b"fast;" if fast else b"")
        + (b"web_search;" if web_search else b"")
        + (b"citations;" if citations else b"")
    )


def _messages_salt(fields: Mapping[str, bytes]) -> bytes:
    """What keeps cached tools and system but not messages: tool_choice, thinking, images (the same).

    An absent `tool_choice` means `auto`. An absent `thinking` is not the same as a disabled one: what it
    means depends on the model.
    """
    salt = b""
    choice, thinking = fields.get("tool_choice"), fields.get("thinking")
    if choice is not None and not raw.is_null(choice):
        compact = raw.compact(choice)
        salt += b"" if compact == b'{"type":"auto"}' else b"tool_choice=" + compact + b";"
    if thinking is not None and not raw.is_null(thinking):
        salt += b"thinking=" + raw.compact(thinking) + b";"
    if b'"image"' in fields["messages"] and _IMAGE.search(fields["messages"]):
        salt += b"images;"
    return salt


def _mark_section(
    section: Section, value: raw.Slice, pieces: Mapping[int, Mapping[int, Mark | None]]
) -> bytes:
    if section is Section.SYSTEM and raw.is_text(value):
        return mark_content(value, pieces[0], _MARKS)
    elements: list[raw.Slice] = [*raw.read_array(value, section.value)]
    for number, marks in pieces.items():
        if section is Section.MESSAGES:
            elements[number] = _mark_message(elements[number], marks)
        else:
            elements[number] = mark_block(elements[number], marks[0], _MARKS)
    return raw.join_array(elements)


def _mark_message(message: raw.Slice, marks: Mapping[int, Mark | None]) -> bytes:
    members: dict[str, raw.Slice] = {**raw.read_object(message, "")}
    members["content"] = mark_content(members["content"], marks, _MARKS)
    return raw.join_object(members)


ANTHROPIC_MESSAGES = AnthropicMessages()
