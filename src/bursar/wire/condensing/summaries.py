"""Older messages, replaced by a summary of them."""

from collections.abc import Collection, Sequence

from bursar.domain.prompt import Role
from bursar.wire.condensing.exchanges import complete, first_user_messages
from bursar.wire.condensing.spoken import Form, Spoken, Turn
from bursar.wire.condensing.wording import summary_message


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
    turns = [Turn(spoken[n].role, messages[n], n) for n in (*range(span.start), *stay)]
    turns.append(Turn(Role.USER, form.user_message(summary_message(summary, left_out)), None))
    turns.append(Turn(spoken[span.stop].role, messages[span.stop], span.stop))
    return [*form.arrange(turns), *messages[span.stop + 1 :]]


def messages_that_stay(spoken: Sequence[Spoken], span: range, kept: Collection[int]) -> list[int]:
    """Return the numbers of the messages of a span that a summary does not replace."""
    system = [number for number in span if spoken[number].role is Role.SYSTEM]
    stay = complete(spoken, {*kept, *first_user_messages(spoken, 1), *system})
    return [number for number in span if number in stay]
