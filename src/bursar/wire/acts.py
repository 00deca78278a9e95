"""What an agent did in a message, and what came of it: by digests, so that repetitions can be told.

Two calls are the same where tool and arguments are, in whatever order an object's keys stand. Two results are
the same where their texts are, but for what varies by itself: times of day and ids; and in what a failing
tool says, any number. Other numbers count, since a poll that tells 41 % and then 42 % has told something new.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bursar.domain.prompt import BlockKind, Role, digest
from bursar.wire.condensing.forms import FORMS
from bursar.wire.condensing.spoken import Part

# What varies by itself is looked for in short texts only: statuses and errors are short, and to look through
# long ones would cost more than to count the tokens of theirs.
_VARYING_CHARS_MAX = 1_000

_DATE_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_VARYING = re.compile(rf"{_DATE_TIME}|{_UUID}|\b\d\d:\d\d:\d\d\b|\b[0-9a-fA-F]{{16,}}\b")
# Ids of requests mix letters and digits.
_VARYING_IN_FAILURES = re.compile(r"[0-9A-Za-z_-]*\d[0-9A-Za-z_-]*")

_FAILURE_STARTS = ("error", "exception", "traceback", "fatal", "failed", "failure")
_FAILED_STATES = frozenset({"error", "failed", "failure"})
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A tool call.

    Attributes:
        call_id: Its id; empty where unsaid.
        tool: The tool's name.
        digest: Names the tool and the arguments.
    """

    call_id: str
    tool: str
    digest: bytes


class ToolResult(msgspec.Struct, frozen=True, gc=False):
    """A tool's result.

    Attributes:
        call_id: Id of the call that it answers.
        digest: Names what it says; empty where it holds more than text, and so is never the same as another.
        chars: How long its text is.
        failed: Whether it says that the call failed.
    """

    call_id: str
    digest: bytes
    chars: int
    failed: bool


class Acts(msgspec.Struct, frozen=True, gc=False):
    """What is of interest in one message.

    Attributes:
        role: Who speaks.
        calls: The tool calls in it.
        results: The results in it.
        said: Names the text that stands beside results; empty for none.
    """

    role: Role
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    said: bytes = b""


def read_acts(dialect: str, message: bytes) -> Acts:
    """Read a message.

    Args:
        dialect: The dialect's name.
        message: The message's raw JSON.

    Raises:
        BadRequest: Its form is wrong in a way that only its provider was to judge.
    """
    spoken = FORMS[dialect].read(message)
    calls = tuple([_read_call(part) for part in spoken.parts if part.kind is BlockKind.TOOL_CALL])
    results = tuple([_read_result(part) for part in spoken.parts if part.kind is BlockKind.TOOL_RESULT])
    texts = "\n".join([part.text for part in spoken.parts if part.kind is BlockKind.TEXT]) if results else ""
    return Acts(spoken.role, calls, results, _name(texts) if texts else b"")


def _read_call(part: Part) -> ToolCall:
    try:
        arguments = msgspec.json.encode(msgspec.json.decode(part.text), order="sorted")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # What is no JSON is compared as it stands.
        arguments = part.text.strip().encode("utf-8", "surrogatepass")
    name = part.name.encode("utf-8", "surrogatepass")
    return ToolCall(part.call_id, part.name, digest(name + b"\0" + arguments))


def _read_result(part: Part) -> ToolResult:
    text = part.text.strip()
    failed = part.failed or _tells_failure(text)
    if part.media:
        return ToolResult(part.call_id, b"", len(text), failed)
    if len(text) <= _VARYING_CHARS_MAX:
        text = _VARYING.sub("*", text)
        if failed:
            text = _VARYING_IN_FAILURES.sub("*", text)
    return ToolResult(part.call_id, _name(text), len(part.text), failed)


def _tells_failure(text: str) -> bool:
    """Whether a result says of itself that it is an error: in its first word, or the member meant for it."""
    if not text.startswith("{"):
        return text[:10].lower().startswith(_FAILURE_STARTS)
    if len(text) > _VARYING_CHARS_MAX:
        return False
    try:
        members = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return _holds_failure(members)


def _holds_failure(members: Mapping[str, Any]) -> bool:
    if members.get("error") or members.get("is_error") is True:
        return True
    if members.get("success") is False or members.get("ok") is False:
        return True
    status: object = members.get("status")
    return isinstance(status, str) and status.lower() in _FAILED_STATES


def _name(text: str) -> bytes:
    return digest(text.encode("utf-8", "surrogatepass"))
