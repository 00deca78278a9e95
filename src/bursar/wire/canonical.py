"""JSON as its writer could as well have written it: equal values in equal bytes.

Without blanks between tokens and with the fewest escapes, as the official SDKs write. The order of members
counts, since it may reach the model; numbers stay as they are written.
"""

import re
from collections.abc import Iterable

import msgspec

from bursar.wire.raw_json import REFUSALS, Slice

# What a value begins with, down to its first member. Who puts blanks anywhere puts them there.
_HEAD = re.compile(rb'[\[{]*(?:"(?:[^"\\]|\\.)*+":?)?')
_BLANKS = frozenset((b" ", b"\t", b"\r", b"\n"))
_SHORT_BYTES = 256
# How far needless escapes are looked for: beyond that, looking costs as much as digesting.
_LOOKED_AT_BYTES = 16_384


def _as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())


_DECODE = msgspec.json.Decoder(float_hook=_as_written).decode
_ENCODE = msgspec.json.Encoder().encode


def is_canonical(values: Iterable[bytes]) -> bool:
    """Whether values of one writer's are as `canonical` would write them, as far as a glance tells.

    Strings that hold certain characters look as if they were not, and of a long value only the beginning is
    looked at. Whoever goes by this may take equal values for different ones, but never the other way round.
    """
    return not any(_looks_loose(value) for value in values)


def canonical(value: Slice) -> bytes:
    """Write a value without blanks between its tokens and with the fewest escapes.

    One that is not to be read, for half of a character say, stays as it is.
    """
    try:
        return _ENCODE(_DECODE(value))
    except REFUSALS:
        return bytes(value)


def _looks_loose(value: bytes) -> bool:
    start = value[:_LOOKED_AT_BYTES]
    if b"\\" in start and (b"\\u" in start or b"\\/" in start):
        return True
    if value[:1] not in {b"[", b"{"}:
        return False
    if len(value) <= _SHORT_BYTES:
        return any(blank in value for blank in _BLANKS)
    head = _HEAD.match(value)
    end = head.end() if head is not None else 0
    return value[end : end + 1] in _BLANKS
