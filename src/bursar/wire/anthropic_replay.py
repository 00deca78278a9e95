"""An answer of the Messages API as a stream of events, and a stream as a whole answer.

Values keep their raw bytes, ids and usage included; a tool's input streams as text and comes back as the
bytes that it was. What cannot be told in the other form without loss or
guessing gives None. Source: anthropic SDK 2.12 types and its stream accumulation, checked 2026-11-24.
"""

from collections.abc import Iterator

import msgspec

from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.anthropic_usage import merge_usage
from bursar.wire.sse import EventSplitter, read_event

_NULL = b"null"
# What a stream says at its end. Absent members stay absent.
_SAID_LAST = ("stop_reason", "stop_sequence", "stop_details", "container")
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

Members = dict[str, raw.Slice]


def as_stream(body: bytes) -> bytes | None:
    """Write a whole answer as a stream; None where it is no message."""
    try:
        message: Members = {**raw.read_object(body, "")}
        blocks = raw.read_array(message["content"], "content")
        events = [_start(message)]
        for index, block in enumerate(blocks):
            events += _block_events(b"%d" % index, {**raw.read_object(block, "")})
        events.append(_end(message))
    except (BadRequest, KeyError):
        return None
    return b"".join([*events, _STOP])


def as_whole(stream: bytes) -> bytes | None:
    """Write a complete stream as a whole answer; None where it is not complete, or holds unknown deltas."""
    try:
        return _Whole().read(stream)
    except (BadRequest, KeyError):
        return None


def _start(message: Members) -> bytes:
    usage = message["usage"]
    if "output_tokens" in raw.read_object(usage, "usage"):
        usage = raw.set_member(usage, "output_tokens", b"0")
    unsaid = dict.fromkeys([name for name in _SAID_LAST if name in message], _NULL)
    begun = {**message, **unsaid, "content": b"[]", "usage": usage}
    return _event(b"message_start", b'"message":' + raw.join_object(begun))


def _end(message: Members) -> bytes:
    said = {name: message[name] for name in _SAID_LAST if name in message}
    rest: Members = {"delta": raw.join_object(said), "usage": message["usage"]}
    if "context_management" in message:
        rest["context_management"] = message["context_management"]
    return _event(b"message_delta", raw.join_object(rest)[1:-1])


def _block_events(index: bytes, block: Members) -> Iterator[bytes]:
    """Yield a block's start, deltas and stop. Blocks of other types come whole with their start."""
    kind = raw.read_text(block["type"], "type")
    deltas: list[tuple[bytes, bytes, raw.Slice]] = []
    begun = dict(block)
    if kind == "text":
        for citation in _citations(block):
            begun["citations"] = b"[]"
            deltas.append((b"citations_delta", b"citation", citation))
        begun["text"] = b'""'
        deltas.append((b"text_delta", b"text", block["text"]))
    elif kind == "thinking":
        begun["thinking"] = b'""'
        deltas.append((b"thinking_delta", b"thinking", block["thinking"]))
        if "signature" in block:
            begun["signature"] = b'""'
            deltas.append((b"signature_delta", b"signature", block["signature"]))
    elif kind.endswith("tool_use") and "input" in block and raw.is_object(block["input"]):
        begun["input"] = b"{}"
        text = bytes(block["input"])
        if text != b"{}":
            deltas.append((b"input_json_delta", b"partial_json", raw.encode(text.decode())))
    at = b'"index":' + index
    yield _event(b"content_block_start", at + b',"content_block":' + raw.join_object(begun))
    for name, member, value in deltas:
        delta = b'{"type":"%b","%b":%b}' % (name, member, bytes(value))
        yield _event(b"content_block_delta", at + b',"delta":' + delta)
    yield _event(b"content_block_stop", at)


def _citations(block: Members) -> list[msgspec.Raw]:
    citations = block.get("citations")
    return [] if citations is None or raw.is_null(citations) else raw.read_array(citations, "citations")


def _event(name: bytes, members: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b",%b}\n\n' % (name, name, members)


class _Block:
    """A block that is being put together."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._texts: dict[str, list[str]] = {}
        self._citations: list[raw.Slice] = []
        self._input: list[str] = []

    def take(self, delta: raw.RawObject) -> None:
        kind = raw.read_text(delta["type"], "delta.type")
        if kind in {"text_delta", "thinking_delta"}:
            member = kind.removesuffix("_delta")
            self._texts.setdefault(member, []).append(raw.read_text(delta[member], member))
        elif kind == "signature_delta":
            self._members["signature"] = delta["signature"]
        elif kind == "input_json_delta":
            self._input.append(raw.read_text(delta["partial_json"], "partial_json"))
        elif kind == "citations_delta":
            self._citations.append(delta["citation"])
        else:
            raise BadRequest(f"a delta of an unknown type, {kind}")

    def whole(self) -> bytes:
        members = self._members
        for name, texts in self._texts.items():
            begun = raw.read_text(members[name], name)
            members[name] = raw.encode(begun + "".join(texts))
        if self._citations:
            members["citations"] = raw.join_array([*_citations(members), *self._citations])
        if text := "".join(self._input):
            members["input"] = text.encode()
            # It must be JSON: a call that the model did not finish is no answer to repeat.
            raw.read_object(members["input"], "input")
        return raw.join_object(members)


class _Whole:
    """Puts a whole answer together from events."""

    def __init__(self) -> None:
        self._message: Members = {}
        self._blocks: list[_Block] = []
        self._complete = False

    def read(self, stream: bytes) -> bytes | None:
        for event in EventSplitter().feed(stream + b"\n\n"):
            data = read_event(event)[1]
            if data:
                self._take(raw.read_object(data, "event"))
        if not self._complete:
            return None
        content = raw.join_array([block.whole() for block in self._blocks])
        return raw.join_object({**self._message, "content": content})

    def _take(self, event: raw.RawObject) -> None:
        kind = raw.read_text(event["type"], "type")
        if kind == "message_start":
            self._message = {**raw.read_object(event["message"], "message")}
        elif kind == "content_block_start":
            if bytes(event["index"]) != b"%d" % len(self._blocks):
                raise BadRequest("blocks do not come one after another")
            self._blocks.append(_Block({**raw.read_object(event["content_block"], "content_block")}))
        elif kind == "content_block_delta":
            self._block(event["index"]).take(raw.read_object(event["delta"], "delta"))
        elif kind == "message_delta":
            self._end(event)
        elif kind == "message_stop":
            self._complete = True
        elif kind == "error":
            raise BadRequest("the stream ended with an error")

    def _block(self, index: raw.Slice) -> _Block:
        digits = bytes(index)
        if not digits.isdigit() or int(digits) >= len(self._blocks):
            raise BadRequest("a delta belongs to no block")
        return self._blocks[int(digits)]

    def _end(self, event: raw.RawObject) -> None:
        message = self._message
        for name, value in raw.read_object(event["delta"], "delta").items():
            # A container is named at the start or at the end.
            if not raw.is_null(value) or name not in message:
                message[name] = value
        message["usage"] = merge_usage(message["usage"], event.get("usage", _NULL))
        message.update({k: v for k, v in event.items() if k not in {"type", "delta", "usage"}})
