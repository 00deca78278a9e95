"""Giving an answer again that was given before: in the form that is asked for now, and only if it is whole.

Ids and usage stay as the provider wrote them; a stream's timing is gone. A conversion gives None where
something cannot be told in the other form: then there is no answer to give, and the call is made.
"""

import re
from enum import StrEnum

from bursar.wire import anthropic, anthropic_replay, openai_chat, openai_replay
from bursar.wire.dialect import Answer, StreamMeter

_TO_STREAM = {anthropic.NAME: anthropic_replay.as_stream, openai_chat.NAME: openai_replay.as_stream}
_TO_WHOLE = {anthropic.NAME: anthropic_replay.as_whole, openai_chat.NAME: openai_replay.as_whole}

_DONE = frozenset({"end_turn", "stop_sequence", "tool_use", "stop", "tool_calls", "function_call"})
_LIMIT = frozenset({"max_tokens", "length"})

# Cheap looks at raw bytes: quotes inside JSON strings are escaped, so these match structure only.
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"([^"]*)"')
_REFUSAL = re.compile(rb'"refusal"\s*:\s*"[^"]')


class Ending(StrEnum):
    """How an answer ended, in terms that all dialects share."""

    DONE = "done"
    LIMIT = "limit"
    OTHER = "other"  # Refused, filtered, paused, out of context, or for a reason that we do not know.


def as_stream(dialect: str, body: bytes) -> bytes | None:
    """Write a whole answer as a stream of its dialect, usage and terminal event included.

    Pass it through `Dialect.meter`, which leaves out what the client did not ask for.
    """
    convert = _TO_STREAM.get(dialect)
    return convert(body) if convert else None


def as_whole(dialect: str, stream: bytes) -> bytes | None:
    """Write a stream as a whole answer of its dialect."""
    convert = _TO_WHOLE.get(dialect)
    return convert(stream) if convert else None


def read_ending(dialect: str, answer: Answer, content: bytes) -> Ending:
    """Say how an answer ended; of several choices the worst counts.

    Args:
        dialect: The dialect's name.
        answer: What was read of it.
        content: Its body, or its stream.
    """
    reasons = {answer.stop_reason}
    if not answer.complete or answer.problem:
        return Ending.OTHER
    if dialect == openai_chat.NAME:
        if _REFUSAL.search(content):
            return Ending.OTHER
        reasons.update(reason.decode(errors="replace") for reason in _FINISH_REASON.findall(content))
    if reasons <= _DONE:
        return Ending.DONE
    return Ending.LIMIT if reasons <= _DONE | _LIMIT else Ending.OTHER


class RecordingMeter:
    """A `StreamMeter` that keeps what the provider sent, beside metering it.

    Args:
        meter: Does the metering.
        bytes_max: How much is kept; a stream that is longer is not kept at all.
    """

    def __init__(self, meter: StreamMeter, bytes_max: int) -> None:
        self._meter = meter
        self._room_bytes = bytes_max
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes; see `StreamMeter.feed`."""
        self._room_bytes -= len(chunk)
        if self._room_bytes >= 0:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        return self._meter.feed(chunk)

    @property
    def ended(self) -> bool:
        """Whether the terminal event has arrived; see `StreamMeter.ended`."""
        return self._meter.ended

    def rest(self) -> bytes:
        """Return what is held back; see `StreamMeter.rest`."""
        return self._meter.rest()

    def answer(self) -> Answer:
        """Return what is known so far; see `StreamMeter.answer`."""
        return self._meter.answer()

    def content(self) -> bytes | None:
        """Return the whole stream; None where it has not ended, or was too long to keep."""
        return b"".join(self._chunks) if self._room_bytes >= 0 and self.ended else None
