"""The dialect of OpenAI's Chat Completions API.

System and developer messages at the front are the prompt's system pieces, in their order; so system piece
i is `messages[i]`, and message piece i is `messages[number of system pieces + i]`.

Sources: PROVIDERS' facts and the types of the openai SDK 3.54, checked 2026-11-24.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.domain.prices import Terms
from bursar.domain.prompt import Mark, Piece, Prompt, Role, Section, digest
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Answer, Edits, Fault, Reading, Request, StreamMeter
from bursar.wire.drafts import PieceReader
from bursar.wire.memo import NO_RUN, PieceMemo
from bursar.wire.openai_prompt import LONG_MARKS, LONG_TTL, MARK_FIELD, message_reader, read_tool, write_mark
from bursar.wire.openai_stream import OpenAIMeter, read_answer
from bursar.wire.openai_usage import read_terms
from bursar.wire.splicing import MarkField, check_marks, mark_content, marks_by_section, splice_elements

NAME = "openai.chat"

_TOOL_TAG, _MESSAGE_TAG = b"ot", b"om"
_DEFAULT_TTL = "30m"
_SECTION_FIELDS = {Section.TOOLS: "tools", Section.SYSTEM: "messages", Section.MESSAGES: "messages"}


class OpenAIChat:
    """Fills `Dialect` for OpenAI's Chat Completions API."""

    name = NAME

    def read(self, body: bytes, memo: PieceMemo) -> Reading:
        """Parse a request body; see `Dialect.read`."""
        fields = {name: bytes(value) for name, value in raw.read_body(body).items()}
        head = _read_head(fields)
        reader = PieceReader(memo)
        tools = _read_tools(fields, reader)
        messages = raw.required(fields, "messages", "")
        ttl = _default_ttl(fields)
        tag = _MESSAGE_TAG + ttl.encode()
        if not reader.take(messages, "messages", tag, message_reader(ttl)):
            raise BadRequest("at least one message is required", place="messages")

        def finish(counts: Sequence[int]) -> Request:
            runs = reader.finish(counts)
            run = runs["messages"]
            pieces = run.pieces
            front = _front(pieces)
            return Request(
                dialect=NAME,
                fields=fields,
                model=head.model,
                stream=head.stream,
                max_tokens=head.max_tokens,
                user=head.user,
                terms=head.terms,
                wants_usage=head.wants_usage,
                prompt=Prompt(
                    tools=runs.get(tools, NO_RUN).pieces,
                    system=pieces[:front],
                    messages=pieces[front:],
                    system_salt=_system_salt(fields),
                ),
                piece_ends={"messages": run.ends},
                features=run.features,
            )

        return Reading(texts=reader.texts(), finish=finish)

    def reread(self, request: Request, messages: bytes, memo: PieceMemo) -> Reading:
        """Read a request with other messages; see `Dialect.reread`."""
        return self.reread_fields(request, {"messages": messages}, memo)

    def reread_fields(self, request: Request, fields: Mapping[str, bytes], memo: PieceMemo) -> Reading:
        """Read a request with other tools or messages; see `Dialect.reread_fields`."""
        reader = PieceReader(memo)
        tools = _read_tools(fields, reader)
        if "messages" in fields:
            ttl = _default_ttl(request.fields)
            reader.take(fields["messages"], "messages", _MESSAGE_TAG + ttl.encode(), message_reader(ttl))

        def finish(counts: Sequence[int]) -> Request:
            runs = reader.finish(counts)
            prompt, ends, features = request.prompt, request.piece_ends, request.features
            if tools in runs:
                prompt = msgspec.structs.replace(prompt, tools=runs[tools].pieces)
            if "messages" in runs:
                run = runs["messages"]
                front = _front(run.pieces)
                prompt = msgspec.structs.replace(
                    prompt, system=run.pieces[:front], messages=run.pieces[front:]
                )
                ends, features = {"messages": run.ends}, run.features
            return msgspec.structs.replace(
                request,
                fields={**request.fields, **fields},
                prompt=prompt,
                piece_ends=ends,
                features=features,
            )

        return Reading(texts=reader.texts(), finish=finish)

    def with_fields(self, request: Request, fields: Mapping[str, bytes]) -> Request:
        """Return a request with other top-level fields; see `Dialect.with_fields`."""
        fields = {**request.fields, **fields}
        return msgspec.structs.replace(request, fields=fields, max_tokens=_read_limit(fields))

    def write(self, request: Request, edits: Edits) -> bytes:
        """Return the body with edits applied; see `Dialect.write`."""
        fields = {**request.fields, **edits.fields}
        if not edits.marks:
            return raw.join_object(fields)
        check_marks(request.prompt, edits, _SECTION_FIELDS)
        marks = marks_by_section(edits.marks)
        front = len(request.prompt.system)
        messages = marks.get(Section.SYSTEM, {}) | {
            front + number: blocks for number, blocks in marks.get(Section.MESSAGES, {}).items()
        }
        if messages:
            ttl = _default_ttl(fields)
            field = MarkField(MARK_FIELD, lambda mark: write_mark(mark, ttl))
            ends = None if "messages" in edits.fields else request.piece_ends["messages"]
            try:
                fields["messages"] = splice_elements(
                    fields["messages"],
                    ends,
                    messages,
                    lambda number, element: _mark_message(element, messages[number], field),
                )
            except LookupError:
                raise ValueError("a mark is to be set in messages where there is nothing") from None
        return raw.join_object(fields)

    def usage_request_fields(self, request: Request) -> Mapping[str, bytes]:
        """Return `stream_options` with `include_usage`, where the client streams without it."""
        if not request.stream or request.wants_usage:
            return {}
        options = request.fields.get("stream_options", raw.NULL)
        if options == raw.NULL:
            options = b"{}"
        return {"stream_options": raw.set_member(options, "include_usage", b"true")}

    def answer(self, body: bytes, request: Request | None = None) -> Answer:
        """Read a whole answer; see `Dialect.answer`."""
        return read_answer(body, writes_last_12h=request is not None and _writes_last_12h(request))

    def meter(self, request: Request) -> StreamMeter:
        """Start metering a stream."""
        return OpenAIMeter(writes_last_12h=_writes_last_12h(request), passes_usage=request.wants_usage)

    def error(self, fault: Fault, operation_id: str) -> bytes:
        """Write an error body: `{"error": {"message", "type", "param", "code", …}}`.

        OpenAI's schema has no place for an operation id; it goes with the headers.
        """
        del operation_id
        error = {"message": fault.message, "type": fault.kind, "param": None, "code": None, **fault.details}
        return raw.encode({"error": error})

    def error_event(self, fault: Fault, operation_id: str) -> bytes:
        """Write a chunk that holds an error."""
        return b"data: " + self.error(fault, operation_id) + b"\n\n"


