"""Older messages, replaced by a summary of them."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from bursar.domain.prompt import Role
from bursar.wire.condensing.exchanges import complete, first_user_messages
from bursar.wire.condensing.spoken import Form, Spoken
from bursar.wire.condensing.wording import BRIDGE, summary_message


class _Turn(msgspec.Struct, frozen=True, gc=False):
    """A message of what comes out.

    Attributes:
        role: Who speaks.
        content: Its raw JSON.
        number: Its number in what went in; None where it is new.
    """

    role: Role
    content: bytes
    number: int | None


def replace_by_summary(
    form: Form, messages: Sequence[bytes], span: range, summary: str, *, kept: Collection[int] = ()
) -> list[bytes]:
    """Replace messages by a summary, given as text in a user's message.

    Of the span stay, as they are: the first message in which a user says something, system messages, and
    those that are to be kept, each with what belongs to it. The summary follows them. Where the dialect
    wants user and assistant to take turns, messages that now meet are joined.

    Args:
        form: How the dialect writes messages.
        messages: A conversation's messages, at least one beyond the span.
        span: The messages to replace. It ends at one of the conversation's cut points
            (`cuts.cut_points`), and begins at one or at its start.
        summary: What to say of them; an empty one only says that they are missing.
        kept: Numbers of messages to keep.
    """
    spoken = [form.read(message) for message in messages[: span.stop + 1]]
    stay = messages_that_stay(spoken, span, kept)
    left_out = len(span) - len(stay)
    if not left_out:
        return list(messages)
    turns = [_Turn(spoken[n].role, messages[n], n) for n in (*range(span.start), *stay)]
    turns.append(_Turn(Role.USER, form.user_message(summary_message(summary, left_out)), None))
    turns.append(_Turn(spoken[span.stop].role, messages[span.stop], span.stop))
    return [*_joined(form, turns), *messages[span.stop + 1 :]]


def messages_that_stay(spoken: Sequence[Spoken], span: range, kept: Collection[int]) -> list[int]:
    """Return the numbers of the messages of a span that a summary does not replace."""
    system = [number for number in span if spoken[number].role is Role.SYSTEM]
    stay = complete(spoken, {*kept, *first_user_messages(spoken, 1), *system})
    return [number for number in span if number in stay]


def _joined(form: Form, turns: Sequence[_Turn]) -> Iterator[bytes]:
    """Yield messages, those joined or kept apart that did not stand beside each other before."""
    last = turns[0]
    for turn in turns[1:]:
        beside = last.number is not None and turn.number == last.number + 1
        if not form.alternates or beside or turn.role is not last.role or turn.role is Role.SYSTEM:
            yield last.content
            last = turn
        elif turn.role is Role.USER:
            last = _Turn(Role.USER, form.join(last.content, turn.content), turn.number)
        else:
            yield last.content
            yield form.user_message(BRIDGE)
            last = turn
    yield last.content
