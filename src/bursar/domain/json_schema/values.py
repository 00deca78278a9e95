"""JSON's values as Python has them, and what they are to a schema."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

Json = Any
JsonObject = Mapping[str, Json]

TYPES = frozenset(("null", "boolean", "object", "array", "number", "string", "integer"))


def type_of(value: Json) -> str:
    """Return a value's type; a whole number is an `integer`, however it is written."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def is_same(one: Json, other: Json) -> bool:
    """Whether two values are the same in JSON: 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        ones, others = cast("Sequence[Json]", one), cast("Sequence[Json]", other)
        return len(ones) == len(others) and all(map(is_same, ones, others))
    if isinstance(one, dict) and isinstance(other, dict):
        named, others_named = cast("JsonObject", one), cast("JsonObject", other)
        return named.keys() == others_named.keys() and all(
            is_same(named[name], others_named[name]) for name in named
        )
    return bool(one == other)


def resolve(root: Json, reference: str) -> JsonObject | bool | None:
    """Return the schema that a reference inside a schema points at; None where there is none."""
    found: Json = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = cast("JsonObject", found).get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(cast("list[Json]", found)):
            found = cast("list[Json]", found)[int(name)]
        else:
            return None
    return cast("JsonObject", found) if isinstance(found, dict | bool) else None
