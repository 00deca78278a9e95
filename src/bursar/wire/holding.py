"""Passing a stream's events on, and holding back the terminal one."""

from collections.abc import Callable
from enum import Enum, auto

from bursar.wire.sse import EventSplitter, end_event, read_event


class Verdict(Enum):
    """What becomes of an event."""

    PASS = auto()
    DROP = auto()
    HOLD = auto()  # It is terminal: it stays here, with all that follows.


class EventHold:
    """The part of a `StreamMeter` that is the same in every dialect.

    Args:
        see: Takes in one raw event and says what becomes of it.
        is_terminal: Whether an event's data are those of a terminal event that completes an answer. Asked
            of an event whose closing blank line has not come, which may be the last of the stream.
    """

    def __init__(self, see: Callable[[bytes], Verdict], is_terminal: Callable[[bytes], bool]) -> None:
        self._splitter = EventSplitter()
        self._see = see
        self._is_terminal = is_terminal
        self._held: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes; return those to pass on now."""
        events = self._splitter.feed(chunk)
        if self._held:
            self._held += events
            return b""
        see = self._see
        passed: list[bytes] = []
        for number, event in enumerate(events):
            verdict = see(event)
            if verdict is Verdict.PASS:
                passed.append(event)
            elif verdict is Verdict.HOLD:
                self._held = events[number:]
                break
        return b"".join(passed)

    @property
    def holds(self) -> bool:
        """Whether a terminal event is held back."""
        return bool(self._held)

    @property
    def ends_unclosed(self) -> bool:
        """Whether what has come last is a terminal event without its closing blank line."""
        pending = b"" if self._held else self._splitter.pending
        return bool(pending) and self._is_terminal(read_event(pending)[1])

    def rest(self) -> bytes:
        """Return the terminal event and what followed it; nothing after a cut."""
        if self._held:
            return b"".join(self._held) + self._splitter.pending
        return end_event(self._splitter.pending) if self.ends_unclosed else b""


def single_line_data(event: bytes) -> bytes:
    """Return an event's data; fast where it is one `data: ` line, as providers write it."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
        return event[6:-2]
    return read_event(event)[1]
