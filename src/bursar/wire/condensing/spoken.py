"""A message as far as condensing looks at it, whatever its dialect."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from bursar.domain.prompt import BlockKind, Role
from bursar.wire import raw_json as raw


class Part(msgspec.Struct, frozen=True, gc=False):
    """One block of a message.

    Attributes:
        kind: What it is.
        text: Its text: of a tool call its arguments, of what holds no text a word for what it is.
        call_id: Of a tool call its id, of a tool result that of its call.
        name: Of a tool call, the tool's name.
        media: Of a tool result, how many images and files it holds beside its text.
        maskable: Of a tool result, whether it holds nothing but what a placeholder can stand for.
        failed: Of a tool result, whether it is marked as that of a call that failed.
    """

    kind: BlockKind
    text: str = ""
    call_id: str = ""
    name: str = ""
    media: int = 0
    maskable: bool = False
    failed: bool = False


class Spoken(msgspec.Struct, frozen=True, gc=False):
    """One message.

    Attributes:
        role: Who speaks.
        parts: Its blocks, in order.
    """

    role: Role
    parts: tuple[Part, ...]

    @property
    def answers_calls(self) -> bool:
        """Whether it holds results of tool calls."""
        return any(part.kind is BlockKind.TOOL_RESULT for part in self.parts)


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A message of a conversation that is put together anew.

    Attributes:
        role: Who speaks.
        content: The message's raw JSON.
        number: Its number in the conversation as it was; None where it is new.
    """

    role: Role
    content: bytes
    number: int | None

    def follows(self, other: "Turn") -> bool:
        """Whether it came right after another all along."""
        return other.number is not None and self.number == other.number + 1


class Form(Protocol):
    """How a dialect writes messages."""

    def read(self, message: bytes) -> Spoken:
        """Read a message.

        Raises:
            BadRequest: Its form is wrong in a way that only its provider was to judge.
        """
        ...

    def mask(self, message: bytes, placeholders: Mapping[int, str]) -> bytes:
        """Return a message with other content in some tool results, by number of the part."""
        ...

    def user_message(self, text: str) -> bytes:
        """Return a user's message that says a text, which is not empty."""
        ...

    def arrange(self, turns: Sequence[Turn]) -> list[bytes]:
        """Return messages so that those which did not stand beside each other before now may."""
        ...


def split(array: bytes, ends: Sequence[int], start: int, stop: int) -> list[bytes]:
    """Cut elements out of an array of objects.

    Args:
        array: Its raw JSON.
        ends: Where each element ends in it.
        start: The first element,
        stop: and the one behind the last.
    """
    return [raw.element(array, ends, number) for number in range(start, stop)]
