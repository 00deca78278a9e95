"""How much of earlier tool results is still in the context when a later tool call needs it."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bursar.policy.tool_results.json_values import NoValue, Number, Value, quote, read_document

_TEXT_CHARS_MIN = 3


class Shown(NamedTuple):
    """A tool result.

    Attributes:
        original: As it came.
        sent: As it is in the context.
    """

    original: str
    sent: str


class Retention(NamedTuple):
    """What a tool call took from earlier results.

    Attributes:
        taken: Values of its arguments that stand in earlier results.
        lost: Those of them that do not stand in the context.
    """

    taken: tuple[str, ...]
    lost: tuple[str, ...]


def value_retention(results: Sequence[Shown], later_arguments: str) -> Retention:
    """Measure what a tool call can still take from the results before it.

    Args:
        results: The results before the call.
        later_arguments: The call's arguments, as JSON. Strings of at least three characters and numbers
            count, each once. Arguments that are no JSON take nothing.
    """
    try:
        arguments = read_document(later_arguments)
    except NoValue:
        return Retention((), ())
    # By type too: the number 12 is another value than the string.
    scalars = {(type(scalar), scalar): scalar for scalar in _scalars(arguments)}.values()
    taken = [scalar for scalar in scalars if any(_holds(result.original, scalar) for result in results)]
    lost = [scalar for scalar in taken if not any(_holds(result.sent, scalar) for result in results)]
    return Retention(tuple(taken), tuple(lost))


def _scalars(value: Value) -> Iterator[str]:
    if isinstance(value, Number) or (isinstance(value, str) and len(value) >= _TEXT_CHARS_MIN):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _scalars(element)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _scalars(member)


def _holds(text: str, scalar: str) -> bool:
    if isinstance(scalar, Number):
        # 12 stands neither in 112 nor in 12.5.
        return re.search(rf"(?<![\w.]){re.escape(scalar)}(?![\w]|\.\d)", text) is not None
    # JSON may write a string in two ways, with and without escapes for what is not ASCII.
    return scalar in text or quote(scalar)[1:-1] in text or json.dumps(scalar)[1:-1] in text
