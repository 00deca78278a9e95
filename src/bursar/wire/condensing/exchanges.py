"""Which messages belong together: a tool call, and all its results."""

from collections.abc import Collection, Iterable, Sequence

from bursar.domain.prompt import BlockKind, Role
from bursar.wire.condensing.spoken import Spoken


def complete(messages: Sequence[Spoken], chosen: Collection[int]) -> frozenset[int]:
    """Add to some messages those that they cannot stand without.

    Args:
        messages: A conversation.
        chosen: Numbers of messages of it.
    """
    if not chosen:
        return frozenset()
    numbers = _exchange_numbers(messages)
    exchanges = {numbers[number] for number in chosen if number < len(numbers)}
    return frozenset([number for number, exchange in enumerate(numbers) if exchange in exchanges])


def first_user_messages(messages: Sequence[Spoken], most: int) -> frozenset[int]:
    """Return the numbers of the first messages in which a user says something, `most` of them."""
    said = [
        n for n, message in enumerate(messages) if message.role is Role.USER and not message.answers_calls
    ]
    return frozenset(said[:most])


def messages_with(messages: Sequence[Spoken], texts: Iterable[str]) -> frozenset[int]:
    """Return the numbers of the messages in which one of some texts stands, in whatever part."""
    sought = [text for text in texts if text]
    return frozenset(
        [
            number
            for number, message in enumerate(messages)
            if any(text in part.text for part in message.parts for text in sought)
        ]
    )


def tool_names(messages: Iterable[Spoken]) -> dict[str, str]:
    """Return the names of the tools that were called, by the call's id; of equal ids the last counts."""
    return {
        part.call_id: part.name
        for message in messages
        for part in message.parts
        if part.kind is BlockKind.TOOL_CALL
    }


def _exchange_numbers(messages: Iterable[Spoken]) -> list[int]:
    """Number the exchanges: results belong to what came before them, everything else begins anew."""
    numbers: list[int] = []
    for message in messages:
        before = numbers[-1] if numbers else -1
        numbers.append(before if message.answers_calls and numbers else before + 1)
    return numbers
