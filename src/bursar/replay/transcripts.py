"""Transcripts: one recorded conversation a line, in either of two forms.

`{"conversation", "agent", "task", "messages": […]}` in OpenAI's message form: each assistant message is the
answer to one call. `{"conversation", …, "calls": [{"at_s", "input", "output"}]}`: one user message a call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import orjson

from bursar.double.speech import Speech
from bursar.double.transcripts import speech_of
from bursar.errors import BadRequest
from bursar.wire.transcript_messages import Message
from bursar.wire.transcripts import Turn, request_body, tools_named_in

Name = Annotated[str, msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    at_s: Seconds | None = None


class _Call(msgspec.Struct):
    input: str
    output: str
    at_s: Seconds | None = None


class _Head(msgspec.Struct):
    conversation: Name
    agent: str | None = None
    task: str | None = None
    tenant: str | None = None
    user: str | None = None

    def labels(self) -> dict[str, str]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


class _Messages(msgspec.Struct):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]


class _Calls(msgspec.Struct):
    calls: Annotated[list[_Call], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One call of a conversation and its answer.

    Attributes:
        at_s: Seconds since the conversation began; None where unknown.
        asked: The messages that were sent, in OpenAI's form.
        speech: The answer.
    """

    at_s: float | None
    asked: Sequence[Message]
    speech: Speech


@dataclass(frozen=True, slots=True)
class Conversation:
    """One recorded conversation.

    Attributes:
        place: File and line that it comes from.
        labels: Whom it is attributed to.
        messages: Its messages, in OpenAI's form; empty where it is a row of lone calls.
        at_s: For each message, when its call was made, in seconds since the conversation began.
        lone: Its calls, where each is a single user message, in order of time.
        empty_calls: Calls left out because their input is empty.
    """

    place: str
    labels: Mapping[str, str]
    messages: Sequence[Message] = ()
    at_s: Sequence[float | None] = ()
    lone: Sequence[Exchanged] = ()
    empty_calls: int = 0

    def exchanges(self) -> Iterator[Exchanged]:
        """Yield its calls in order. Each is made when asked for, since together they are long."""
        yield from self.lone
        for position, message in enumerate(self.messages):
            if message["role"] == "assistant":
                yield Exchanged(self.at_s[position], self.messages[:position], speech_of(message, position))


@dataclass(frozen=True, slots=True)
class Asking:
    """How the calls of conversations are made.

    Attributes:
        model: The model to ask.
        tools: Tools of every call; without any, those that a conversation calls, by name only.
        max_tokens: Output limit; None for the dialect's usual one.
        stream: Whether to ask for streams.
    """

    model: str
    tools: Sequence[Mapping[str, Any]] = ()
    max_tokens: int | None = None
    stream: bool = False

    @property
    def dialect(self) -> str:
        """The dialect in which the model is asked."""
        return "anthropic.messages" if self.model.startswith("claude") else "openai.chat"

    def bodies(self, conversation: Conversation) -> Iterator[tuple[Exchanged, bytes]]:
        """Yield each call of a conversation with its request body."""
        tools = self.tools or tools_named_in(conversation.messages)
        for exchanged in conversation.exchanges():
            turn = Turn(self.model, exchanged.asked, tools, self.max_tokens, self.stream)
            yield exchanged, orjson.dumps(request_body(self.dialect, turn))


def read_conversation(line: bytes, fields: Mapping[str, msgspec.Raw], place: str) -> Conversation:
    """Read a line that holds a conversation.

    Args:
        line: The line.
        fields: Its top-level fields, of which `messages` or `calls` is one.
        place: File and line, for what is made of it.

    Raises:
        BadRequest: A field is missing or wrong.
    """
    try:
        head = msgspec.json.decode(line, type=_Head)
        if "messages" in fields:
            checked = msgspec.json.decode(line, type=_Messages).messages
            return _of_messages(place, head, checked, orjson.loads(bytes(fields["messages"])))
        calls = msgspec.json.decode(line, type=_Calls).calls
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    asked = [call for call in calls if call.input.strip()]
    if all(call.at_s is not None for call in asked):
        asked.sort(key=lambda call: call.at_s or 0.0)
    return Conversation(
        place=place,
        labels=head.labels(),
        lone=[_lone(call) for call in asked],
        empty_calls=len(calls) - len(asked),
    )


def _of_messages(
    place: str, head: _Head, checked: Sequence[_Message], messages: Sequence[Message]
) -> Conversation:
    roles = [message.role for message in checked]
    if roles[0] == "assistant":
        raise BadRequest("an assistant's message that answers nothing", place="messages[0]")
    if "assistant" not in roles:
        raise BadRequest("none of them is an assistant's, so no call was answered", place="messages")
    return Conversation(
        place=place, labels=head.labels(), messages=messages, at_s=[message.at_s for message in checked]
    )


def _lone(call: _Call) -> Exchanged:
    answer = {"role": "assistant", "content": call.output}
    return Exchanged(call.at_s, [{"role": "user", "content": call.input}], speech_of(answer, 1))
