"""JSON read without losing anything that JSON can say: number literals, key order, every scalar.

An object is a `dict`, an array a `list`, a string a `str`; true, false and null are Python's. A number is a
`Number`, its literal: `1.0` stays `1.0`, and no integer is too long. `NaN`, `Infinity` and `-Infinity`,
which many tools write although JSON has no such literals, are kept like numbers.
"""

import json
import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import TypeAlias


class Number(str):
    """A number's literal, which never equals a string by its type."""

    __slots__ = ()


Value: TypeAlias = "str | Number | bool | list[Value] | dict[str, Value] | None"

Tabulate: TypeAlias = Callable[["list[Value]", int], str | None]

# What lies deeper is left alone. A fixed depth, well below the interpreter's own, keeps the outcome from
# depending on how deep the caller's stack happens to be.
DEPTH_MAX = 64

LITERALS = {True: "true", False: "false", None: "null"}

# A surrogate that stands alone is a character to Python, but nothing that UTF-8 can carry.
_SURROGATE = re.compile("[\ud800-\udfff]")


class NoValue(Exception):
    """A text that is no JSON, or JSON that is better left alone."""


def _read_members(pairs: "list[tuple[str, Value]]") -> "dict[str, Value]":
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NoValue
    return members


_DECODER = json.JSONDecoder(
    object_pairs_hook=_read_members, parse_int=Number, parse_float=Number, parse_constant=Number
)


def read_value(text: str, start: int = 0) -> tuple[Value, int]:
    """Read the JSON value that begins exactly at `start`.

    Returns:
        The value, and where it ends. It may be nested deeper than it may be written.

    Raises:
        NoValue: None begins there, or an object in it repeats a key.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except (json.JSONDecodeError, RecursionError):
        raise NoValue from None


def check_depth(value: Value) -> None:
    """Refuse what is nested too deeply, for those who look into a value before they write it.

    Raises:
        NoValue: It is nested deeper than `DEPTH_MAX`.
    """
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        level = [inner for outer in level for inner in _look_into(outer)]
        if not level:
            return
    raise NoValue


def _look_into(value: Value) -> Iterable[Value]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def read_document(text: str) -> Value:
    """Read a text that is one JSON value and nothing else, blanks around it aside.

    Raises:
        NoValue: It is not, or an object in it repeats a key.
    """
    stripped = text.strip(" \t\n\r")
    value, end = read_value(stripped)
    if end != len(stripped):
        raise NoValue
    return value


quote = encode_basestring


def escape_surrogates(text: str) -> str:
    """Write surrogates that stand alone in strings as JSON escapes."""
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def has_surrogates(text: str) -> bool:
    """Whether a text holds surrogates themselves, so that it cannot be sent as UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def write_value(value: Value, tabulate: Tabulate | None = None, depth: int = 0) -> str:
    """Write a value as JSON without blanks; surrogates stay raw.

    Args:
        value: What to write.
        tabulate: Writes an array, given its depth, in another way where it has one.
        depth: How many objects and arrays the value lies in.

    Raises:
        NoValue: It is nested deeper than `DEPTH_MAX`.
    """
    if isinstance(value, str):
        return value if type(value) is Number else quote(value)
    if not isinstance(value, dict | list):
        return LITERALS[value]
    if depth >= DEPTH_MAX:
        raise NoValue
    if isinstance(value, dict):
        depth += 1
        members = [
            # Most members are strings, which take no call.
            f"{quote(name)}:{quote(member) if type(member) is str else write_value(member, tabulate, depth)}"
            for name, member in value.items()
        ]
        return "{" + ",".join(members) + "}"
    table = tabulate(value, depth) if tabulate and len(value) > 1 else None
    if table is not None:
        return table
    return "[" + ",".join([write_value(element, tabulate, depth + 1) for element in value]) + "]"
