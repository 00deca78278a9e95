"""Traffic logs: one call a line, as capture writes them.

`{"at": RFC 3339, "dialect", "tenant", "agent", "task", "conversation", "request": {…}, "response": {…},
"latency_ms"}`. What the model said and how many tokens that took is the recording's; how its prompt is
billed is not, since other settings meet other caches.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from bursar.double.speech import Counted, Ending, Speech, SpokenCall
from bursar.double.transcripts import speech_of
from bursar.errors import BadRequest
from bursar.replay.calls import RecordedCall
from bursar.wire.dialects import DIALECTS


class FailedCall(Exception):  # It never leaves this package.
    """The call that a line holds failed when it was recorded: the provider answered with an error."""


class _Line(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    dialect: str
    request: msgspec.Raw
    response: msgspec.Raw
    tenant: str | None = None
    agent: str | None = None
    task: str | None = None
    conversation: str | None = None
    user: str | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None

    def labels(self) -> dict[str, str]:
        names = ("tenant", "agent", "task", "conversation", "user")
        return {name: value for name in names if (value := getattr(self, name))}


class _Failure(msgspec.Struct):
    error: Any = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _AnthropicAnswer(msgspec.Struct):
    content: list[_Block]


class _Choice(msgspec.Struct):
    message: dict[str, Any]


class _OpenAIAnswer(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]


def read_logged_call(line: bytes, place: str) -> RecordedCall:
    """Read a line that holds a call.

    Args:
        line: The line.
        place: File and line, for what is made of it.

    Raises:
        BadRequest: A field is missing or wrong.
        FailedCall: It was answered with an error, so there is nothing to replay.
    """
    try:
        logged = msgspec.json.decode(line, type=_Line)
        if logged.dialect not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise BadRequest(
                f'"{logged.dialect}" is no dialect that is known; known: {known}', place="dialect"
            )
        for name in ("request", "response"):
            if not bytes(getattr(logged, name)).lstrip().startswith(b"{"):
                raise BadRequest("is no object", place=name)
        speech = _speech(logged)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadRequest(str(error)) from None
    return RecordedCall(
        place=place,
        at_s=logged.at.timestamp(),
        made_up=False,
        duration_s=(logged.latency_ms or 0.0) / 1000,
        dialect=logged.dialect,
        labels=logged.labels(),
        body=bytes(logged.request),
        speech=speech,
    )


def _speech(logged: _Line) -> Speech:
    dialect, response = logged.dialect, bytes(logged.response)
    if msgspec.json.decode(response, type=_Failure).error is not None:
        raise FailedCall
    try:
        speech = _anthropic(response) if dialect == "anthropic.messages" else _openai(response)
    except msgspec.ValidationError as error:
        raise BadRequest(f"is no answer of {dialect}: {error}", place="response") from None
    usage = DIALECTS[dialect].answer(response).usage
    counted = Counted(usage.output, usage.reasoning, usage.web_search) if usage is not None else None
    return Speech(speech.text, speech.calls, speech.ending, counted=counted)


def _anthropic(response: bytes) -> Speech:
    blocks = msgspec.json.decode(response, type=_AnthropicAnswer).content
    text = "".join([block.text for block in blocks if block.type == "text"])
    calls = tuple(
        SpokenCall(block.id, block.name, bytes(block.input).decode("utf-8", "replace"))
        for block in blocks
        if block.type == "tool_use"
    )
    return Speech(text, calls, Ending.TOOL_CALLS if calls else Ending.DONE)


def _openai(response: bytes) -> Speech:
    # Where several choices were asked for, the first speaks for all.
    return speech_of(msgspec.json.decode(response, type=_OpenAIAnswer).choices[0].message, 0)
