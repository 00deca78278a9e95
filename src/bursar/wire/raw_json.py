"""JSON as raw slices: look at what is needed, keep the bytes of everything else.

`msgspec.Raw` is a view of one value's bytes, validated but not built. Every reader here says what was
expected and what was found, with the path of the value as place (`messages[3].content`), and raises
nothing but `BadRequest`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeVar

import msgspec

from bursar.errors import BadRequest

Slice = msgspec.Raw | bytes
RawObject = dict[str, msgspec.Raw]
Decoded = TypeVar("Decoded")
Member = TypeVar("Member", msgspec.Raw, bytes)

# A provider's count, for structs. No response uses a quadrillion tokens; more would overflow a ledger.
Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]

_OBJECT = msgspec.json.Decoder(RawObject)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_VALUE = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()

# What msgspec raises on JSON that it cannot take: malformed (DecodeError), of another type or out of a
# number's range (ValidationError, its subclass), bad UTF-8 in a string, nested beyond the stack.
REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# What stands for nothing: no value, null, and no bytes at all.
NULL = b"null"
_NULLS = (None, NULL, msgspec.Raw(NULL), b"", msgspec.Raw(b""))

_KINDS = {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}

encode = _ENCODER.encode


def read_body(body: bytes) -> RawObject:
    """Split a request body into its top-level fields. Of a repeated field the last one counts.

    Raises:
        BadRequest: It is no JSON object in UTF-8.
    """
    if not body or body.isspace():
        raise BadRequest("the body is empty; a JSON object was expected")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not UTF-8 (byte {error.start})") from None
    try:
        return _OBJECT.decode(body)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except msgspec.ValidationError:
        raise BadRequest(f"a JSON object was expected, found {kind(body.lstrip())}") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def kind(value: Slice) -> str:
    """Name the type of a raw value, with its article."""
    return _KINDS.get(memoryview(value)[:1].tobytes(), "a number")


def is_null(value: Slice | None) -> bool:
    """Whether a value is absent or null, which providers treat alike in optional fields."""
    return value in _NULLS


# A view is cut first in the following, since a whole message may be large.


def is_text(value: Slice) -> bool:
    """Whether a value is a string."""
    return memoryview(value)[:1].tobytes() == b'"'


def is_array(value: Slice) -> bool:
    """Whether a value is an array."""
    return memoryview(value)[:1].tobytes() == b"["


def is_object(value: Slice) -> bool:
    """Whether a value is an object."""
    return memoryview(value)[:1].tobytes() == b"{"


def read_object(value: Slice, place: str) -> RawObject:
    """Split an object into its members."""
    try:
        return _OBJECT.decode(value)
    except REFUSALS:
        raise BadRequest(f"an object was expected, found {kind(value)}", place=place) from None


def read_array(value: Slice, place: str) -> list[msgspec.Raw]:
    """Split an array into its elements."""
    try:
        return _ARRAY.decode(value)
    except REFUSALS:
        raise BadRequest(f"an array was expected, found {kind(value)}", place=place) from None


def element_ends(array: bytes) -> list[int]:
    """Return where each element of an array of objects ends in its bytes."""
    ends: list[int] = []
    end = 0
    for element in _ARRAY.decode(array):
        end = array.index(b"{", end) + len(memoryview(element))
        ends.append(end)
    return ends


def element(array: bytes, ends: Sequence[int], number: int) -> bytes:
    """Return one element of an array of objects.

    Args:
        array: Its raw JSON.
        ends: Where each element ends in it.
        number: Which one, from 0.
    """
    # Between elements there is nothing but white space and a comma.
    return array[array.index(b"{", ends[number - 1] if number else 0) : ends[number]]


def read_text(value: Slice, place: str) -> str:
    """Read a string."""
    try:
        return _TEXT.decode(value)
    except REFUSALS:
        found = "one that is not valid" if is_text(value) else kind(value)
        raise BadRequest(f"a string was expected, found {found}", place=place) from None


def attempt(decoder: msgspec.json.Decoder[Decoded], value: Slice) -> Decoded | None:
    """Decode what may be anything; None where it is not what the decoder is for."""
    try:
        return decoder.decode(value)
    except REFUSALS:
        return None


def attempt_each(decoder: msgspec.json.Decoder[Decoded], values: Sequence[bytes]) -> list[Decoded]:
    """Decode values of which each may be anything, leaving out what is not what the decoder is for."""
    try:
        decoded = decoder.decode_lines(b"\n".join(values))
    except REFUSALS:
        decoded = []
    # One value that holds several is none of what was asked for.
    if len(decoded) == len(values):
        return decoded
    return [found for value in values if (found := attempt(decoder, value)) is not None]


def required(members: Mapping[str, Member], name: str, place: str) -> Member:
    """Return a member that must be there."""
    value = members.get(name)
    if value is None:
        raise BadRequest("this field is required", place=f"{place}.{name}" if place else name)
    return value


def optional_text(members: Mapping[str, Slice], name: str, place: str = "") -> str:
    """Read a string that may be absent or null; then it is empty."""
    value = members.get(name)
    if value is None or is_null(value):
        return ""
    return read_text(value, f"{place}.{name}" if place else name)


def optional_flag(members: Mapping[str, Slice], name: str, place: str = "") -> bool:
    """Read true or false; absent and null are false."""
    value = members.get(name)
    if value is None:
        return False
    content = bytes(value)
    if content == b"true":
        return True
    if content in {b"false", NULL}:
        return False
    raise BadRequest(
        f"true or false was expected, found {kind(value)}", place=f"{place}.{name}" if place else name
    )


def optional_count(members: Mapping[str, Slice], name: str) -> int | None:
    """Read a whole number that is not negative; absent and null are None."""
    value = members.get(name)
    if value is None:
        return None
    content = bytes(value)
    if content == NULL:
        return None
    if not content.isdigit() or len(content) > 18:
        found = content.decode("ascii") if kind(value) == "a number" and len(content) <= 20 else kind(value)
        raise BadRequest(f"a whole number of at least 0 was expected, found {found}", place=name)
    return int(content)


def optional_object(members: Mapping[str, Slice], name: str) -> RawObject:
    """Split an object that may be absent or null; then it has no members."""
    value = members.get(name)
    if value is None or is_null(value):
        return {}
    return read_object(value, name)


def compact(value: Slice) -> bytes:
    """Rewrite a value without whitespace and with the fewest escapes, so that equal content is equal bytes.

    Members keep their order. A value that holds a number out of range keeps its escapes; one that is
    nested about as deeply as can be keeps its whitespace too.
    """
    try:
        return _ENCODER.encode(_VALUE.decode(value))
    except REFUSALS:
        pass
    try:
        return msgspec.json.format(bytes(value), indent=-1)
    except RecursionError:
        return bytes(value)


def join_object(members: Mapping[str, Slice]) -> bytes:
    """Write an object from raw members, in their order. (`encode` does the same for a `RawObject`.)"""
    return _ENCODER.encode({name: msgspec.Raw(value) for name, value in members.items()})


def join_array(elements: Iterable[Slice]) -> bytes:
    """Write an array from raw elements."""
    return b"[" + b",".join(elements) + b"]"


def set_member(value: Slice, name: str, member: bytes | None) -> bytes:
    """Set one member of an object, or take it away with None.

    A member that is not there yet is spliced in before the closing brace, so that every other byte of
    the object stays; otherwise the object is joined anew from the raw bytes of its members.
    """
    members = _OBJECT.decode(value)
    if name not in members:
        if member is None:
            return bytes(value)
        comma = b"," if members else b""
        return bytes(value).rstrip()[:-1] + comma + _ENCODER.encode(name) + b":" + member + b"}"
    if member is None:
        del members[name]
    elif bytes(members[name]) == member:
        return bytes(value)
    else:
        members[name] = msgspec.Raw(member)
    return _ENCODER.encode(members)
