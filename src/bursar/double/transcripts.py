"""Recorded conversations, and which of their answers a request is due.

A transcript is one JSON object: `{"conversation", "messages": […]}` in OpenAI's message form, whose
assistant messages answer turn by turn; or `{"conversation", "calls": [{"input", "output"}]}`, whose
outputs answer to their inputs.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

import orjson

from bursar.domain.prompt import digest
from bursar.double.faces import Ask
from bursar.double.shapes import JsonObject
from bursar.double.speech import Ending, Speech, SpokenCall
from bursar.errors import BadRequest
from bursar.wire.transcript_messages import Call, calls_of, text_of


class TranscriptBook:
    """Transcripts by conversation.

    Args:
        tools: Names of the tools that the conversations' agents have; None to take any.
    """

    def __init__(self, tools: Collection[str] | None = None) -> None:
        self._tools = tools
        self._turns: dict[str, list[Speech]] = {}
        self._outputs: dict[str, dict[bytes, Speech]] = {}

    def add(self, transcript: Mapping[str, Any]) -> None:
        """Take a transcript in.

        Raises:
            BadRequest: It is of neither form, or calls a tool that its agent does not have.
        """
        name = transcript.get("conversation")
        if not isinstance(name, str) or not name:
            raise BadRequest("a transcript needs a name here", place="conversation")
        if isinstance(transcript.get("messages"), list):
            self._turns[name] = self._answers(transcript["messages"])
        elif isinstance(transcript.get("calls"), list):
            self._outputs[name] = _answers_by_input(transcript["calls"])
        else:
            raise BadRequest("a transcript needs an array here, or one in `calls`", place="messages")

    def find(self, conversation: str, turn: int, ask: Ask) -> Speech | None:
        """Return a conversation's answer at a turn (from 0), or to the last user message; None without."""
        turns = self._turns.get(conversation)
        if turns is not None:
            return turns[turn] if turn < len(turns) else None
        outputs = self._outputs.get(conversation)
        return outputs.get(_name(ask.last_user_text)) if outputs is not None else None

    def __len__(self) -> int:
        return len(self._turns) + len(self._outputs)

    def _answers(self, messages: list[Any]) -> list[Speech]:
        answers: list[Speech] = []
        for position, message in enumerate(messages):
            if not isinstance(message, dict):
                raise BadRequest("a message is an object", place=f"messages[{position}]")
            said = cast("JsonObject", message)
            if said.get("role") == "assistant":
                answers.append(self._speech(said, position))
        return answers

    def _speech(self, message: JsonObject, position: int) -> Speech:
        speech = speech_of(message, position)
        for call in speech.calls:
            if self._tools is not None and call.name not in self._tools:
                raise BadRequest(
                    f'calls the tool "{call.name}", which is not among the tools given',
                    place=f"messages[{position}]",
                )
        return speech


def speech_of(message: Mapping[str, Any], position: int) -> Speech:
    """Return what a recorded assistant message says.

    Args:
        message: The message, in OpenAI's form.
        position: Its index in the recording, from which ids that are missing are made.
    """
    text = text_of(message.get("content"))
    calls = [SpokenCall(c.call_id, c.name, _object_text(c)) for c in calls_of(message, position)]
    return Speech(text if text.strip() else "", tuple(calls), Ending.TOOL_CALLS if calls else Ending.DONE)


def _answers_by_input(calls: list[Any]) -> dict[bytes, Speech]:
    answers: dict[bytes, Speech] = {}
    for index, call in enumerate(calls):
        try:
            given, output = call["input"], call["output"]
        except (KeyError, TypeError):
            raise BadRequest("a call has an input and an output", place=f"calls[{index}]") from None
        if not isinstance(given, str) or not isinstance(output, str):
            raise BadRequest("input and output are strings", place=f"calls[{index}]")
        # Of two equal inputs the first one's output answers both: a provider double has no memory.
        answers.setdefault(_name(given), Speech(output if output.strip() else ""))
    return answers


def _name(text: str) -> bytes:
    return digest(text.encode("utf-8", "surrogatepass"))


def _object_text(call: Call) -> str:
    """Return a call's arguments as written where they are a JSON object, and as one where they are not."""
    try:
        if isinstance(orjson.loads(call.arguments), dict):
            return call.arguments
    except orjson.JSONDecodeError:
        pass
    return orjson.dumps(call.input()).decode()
