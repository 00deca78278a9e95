"""Reading answers of the Chat Completions API, whole and as a stream of chunks.

A stream is chunks of `choices[].delta`, then (where `stream_options.include_usage` asked for it) a chunk
with usage and no choices, then `[DONE]`. An error comes as a chunk with an `error` object, and ends it.
Source: openai SDK 3.54 types, checked 2026-11-24.
"""

import re

import msgspec

from bursar.errors import BadUsage
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Answer
from bursar.wire.holding import EventHold, Verdict, single_line_data
from bursar.wire.openai_usage import read_terms, read_usage
from bursar.wire.received import Received

_DONE = b"[DONE]"
_CHUNKS_MAX = 512  # Chunks are decoded in batches: off the way of each one, bounded in memory.

_NULL = msgspec.Raw(b"null")

# A provider that was asked for usage says `"usage": null` in every chunk before. A client that did not ask
# sees none of it. Quotes inside strings are escaped, so this matches a member only.
_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Message(msgspec.Struct):
    """An answer's message, or a part of it."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    """An answer, or a chunk of one."""

    model: str | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _Bare(msgspec.Struct):
    """An answer of which only this can be read."""

    usage: msgspec.Raw = _NULL


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None


_COMPLETION = msgspec.json.Decoder(_Completion)
_BARE = msgspec.json.Decoder(_Bare)
_ERROR = msgspec.json.Decoder(_Error)


class _Progress:
    """What is known of an answer."""

    def __init__(self, *, writes_last_12h: bool) -> None:
        self._writes_last_12h = writes_last_12h
        self._received = Received()
        self._calls: set[int] = set()
        self._model = ""
        self._service_tier = ""
        self._stop_reason = ""
        self.usage: raw.Slice = b""
        self.problem = ""

    def take(self, completion: _Completion) -> None:
        """Take in an answer or a chunk."""
        self._model = completion.model or self._model
        self._service_tier = completion.service_tier or self._service_tier
        if not raw.is_null(completion.usage):
            self.usage = completion.usage
        for choice in completion.choices or ():
            message = choice.delta or choice.message
            if message is not None:
                self._take_message(message, first=choice.index == 0)
            if choice.index == 0:
                self._stop_reason = choice.finish_reason or self._stop_reason

    def answer(self, *, complete: bool) -> Answer:
        """Return what is known."""
        usage = None
        problem = self.problem
        try:
            usage = read_usage(self.usage, writes_last_12h=self._writes_last_12h)
        except BadUsage as error:
            problem = problem or str(error)
        return Answer(
            usage=usage,
            terms=read_terms(self._service_tier),
            model=self._model,
            stop_reason=self._stop_reason,
            echo=self._received.echo(),
            received="" if usage and complete else self._received.generated(),
            complete=complete,
            problem=problem,
        )

    def _take_message(self, message: _Message, *, first: bool) -> None:
        """Take in a message. A client sends back one of several choices: the first, as a rule."""
        received = self._received
        if message.content:
            (received.texts if first else received.unspoken).append(message.content)
        if message.refusal:
            received.unspoken.append(message.refusal)
        for number, call in enumerate(message.tool_calls or ()):
            index = number if call.index is None else call.index
            if first and call.id and index not in self._calls:
                self._calls.add(index)
                received.call_ids.append(call.id)
            function = call.function or call.custom
            if function is not None:
                self._take_function(function)
        if message.function_call is not None:
            self._take_function(message.function_call)

    def _take_function(self, function: _Function) -> None:
        parts = (function.name, function.arguments, function.input)
        self._received.unspoken.extend([part for part in parts if part])


def read_answer(body: bytes, *, writes_last_12h: bool) -> Answer:
    """Read a whole answer; see `Dialect.answer`."""
    progress = _Progress(writes_last_12h=writes_last_12h)
    completion = raw.attempt(_COMPLETION, body)
    if completion is not None:
        progress.take(completion)
        # Some object or other is no answer; one without usage still is, if it has choices.
        answers = completion.choices is not None or not raw.is_null(completion.usage)
        if not answers or not raw.is_null(completion.error):
            progress.problem = "the answer is no completion"
            return progress.answer(complete=False)
        return progress.answer(complete=True)
    bare = raw.attempt(_BARE, body)
    if bare is None:
        progress.problem = "the answer is no completion"
        return progress.answer(complete=False)
    progress.usage = bare.usage
    return progress.answer(complete=True)


class OpenAIMeter:
    """Fills `StreamMeter` for the Chat Completions API.

    Args:
        writes_last_12h: Whether cache writes are for 12 hours (else 30 minutes).
        passes_usage: Whether the client asked for the chunk that holds only usage.
    """

    def __init__(self, *, writes_last_12h: bool, passes_usage: bool) -> None:
        self._hold = EventHold(self._see, _is_done)
        self._passes_usage = passes_usage
        self._progress = _Progress(writes_last_12h=writes_last_12h)
        self._chunks: list[bytes] = []
        self._completed = False

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes; see `StreamMeter.feed`."""
        passed = self._hold.feed(chunk)
        if self._passes_usage or b'"usage"' not in passed:
            return passed
        return _NULL_USAGE.sub(b"", passed)

    @property
    def ended(self) -> bool:
        """Whether a terminal event has arrived; see `StreamMeter.ended`."""
        return self._hold.holds or self._hold.ends_unclosed

    def rest(self) -> bytes:
        """Return the terminal event; see `StreamMeter.rest`."""
        return self._hold.rest()

    def answer(self) -> Answer:
        """Return what is known so far."""
        self._fold_chunks()
        return self._progress.answer(complete=self._completed or self._hold.ends_unclosed)

    def _see(self, event: bytes) -> Verdict:
        data = single_line_data(event)
        if _is_done(data):
            self._completed = True
            return Verdict.HOLD
        # Quotes inside strings are escaped, so these are members (or values) of the chunk itself.
        if (b'"usage"' in data and b'"usage":null' not in data) or b'"error"' in data:
            return self._see_rare(data)
        if data:
            self._chunks.append(data)
            if len(self._chunks) >= _CHUNKS_MAX:
                self._fold_chunks()
        return Verdict.PASS

    def _see_rare(self, data: bytes) -> Verdict:
        self._fold_chunks()
        chunk = raw.attempt(_COMPLETION, data)
        if chunk is None:
            return Verdict.PASS
        self._progress.take(chunk)
        if not raw.is_null(chunk.error):
            error = raw.attempt(_ERROR, chunk.error) or _Error()
            self._progress.problem = (
                f"the provider ended the stream with {(error.type or error.code or 'an error')[:60]}"
            )
            return Verdict.HOLD
        only_usage = not chunk.choices and not raw.is_null(chunk.usage)
        return Verdict.DROP if only_usage and not self._passes_usage else Verdict.PASS

    def _fold_chunks(self) -> None:
        # One that cannot be read was passed on as it came; only an estimate misses its text.
        for chunk in raw.attempt_each(_COMPLETION, self._chunks):
            self._progress.take(chunk)
        self._chunks.clear()


def _is_done(data: bytes) -> bool:
    return data.strip() == _DONE