class _Head(msgspec.Struct, frozen=True, gc=False):
    """The top-level fields that we look at."""

    model: str
    stream: bool
    max_tokens: int | None
    user: str
    terms: Terms
    wants_usage: bool


def _read_head(fields: Mapping[str, bytes]) -> _Head:
    model = raw.read_text(raw.required(fields, "model", ""), "model")
    if not model:
        raise BadRequest("the name of a model is required", place="model")
    # Most requests state few of the others; looking is cheaper than asking a reader.
    options = raw.optional_object(fields, "stream_options") if "stream_options" in fields else None
    return _Head(
        model=model,
        stream="stream" in fields and raw.optional_flag(fields, "stream"),
        max_tokens=_read_limit(fields),
        user=_read_user(fields),
        terms=_read_terms(fields) if "service_tier" in fields else Terms(),
        wants_usage=bool(options) and raw.optional_flag(options, "include_usage", "stream_options"),
    )


def _front(pieces: Sequence[Piece]) -> int:
    """Return how many messages there are before the first that is no system message."""
    front = 0
    while front < len(pieces) and pieces[front].role is Role.SYSTEM:
        front += 1
    return front


def _read_limit(fields: Mapping[str, bytes]) -> int | None:
    """Return the output limit; `max_tokens` is the older name."""
    limit = raw.optional_count(fields, "max_completion_tokens")
    older_limit = raw.optional_count(fields, "max_tokens")
    return older_limit if limit is None else limit


def _read_user(fields: Mapping[str, bytes]) -> str:
    """Return the end user; `safety_identifier` is the newer name."""
    user = raw.optional_text(fields, "user") if "user" in fields else ""
    return user or (raw.optional_text(fields, "safety_identifier") if "safety_identifier" in fields else "")


def _read_terms(fields: Mapping[str, bytes]) -> Terms:
    return read_terms(raw.optional_text(fields, "service_tier")) or Terms()


def _read_tools(fields: Mapping[str, bytes], reader: PieceReader) -> str:
    """Read the tools; return the field that they are in. `functions` is the older name."""
    for name in ("tools", "functions"):
        value = fields.get(name, raw.NULL)
        if value != raw.NULL:
            reader.take(value, name, _TOOL_TAG, read_tool)
            return name
    return "tools"


def _default_ttl(fields: Mapping[str, bytes]) -> str:
    """Return the lifetime of breakpoints that state none: the request's, else the provider's."""
    if "prompt_cache_options" not in fields:
        return _DEFAULT_TTL
    options = raw.optional_object(fields, "prompt_cache_options")
    return raw.optional_text(options, "ttl", "prompt_cache_options") or _DEFAULT_TTL


def _writes_last_12h(request: Request) -> bool:
    """Whether the request's cache writes last 12 hours.

    Usage does not tell the lifetimes apart; where a request mixes them, all count as the dearer.
    """
    if _default_ttl(request.fields) == LONG_TTL:
        return True
    return LONG_MARKS in request.features


def _system_salt(fields: Mapping[str, bytes]) -> bytes:
    """What keeps cached tools but not the rest: a JSON schema for the output.

    OpenAI's prompt caching guide puts the schema before the system message; where it stands to the tools
    is not said, so that this is an assumption. Tool choice, effort and sampling are not known to matter.
    """
    value = fields.get("response_format")
    if value is None or b"json_schema" not in value:
        return b""
    return digest(raw.compact(value))


def _mark_message(message: raw.Slice, marks: Mapping[int, Mark | None], field: MarkField) -> bytes:
    members = raw.read_object(message, "")
    content = members["content"]
    if raw.read_text(members["role"], "") == "tool" and raw.is_array(content):
        # A tool's message is one block, which ends with its last part.
        parts = len(raw.read_array(content, ""))
        marks = dict.fromkeys(range(parts)) | {parts - 1: marks[0]}
    members["content"] = msgspec.Raw(mark_content(content, marks, field))
    return raw.encode(members)


OPENAI_CHAT = OpenAIChat()
