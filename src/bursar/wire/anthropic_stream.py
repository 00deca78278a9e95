"""Reading answers of the Messages API, whole and as a stream of events.

A stream is `message_start` (prompt usage), blocks of `content_block_start`, `…_delta`, `…_stop`, then
`message_delta` (stop reason, cumulative usage) and `message_stop`; `ping` and unknown events may come
anywhere, and an `error` event ends it. Source: anthropic SDK 2.12 types, checked 2026-11-24.
"""

import msgspec

from bursar.domain.prices import Terms
from bursar.errors import BadUsage
from bursar.wire import raw_json as raw
from bursar.wire.anthropic_usage import (
    Reported,
    billed_terms,
    merge_usage,
    read_terms,
    read_usage,
    token_classes,
)
from bursar.wire.dialect import Answer
from bursar.wire.drafts import echo_digest
from bursar.wire.holding import EventHold, Verdict
from bursar.wire.received import Received
from bursar.wire.sse import read_event

_DELTA_PREFIX = b"event: content_block_delta\ndata: "
_DELTAS_MAX = 512  # Deltas are decoded in batches: off the way of each chunk, bounded in memory.

_NULL = msgspec.Raw(b"null")


class _Delta(msgspec.Struct):
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    stop_reason: str | None = None


class _ContentBlock(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = _NULL


class _Bare(msgspec.Struct):
    """An answer of which only this can be read."""

    usage: msgspec.Raw = _NULL


class _Message(msgspec.Struct):
    model: str = ""
    stop_reason: str | None = None
    usage: msgspec.Raw = _NULL
    content: msgspec.Raw = _NULL


class _Whole(msgspec.Struct):
    """A whole answer with usage, all of it of the right types: as nearly all answers are."""

    usage: Reported
    model: str = ""
    stop_reason: str | None = None
    content: list[_ContentBlock] | None = None


class _Error(msgspec.Struct):
    type: str = "an error"


class _Event(msgspec.Struct):
    type: str
    message: msgspec.Raw = _NULL
    content_block: msgspec.Raw = _NULL
    delta: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _DeltaEvent(msgspec.Struct):
    delta: _Delta


_EVENT = msgspec.json.Decoder(_Event)
_DELTA_EVENT = msgspec.json.Decoder(_DeltaEvent)
_DELTA = msgspec.json.Decoder(_Delta)
_BLOCK = msgspec.json.Decoder(_ContentBlock)
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_WHOLE = msgspec.json.Decoder(_Whole)
_MESSAGE = msgspec.json.Decoder(_Message)
_BARE = msgspec.json.Decoder(_Bare)
_ERROR = msgspec.json.Decoder(_Error)


def read_answer(body: bytes, asked: Terms | None = None) -> Answer:
    """Read a whole answer to a request that asked for `asked`; see `Dialect.answer`."""
    whole = raw.attempt(_WHOLE, body)
    if whole is None:
        return _read_odd_answer(body, asked)
    try:
        usage = token_classes(whole.usage)
    except BadUsage:
        return _read_odd_answer(body, asked)
    blocks = whole.content or ()
    return Answer(
        usage=usage,
        terms=billed_terms(whole.usage, asked),
        model=whole.model,
        stop_reason=whole.stop_reason or "",
        echo=echo_digest(
            [block.text for block in blocks if block.type == "text"],
            [block.id for block in blocks if block.type == "tool_use"],
        ),
        received="",
        complete=True,
    )


def _read_odd_answer(body: bytes, asked: Terms | None) -> Answer:
    """Read what can be read of an answer whose parts may be anything."""
    message = _read_message(body)
    # Some object or other is no answer; one without usage still is, if it has content.
    if message is None or (raw.is_null(message.content) and raw.is_null(message.usage)):
        return Answer(None, None, "", "", b"", "", complete=False, problem="the answer is no message")
    received = Received()
    for block in raw.attempt(_BLOCKS, message.content) or ():
        _take_block(received, block)
    return _answer(message, received, asked, complete=True, problem="")


class AnthropicMeter:
    """Fills `StreamMeter` for the Messages API.

    Args:
        asked: What the request asked to be billed under.
    """

    def __init__(self, asked: Terms | None = None) -> None:
        self._asked = asked
        self._hold = EventHold(self._see, _completes)
        self._completed = False
        self._message = _Message()
        self._received = Received()
        self._deltas: list[bytes] = []
        self._problem = ""

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes; see `StreamMeter.feed`."""
        return self._hold.feed(chunk)

    @property
    def ended(self) -> bool:
        """Whether a terminal event has arrived; see `StreamMeter.ended`."""
        return self._hold.holds or self._hold.ends_unclosed

    def rest(self) -> bytes:
        """Return the terminal event; see `StreamMeter.rest`."""
        return self._hold.rest()

    def answer(self) -> Answer:
        """Return what is known so far."""
        self._fold_deltas()
        complete = self._completed or self._hold.ends_unclosed
        return _answer(self._message, self._received, self._asked, complete=complete, problem=self._problem)

    def _see(self, event: bytes) -> Verdict:
        # Fast where the data are one line, as the provider writes them.
        if event.startswith(_DELTA_PREFIX) and event.find(b"\n", len(_DELTA_PREFIX)) == len(event) - 2:
            self._take_delta(event[len(_DELTA_PREFIX) :])
            return Verdict.PASS
        return self._see_rare(read_event(event)[1])

    def _see_rare(self, data: bytes) -> Verdict:
        event = raw.attempt(_EVENT, data)
        if event is None:
            return Verdict.PASS
        if event.type == "message_start":
            self._message = _read_message(event.message) or self._message
        elif event.type == "content_block_start":
            # Deltas that came before belong before this block's own text.
            self._fold_deltas()
            _take_block(self._received, event.content_block)
        elif event.type == "content_block_delta":
            self._take_delta(data)
        elif event.type == "message_delta":
            delta = raw.attempt(_DELTA, event.delta) or _Delta()
            self._message.stop_reason = delta.stop_reason or self._message.stop_reason
            self._message.usage = msgspec.Raw(merge_usage(self._message.usage, event.usage))
        elif event.type == "message_stop":
            self._completed = True
            return Verdict.HOLD
        elif event.type == "error":
            kind = (raw.attempt(_ERROR, event.error) or _Error()).type
            self._problem = f"the provider ended the stream with {kind[:60]}"
            return Verdict.HOLD
        return Verdict.PASS

    def _take_delta(self, data: bytes) -> None:
        self._deltas.append(data)
        if len(self._deltas) >= _DELTAS_MAX:
            self._fold_deltas()

    def _fold_deltas(self) -> None:
        received = self._received
        for event in raw.attempt_each(_DELTA_EVENT, self._deltas):
            # One that cannot be read was passed on as it came; only an estimate misses its text.
            delta = event.delta
            if delta.text:
                received.texts.append(delta.text)
            elif delta.partial_json or delta.thinking:
                received.unspoken.append(delta.partial_json or delta.thinking)
        self._deltas.clear()


def _completes(data: bytes) -> bool:
    """Whether data are those of a `message_stop` event."""
    if b"message_stop" not in data:
        return False
    event = raw.attempt(_EVENT, data)
    return event is not None and event.type == "message_stop"


def _read_message(value: raw.Slice) -> _Message | None:
    """Read a message; where something else in it is not as it should be, its usage alone."""
    message = raw.attempt(_MESSAGE, value)
    if message is None and (bare := raw.attempt(_BARE, value)) is not None:
        return _Message(usage=bare.usage)
    return message


def _take_block(received: Received, value: msgspec.Raw) -> None:
    """Take in a content block, whole or as a stream begins it; what is not as it should be is left out."""
    block = raw.attempt(_BLOCK, value)
    if block is None:
        return
    if block.type == "text":
        received.texts.append(block.text)
    elif block.type == "thinking":
        received.unspoken.append(block.thinking)
    elif block.type == "tool_use":
        received.call_ids.append(block.id)
        arguments = bytes(block.input).decode(errors="replace")
        # A stream begins a call with empty arguments and sends them in deltas.
        received.unspoken.append(f"{block.name} {'' if arguments == '{}' else arguments}")


def _answer(
    message: _Message, received: Received, asked: Terms | None, *, complete: bool, problem: str
) -> Answer:
    usage = None
    try:
        usage = read_usage(message.usage)
    except BadUsage as error:
        problem = problem or str(error)
    return Answer(
        usage=usage,
        terms=read_terms(message.usage, asked),
        model=message.model,
        stop_reason=message.stop_reason or "",
        echo=received.echo(),
        received="" if usage and complete else received.generated(),
        complete=complete,
        problem=problem,
    )
