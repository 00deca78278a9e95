"""The dialect of Anthropic's Messages API.

Sources: PROVIDERS' facts and the types of the anthropic SDK 2.12, checked 2026-11-24.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.domain.prices import Terms
from bursar.domain.prompt import Mark, Prompt, Section
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.anthropic_prompt import (
    CITATIONS,
    IMAGES,
    MARK_FIELD,
    MESSAGE_FEATURES,
    WEB_SEARCH,
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
from bursar.wire.memo import NO_RUN, PieceMemo
from bursar.wire.splicing import (
    MarkField,
    check_marks,
    mark_block,
    mark_content,
    marks_by_section,
    splice_elements,
)

NAME = "anthropic.messages"

_TOOL_TAG, _SYSTEM_TEXT_TAG, _SYSTEM_TAG, _MESSAGE_TAG = b"at", b"ax", b"as", b"am"

# The fields that `_messages_salt` looks at.
_SALTING = frozenset(("tool_choice", "thinking"))

_SECTION_FIELDS = {section: section.value for section in Section}
_MARKS = MarkField(MARK_FIELD, write_mark)


class AnthropicMessages:
    """Fills `Dialect` for Anthropic's Messages API."""

    name = NAME

    def read(self, body: bytes, memo: PieceMemo) -> Reading:
        """Parse a request body; see `Dialect.read`."""
        fields = {name: bytes(value) for name, value in raw.read_body(body).items()}
        head = _read_head(fields)
        reader = PieceReader(memo)
        _take_front(reader, fields)
        messages = raw.required(fields, "messages", "")
        if not reader.take(messages, "messages", _MESSAGE_TAG, read_message):
            raise BadRequest("at least one message is required", place="messages")

        def finish(counts: Sequence[int]) -> Request:
            runs = reader.finish(counts)
            tools, system = runs.get("tools", NO_RUN), runs.get("system", NO_RUN)
            messages = runs["messages"]
            features = tools.features | messages.features
            return Request(
                dialect=NAME,
                fields=fields,
                model=head.model,
                stream=head.stream,
                max_tokens=head.max_tokens,
                user=head.user,
                terms=head.terms,
                wants_usage=True,
                prompt=Prompt(
                    tools=tools.pieces,
                    system=system.pieces,
                    messages=messages.pieces,
                    system_salt=_system_salt(fields, features),
                    messages_salt=_messages_salt(fields, features),
                    auto_mark=head.auto_mark,
                ),
                piece_ends={"tools": tools.ends, "system": system.ends, "messages": messages.ends},
                features=features,
            )

        return Reading(texts=reader.texts(), finish=finish)

    def reread(self, request: Request, messages: bytes, memo: PieceMemo) -> Reading:
        """Read a request with other messages; see `Dialect.reread`."""
        return self.reread_fields(request, {"messages": messages}, memo)

    def reread_fields(self, request: Request, fields: Mapping[str, bytes], memo: PieceMemo) -> Reading:
        """Read a request with other tools, system blocks or messages; see `Dialect.reread_fields`."""
        reader = PieceReader(memo)
        _take_front(reader, fields)
        if "messages" in fields:
            reader.take(fields["messages"], "messages", _MESSAGE_TAG, read_message)

        def finish(counts: Sequence[int]) -> Request:
            runs = reader.finish(counts)
            features = request.features
            # Every feature is either a message's or a tool's.
            if "messages" in runs:
                features = features - MESSAGE_FEATURES | runs["messages"].features
            if "tools" in runs:
                features = features & MESSAGE_FEATURES | runs["tools"].features
            prompt = msgspec.structs.replace(request.prompt, **{n: run.pieces for n, run in runs.items()})
            if features != request.features:
                prompt = msgspec.structs.replace(
                    prompt,
                    system_salt=_system_salt(request.fields, features),
                    messages_salt=_messages_salt(request.fields, features),
                )
            return msgspec.structs.replace(
                request,
                fields={**request.fields, **fields},
                prompt=prompt,
                piece_ends={**request.piece_ends, **{name: run.ends for name, run in runs.items()}},
                features=features,
            )

        return Reading(texts=reader.texts(), finish=finish)

    def with_fields(self, request: Request, fields: Mapping[str, bytes]) -> Request:
        """Return a request with other top-level fields; see `Dialect.with_fields`."""
        together, prompt = {**request.fields, **fields}, request.prompt
        if not _SALTING.isdisjoint(fields):
            salt = _messages_salt(together, request.features)
            prompt = msgspec.structs.replace(prompt, messages_salt=salt)
        max_tokens = raw.optional_count(together, "max_tokens")
        return msgspec.structs.replace(request, fields=together, max_tokens=max_tokens, prompt=prompt)

    def write(self, request: Request, edits: Edits) -> bytes:
        """Return the body with edits applied; see `Dialect.write`."""
        fields = {**request.fields, **edits.fields}
        if not edits.marks:
            return raw.join_object(fields)
        check_marks(request.prompt, edits, _SECTION_FIELDS)
        for section, pieces in marks_by_section(edits.marks).items():
            try:
                ends = None if section.value in edits.fields else request.piece_ends[section.value]
                fields[section.value] = _mark_section(section, fields[section.value], ends, pieces)
            except LookupError:
                raise ValueError(f"a mark is to be set in {section.value} where there is nothing") from None
        return raw.join_object(fields)

    def usage_request_fields(self, request: Request) -> Mapping[str, bytes]:
        """Nothing: Anthropic's streams always carry usage."""
        del request
        return {}

    def answer(self, body: bytes, request: Request | None = None) -> Answer:
        """Read a whole answer; see `Dialect.answer`."""
        return read_answer(body, request.terms if request is not None else None)

    def meter(self, request: Request) -> StreamMeter:
        """Start metering a stream."""
        return AnthropicMeter(request.terms)

    def error(self, fault: Fault, operation_id: str) -> bytes:
        """Write an error body: `{"type": "error", "error": {…}, "request_id": …}`."""
        error = {"type": fault.kind, "message": fault.message, **fault.details}
        return raw.encode({"type": "error", "error": error, "request_id": operation_id})

    def error_event(self, fault: Fault, operation_id: str) -> bytes:
        """Write an `error` event."""
        return b"event: error\ndata: " + self.error(fault, operation_id) + b"\n\n"


