"""Reading a schema: every keyword is known, and of its type, before any value is checked."""

import re
from collections.abc import Callable, Mapping
from typing import cast

from bursar.domain.json_schema.checking import JsonSchema
from bursar.domain.json_schema.values import TYPES, Json, JsonObject, resolve
from bursar.errors import BadRequest

_DEPTH_MAX = 64
_UNCHECKED = frozenset(("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"))
_ANNOTATIONS = frozenset(
    (
        "$schema",
        "$id",
        "$comment",
        "$anchor",
        "title",
        "description",
        "default",
        "examples",
        "format",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
    )
)


def read_schema(schema: Json) -> JsonSchema:
    """Read a schema.

    Raises:
        BadRequest: It is none, or says something that is not checked here; the place is a path in it, such
            as `#/properties/label/type`.
    """
    references: list[tuple[str, str]] = []
    _read(schema, "#", references, 0)
    for reference, place in references:
        if resolve(schema, reference) is None:
            raise BadRequest(f'nothing is at "{reference}"', place=place)
    return JsonSchema(schema)


def _read(schema: Json, place: str, references: list[tuple[str, str]], depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise BadRequest("a schema is an object, true or false", place=place)
    if depth > _DEPTH_MAX:
        raise BadRequest(f"a schema may be nested {_DEPTH_MAX} deep", place=place)
    for keyword, value in cast("JsonObject", schema).items():
        there = f"{place}/{keyword}"
        if keyword in _ANNOTATIONS or keyword.startswith("x-"):
            continue
        if keyword == "$ref":
            if not isinstance(value, str) or not (value == "#" or value.startswith("#/")):
                raise BadRequest(
                    'a reference must be inside the schema, such as "#/$defs/label"', place=there
                )
            references.append((value, there))
            continue
        check = _KEYWORDS.get(keyword)
        if check is None:
            known = "is not checked by Bursar" if keyword in _UNCHECKED else "is no keyword of JSON Schema"
            raise BadRequest(f'"{keyword}" {known}; leave it out', place=there)
        for inner, name in check(value, there):
            _read(inner, name, references, depth + 1)


_Inner = list[tuple[Json, str]]


def _demand(holds: bool, what: str, place: str) -> _Inner:  # noqa: FBT001 - a condition, not a flag
    if not holds:
        raise BadRequest(f"must be {what}", place=place)
    return []


def _one(value: Json, place: str) -> _Inner:
    return [(value, place)]


def _some(value: Json, place: str) -> _Inner:
    schemas = cast("list[Json]", value) if isinstance(value, list) else []
    _demand(bool(schemas), "an array of one or more schemas", place)
    return [(inner, f"{place}/{index}") for index, inner in enumerate(schemas)]


def _named(value: Json, place: str) -> _Inner:
    _demand(isinstance(value, dict), "an object of schemas", place)
    return [(inner, f"{place}/{name}") for name, inner in cast("JsonObject", value).items()]


def _by_pattern(value: Json, place: str) -> _Inner:
    inner = _named(value, place)
    for name in cast("JsonObject", value):
        _pattern(name, f"{place}/{name}")
    return inner


def _types(value: Json, place: str) -> _Inner:
    names = cast("list[Json]", value) if isinstance(value, list) else [value]
    known = bool(names) and all(isinstance(name, str) and name in TYPES for name in names)
    return _demand(known, f"one or several of {', '.join(sorted(TYPES))}", place)


def _values(value: Json, place: str) -> _Inner:
    values = cast("list[Json]", value) if isinstance(value, list) else []
    return _demand(bool(values), "an array of one or more values", place)


def _anything(value: Json, place: str) -> _Inner:
    del value, place
    return []


def _number(value: Json, place: str) -> _Inner:
    return _demand(isinstance(value, int | float) and not isinstance(value, bool), "a number", place)


def _positive(value: Json, place: str) -> _Inner:
    _number(value, place)
    return _demand(value > 0, "above zero", place)


def _count(value: Json, place: str) -> _Inner:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return _demand(is_count, "a whole number from 0", place)


def _flag(value: Json, place: str) -> _Inner:
    return _demand(isinstance(value, bool), "true or false", place)


def _names(value: Json, place: str) -> _Inner:
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in cast("list[Json]", value))
    return _demand(is_names, "an array of names", place)


def _names_by_name(value: Json, place: str) -> _Inner:
    _demand(isinstance(value, dict), "an object of arrays of names", place)
    for name, names in cast("JsonObject", value).items():
        _names(names, f"{place}/{name}")
    return []


def _pattern(value: Json, place: str) -> _Inner:
    _demand(isinstance(value, str), "a regular expression", place)
    try:
        re.compile(value)
    except re.error as error:
        raise BadRequest(f"must be a regular expression: {error}", place=place) from None
    return []


_KEYWORDS: Mapping[str, Callable[[Json, str], _Inner]] = {
    "type": _types,
    "enum": _values,
    "const": _anything,
    "multipleOf": _positive,
    **dict.fromkeys(("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"), _number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxContains", "minContains"), _count),
    **dict.fromkeys(("maxProperties", "minProperties"), _count),
    "uniqueItems": _flag,
    "pattern": _pattern,
    "required": _names,
    "dependentRequired": _names_by_name,
    **dict.fromkeys(("properties", "dependentSchemas", "$defs", "definitions"), _named),
    "patternProperties": _by_pattern,
    **dict.fromkeys(("additionalProperties", "propertyNames", "items", "contains"), _one),
    **dict.fromkeys(("not", "if", "then", "else"), _one),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _some),
}
