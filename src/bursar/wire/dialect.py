"""What every dialect can do, and the values that it speaks in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from bursar.domain.prices import Terms
from bursar.domain.prompt import Mark, Piece, Place, Prompt
from bursar.domain.usage import Usage
from bursar.wire.memo import PieceMemo


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request body, read.

    Attributes:
        dialect: Name of the dialect.
        fields: Raw JSON of each top-level field, in the client's order; of a repeated one the last.
        model: The model it asks for.
        stream: Whether it asks for a stream.
        max_tokens: Its output limit; None where it states none.
        user: The dialect's own field for an end user; empty where unsaid.
        terms: What it asks to be billed under.
        wants_usage: Whether the client asked for usage on a stream (always so at Anthropic).
        prompt: Its prompt.
        piece_ends: For arrays of pieces, by field: where each element ends in the field's raw JSON.
        features: What the prompt's pieces hold, together (`Piece.features`).
    """

    dialect: str
    fields: Mapping[str, bytes]
    model: str
    stream: bool
    max_tokens: int | None
    user: str
    terms: Terms
    wants_usage: bool
    prompt: Prompt
    piece_ends: Mapping[str, Sequence[int]] = msgspec.field(default_factory=dict[str, Sequence[int]])
    features: frozenset[str] = frozenset()

    @property
    def array_pieces(self) -> tuple[Piece, ...]:
        """The pieces of the array `messages`: at OpenAI the system messages stand there too."""
        prompt = self.prompt
        in_array = len(self.piece_ends["messages"]) == len(prompt.messages)
        return prompt.messages if in_array else prompt.system + prompt.messages


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A request body that was parsed, but whose new texts are yet to be counted.

    Attributes:
        texts: New texts, for the tokenizer. Empty where all pieces were remembered.
        finish: Give it the o200k tokens of each text, in order; it returns the request, and the memo
            has learned the new pieces.
    """

    texts: Sequence[str]
    finish: Callable[[Sequence[int]], Request]

    def counted(self, count: Callable[[Sequence[str]], Sequence[int]]) -> Request:
        """Return the request, its new texts counted by `count` (`Tokenizer.count`)."""
        return self.finish(count(self.texts) if self.texts else ())


class Edits(msgspec.Struct, frozen=True, gc=False):
    """Changes to a request. Everything else keeps its bytes.

    Attributes:
        marks: Cache marks to set (or, with None, to take away), by place.
        fields: Top-level fields to set, as raw JSON; an absent one is appended.
    """

    marks: Mapping[Place, Mark | None] = msgspec.field(default_factory=dict[Place, Mark | None])
    fields: Mapping[str, bytes] = msgspec.field(default_factory=dict[str, bytes])


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back, as far as it concerns money and threads.

    Attributes:
        usage: Disjoint token classes; None where the provider reported none.
        terms: What it was billed under, where the answer says; else None.
        model: The model that answered; empty where unsaid.
        stop_reason: As the provider wrote it; empty where unsaid.
        echo: Digest of the answer's text and tool-call ids, equal to `Piece.echo` of the assistant
            message with which a client sends this answer back.
        received: Text, tool arguments and thinking that arrived; kept only where `usage` is None or
            partial (the answer is incomplete), to estimate by.
        complete: Whether a terminal event (or the whole body) arrived.
        problem: Why `usage` is None, or why the provider ended a stream; empty where all is well.
    """

    usage: Usage | None
    terms: Terms | None
    model: str
    stop_reason: str
    echo: bytes
    received: str
    complete: bool
    problem: str = ""


class StreamMeter(Protocol):
    """Reads a stream's bytes as they pass. Pure: bytes in, bytes out.

    The terminal event is held back, so that the ledger is committed before the last byte leaves.
    """

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes, cut anywhere; return those to pass on now.

        These are complete events, byte for byte. From the terminal event on, everything is held back.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether the terminal event has arrived, be it without its closing blank line.

        An error event of the provider is terminal too, but leaves the answer incomplete.
        """
        ...

    def rest(self) -> bytes:
        """Return what is held back: the terminal event and what followed it.

        Empty after a cut: a client discards an unfinished event, and an error event may follow it.
        """
        ...

    def answer(self) -> Answer:
        """Return what is known so far; complete only if the terminal event has arrived."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """An error to tell the client about.

    Attributes:
        status: HTTP status.
        kind: Error type in the dialect's vocabulary or ours, such as `invalid_request_error`.
        message: For a person: what is wrong, where, and how to mend it.
        details: Further members of the error object.
    """

    status: int
    kind: str
    message: str
    details: Mapping[str, str | int | None] = field(default_factory=dict[str, str | int | None])


class Dialect(Protocol):
    """One provider API."""

    @property
    def name(self) -> str:
        """Such as `anthropic.messages`."""
        ...

    def read(self, body: bytes, memo: PieceMemo) -> Reading:
        """Parse a request body.

        Only pieces that the memo does not know are parsed. Fields and block types that we do not know
        pass; the provider judges them.

        Raises:
            BadRequest: It is not what the dialect allows, as far as we look at it; nothing else is raised.
        """
        ...

    def reread(self, request: Request, messages: bytes, memo: PieceMemo) -> Reading:
        """Read a request with other messages in place of its own.

        Args:
            request: The request.
            messages: Raw JSON of the field `messages`, as the dialect allows it.
            memo: What is remembered of earlier bodies.
        """
        ...

    def reread_fields(self, request: Request, fields: Mapping[str, bytes], memo: PieceMemo) -> Reading:
        """Read a request with other fields in place of its own, of those that hold pieces of the prompt.

        Args:
            request: The request.
            fields: Raw JSON of `messages`, `system` or `tools`, as the dialect allows it. None that the
                request has not.
            memo: What is remembered of earlier bodies.
        """
        ...

    def with_fields(self, request: Request, fields: Mapping[str, bytes]) -> Request:
        """Return a request with other top-level fields, none of which holds pieces of the prompt.

        Args:
            request: The request.
            fields: Raw JSON by name, as the dialect allows it.
        """
        ...

    def write(self, request: Request, edits: Edits) -> bytes:
        """Return the request's body with the edits applied.

        Fields keep their order and their raw values; a mark changes the block that it stands on only
        (text given as a string becomes an array of one text block). Marks apply after fields.

        Raises:
            ValueError: A mark's place is not in the request, or takes no mark.
        """
        ...

    def usage_request_fields(self, request: Request) -> Mapping[str, bytes]:
        """Return the fields to set (`Edits.fields`) so that a stream reports usage.

        Empty where it does so anyway. What only we asked for, the meter does not pass on.
        """
        ...

    def answer(self, body: bytes, request: Request | None = None) -> Answer:
        """Read a whole (not streamed) answer. Garbage gives an incomplete answer without usage.

        Args:
            body: The answer.
            request: What it answers, as far as usage cannot be read without (the lifetime of OpenAI's
                cache writes).
        """
        ...

    def meter(self, request: Request) -> StreamMeter:
        """Start metering a stream that answers `request`."""
        ...

    def error(self, fault: Fault, operation_id: str) -> bytes:
        """Write an error body as the provider would."""
        ...

    def error_event(self, fault: Fault, operation_id: str) -> bytes:
        """Write an error for a stream that has already begun."""
        ...