def _take_front(reader: PieceReader, fields: Mapping[str, bytes]) -> None:
    """Read the tools and the system blocks that are among some fields."""
    tools, system = fields.get("tools", raw.NULL), fields.get("system", raw.NULL)
    if tools != raw.NULL:
        reader.take(tools, "tools", _TOOL_TAG, read_tool)
    if system.startswith(b'"'):
        reader.take_one(system, "system", _SYSTEM_TEXT_TAG, read_system_text)
    elif system != raw.NULL:
        reader.take(system, "system", _SYSTEM_TAG, read_system_block)


class _Head(msgspec.Struct, frozen=True, gc=False):
    """The top-level fields that we look at."""

    model: str
    stream: bool
    max_tokens: int | None
    user: str
    terms: Terms
    auto_mark: Mark | None


def _read_head(fields: Mapping[str, bytes]) -> _Head:
    model = raw.read_text(raw.required(fields, "model", ""), "model")
    if not model:
        raise BadRequest("the name of a model is required", place="model")
    # Most requests state few of the others; looking is cheaper than asking a reader.
    fast = "speed" in fields and raw.optional_text(fields, "speed") == "fast"
    return _Head(
        model=model,
        stream="stream" in fields and raw.optional_flag(fields, "stream"),
        max_tokens=raw.optional_count(fields, "max_tokens"),
        user=_read_user(fields) if "metadata" in fields else "",
        terms=Terms(
            tier="fast" if fast else "standard",
            geo=raw.optional_text(fields, "inference_geo") if "inference_geo" in fields else "",
        ),
        auto_mark=read_mark(fields[MARK_FIELD], MARK_FIELD) if MARK_FIELD in fields else None,
    )


def _read_user(fields: Mapping[str, bytes]) -> str:
    return raw.optional_text(raw.optional_object(fields, "metadata"), "user_id", "metadata")


def _system_salt(fields: Mapping[str, bytes], features: frozenset[str]) -> bytes:
    """What keeps cached tools but not the rest: speed, web search, citations (PROVIDERS' table)."""
    return (
        (b"fast;" if fields.get("speed") == b'"fast"' else b"")
        + (b"web_search;" if WEB_SEARCH in features else b"")
        + (b"citations;" if CITATIONS in features else b"")
    )


def _messages_salt(fields: Mapping[str, bytes], features: frozenset[str]) -> bytes:
    """What keeps cached tools and system but not messages: tool_choice, thinking, images (the same).

    An absent `tool_choice` means `auto`. An absent `thinking` is not the same as a disabled one: what it
    means depends on the model.
    """
    salt = b""
    choice, thinking = fields.get("tool_choice", raw.NULL), fields.get("thinking", raw.NULL)
    if choice != raw.NULL:
        compact = raw.compact(choice)
        salt += b"" if compact == b'{"type":"auto"}' else b"tool_choice=" + compact + b";"
    if thinking != raw.NULL:
        salt += b"thinking=" + raw.compact(thinking) + b";"
    if IMAGES in features:
        salt += b"images;"
    return salt


def _mark_section(
    section: Section,
    value: bytes,
    ends: Sequence[int] | None,
    pieces: Mapping[int, Mapping[int, Mark | None]],
) -> bytes:
    if section is Section.SYSTEM and raw.is_text(value):
        return mark_content(value, pieces[0], _MARKS)

    def mark(number: int, element: bytes) -> bytes:
        if section is Section.MESSAGES:
            return _mark_message(element, pieces[number])
        return mark_block(element, pieces[number][0], _MARKS)

    return splice_elements(value, ends, pieces, mark)


def _mark_message(message: bytes, marks: Mapping[int, Mark | None]) -> bytes:
    members = raw.read_object(message, "")
    members["content"] = msgspec.Raw(mark_content(members["content"], marks, _MARKS))
    return raw.encode(members)


ANTHROPIC_MESSAGES = AnthropicMessages()
