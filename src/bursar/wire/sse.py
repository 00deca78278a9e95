"""Server-sent events: a stream's bytes cut into whole events, however the network chunked them.

Events are kept as raw bytes, so that what is passed on is what came. The format is that of the WHATWG
HTML standard, section 9.2: lines end in CRLF, CR or LF, a blank line ends an event, a line that begins
with a colon is a comment, several `data` lines are joined by LF, a byte-order mark may come first.
"""

import re

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_LINE = rb"(?:\r\n|\r(?!\n)|\n)"
_BLANK_LINE = re.compile(_END_OF_LINE + _END_OF_LINE)


class EventSplitter:
    """Collects chunks and gives back whole events.

    An event that ends in a lone CR at the end of a chunk waits for the next byte, which may be the LF
    of its line end.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._returns = False  # Whether a CR has been seen: the slow way from then on.

    @property
    def pending(self) -> bytes:
        """Bytes of the event that is not complete yet."""
        return bytes(self._pending)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes; return the raw events that they complete, each with its closing blank line."""
        self._returns = self._returns or b"\r" in chunk
        pending = self._pending
        if pending:
            if not self._may_complete(chunk):
                pending += chunk
                return []
            chunk = bytes(pending) + chunk
        if self._returns:
            events, rest = _split_any(chunk)
        else:
            *events, rest = chunk.split(b"\n\n")
            events = [event + b"\n\n" for event in events]
        self._pending = bytearray(rest)
        return events

    def _may_complete(self, chunk: bytes) -> bool:
        """Whether a chunk may hold a blank line; a look at it alone keeps huge events linear."""
        joint = bytes(self._pending[-3:]) + chunk[:3]
        if self._returns:
            return _BLANK_LINE.search(joint) is not None or _BLANK_LINE.search(chunk) is not None
        return b"\n\n" in joint or b"\n\n" in chunk


def read_event(event: bytes) -> tuple[str, bytes]:
    """Return an event's name (empty where it has none) and its data, lines joined by LF."""
    name = ""
    data: list[bytes] = []
    for line in event.removeprefix(_BYTE_ORDER_MARK).splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    return name, b"\n".join(data)


def end_event(event: bytes) -> bytes:
    """Close an event with a blank line where the stream ended without one."""
    return event.rstrip(b"\r\n") + b"\n\n"


def _split_any(data: bytes) -> tuple[list[bytes], bytes]:
    events: list[bytes] = []
    start = 0
    for blank in _BLANK_LINE.finditer(data):
        if blank.end() == len(data) and data.endswith(b"\r"):
            break
        events.append(data[start : blank.end()])
        start = blank.end()
    return events, data[start:]
