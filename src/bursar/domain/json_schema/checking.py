"""Checking a value against a schema that was read."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from bursar.domain.json_schema.values import Json, JsonObject, is_same, resolve, type_of

_SHOWN_CHARS_MAX = 60

# A schema that refers to itself ends with the value that it describes, or never.
_DEPTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where a value is not as its schema says.

    Attributes:
        place: Path in the value, such as `$.tags[2]`.
        reason: What was expected there.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class JsonSchema:
    """A schema that was read by `read_schema`.

    Args:
        schema: The schema. Its keywords are known, and of their types.
    """

    def __init__(self, schema: Json) -> None:
        self.schema = schema

    def mismatch(self, value: Json) -> Mismatch | None:
        """Return the first place where a value is not as the schema says; None where it is so everywhere.

        Args:
            value: A JSON value: None, bool, int, finite float, str, list or dict of such.
        """
        return next(_Check(self.schema).run(self.schema, value, "$", 0), None)


class _Check:
    """One check of a value; the schema's root is what references start from."""

    def __init__(self, root: Json) -> None:
        self._root = root

    def run(self, schema: Json, value: Json, place: str, depth: int) -> Iterator[Mismatch]:
        if schema is True:
            return
        if schema is False:
            yield Mismatch(place, "nothing is allowed here")
            return
        if depth > _DEPTH_MAX:
            yield Mismatch(place, f"it is nested more than {_DEPTH_MAX} deep")
            return
        keywords = cast("JsonObject", schema)
        if "$ref" in keywords:
            yield from self.run(resolve(self._root, keywords["$ref"]), value, place, depth + 1)
        for keyword, expected in keywords.items():
            plain = _PLAIN.get(keyword)
            if plain is not None:
                reason = plain(expected, value)
                if reason:
                    yield Mismatch(place, reason)
        yield from self._combined(keywords, value, place, depth)
        if isinstance(value, dict):
            yield from self._members(keywords, cast("JsonObject", value), place, depth)
        elif isinstance(value, list):
            yield from self._elements(keywords, cast("list[Json]", value), place, depth)

    def _fits(self, schema: Json, value: Json, place: str, depth: int) -> bool:
        return next(self.run(schema, value, place, depth + 1), None) is None

    def _combined(self, keywords: JsonObject, value: Json, place: str, depth: int) -> Iterator[Mismatch]:
        for inner in keywords.get("allOf", ()):
            yield from self.run(inner, value, place, depth + 1)
        if "anyOf" in keywords and not any(self._fits(s, value, place, depth) for s in keywords["anyOf"]):
            yield Mismatch(place, f"{_shown(value)} fits none of the schemas of anyOf")
        if "oneOf" in keywords:
            count = sum(self._fits(s, value, place, depth) for s in keywords["oneOf"])
            if count != 1:
                yield Mismatch(place, f"{_shown(value)} fits {count} of the schemas of oneOf, not one")
        if "not" in keywords and self._fits(keywords["not"], value, place, depth):
            yield Mismatch(place, f"{_shown(value)} is what `not` rules out")
        if "if" in keywords:
            branch = "then" if self._fits(keywords["if"], value, place, depth) else "else"
            if branch in keywords:
                yield from self.run(keywords[branch], value, place, depth + 1)

    def _members(self, keywords: JsonObject, value: JsonObject, place: str, depth: int) -> Iterator[Mismatch]:
        properties: JsonObject = keywords.get("properties", {})
        patterns: JsonObject = keywords.get("patternProperties", {})
        for name, member in value.items():
            there = f"{place}.{name}"
            if "propertyNames" in keywords:
                yield from self.run(keywords["propertyNames"], name, there, depth + 1)
            covered = name in properties
            if covered:
                yield from self.run(properties[name], member, there, depth + 1)
            for pattern, inner in patterns.items():
                if re.search(pattern, name):
                    covered = True
                    yield from self.run(inner, member, there, depth + 1)
            if not covered and "additionalProperties" in keywords:
                if keywords["additionalProperties"] is False:
                    yield Mismatch(there, "the schema has no such member")
                else:
                    yield from self.run(keywords["additionalProperties"], member, there, depth + 1)
        for name, inner in keywords.get("dependentSchemas", {}).items():
            if name in value:
                yield from self.run(inner, value, place, depth + 1)

    def _elements(
        self, keywords: JsonObject, value: list[Json], place: str, depth: int
    ) -> Iterator[Mismatch]:
        first: list[Json] = keywords.get("prefixItems", [])
        for index, element in enumerate(value):
            inner = first[index] if index < len(first) else keywords.get("items", True)
            yield from self.run(inner, element, f"{place}[{index}]", depth + 1)
        if "contains" in keywords:
            count = sum(self._fits(keywords["contains"], element, place, depth) for element in value)
            least, most = keywords.get("minContains", 1), keywords.get("maxContains", len(value))
            if not least <= count <= most:
                yield Mismatch(place, f"{count} elements are as `contains` says, not {least} to {most}")


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"


def _type(expected: Json, value: Json) -> str:
    names = cast("list[str]", expected) if isinstance(expected, list) else [cast("str", expected)]
    found = type_of(value)
    if found in names or (found == "integer" and "number" in names):
        return ""
    return f"expected {' or '.join(names)}, found {found}"


def _enum(expected: Json, value: Json) -> str:
    return "" if any(is_same(value, each) for each in expected) else f"{_shown(value)} is not in the enum"


def _const(expected: Json, value: Json) -> str:
    return "" if is_same(value, expected) else f"expected {_shown(expected)}, found {_shown(value)}"


def _multiple(expected: Json, value: Json) -> str:
    if type_of(value) not in {"integer", "number"}:
        return ""
    # What is written in decimals is compared in decimals: 0.3 is a multiple of 0.1.
    rest = Decimal(str(value)) % Decimal(str(expected))
    return f"{value} is no multiple of {expected}" if rest else ""


def _bound(fails: Callable[[Json, Json], bool], what: str) -> Callable[[Json, Json], str]:
    def check(expected: Json, value: Json) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value} is not {what} {expected}" if is_number and fails(value, expected) else ""

    return check


def _size(kind: type, unit: str, *, most: bool) -> Callable[[Json, Json], str]:
    def check(expected: Json, value: Json) -> str:
        if not isinstance(value, kind):
            return ""
        size = len(cast("str | list[Json] | JsonObject", value))
        if size > expected if most else size < expected:
            return f"it has {size} {unit}, {'at most' if most else 'at least'} {expected} are allowed"
        return ""

    return check


def _pattern(expected: Json, value: Json) -> str:
    if not isinstance(value, str) or re.search(expected, value):
        return ""
    return f"{_shown(value)} does not match {expected}"


def _unique(expected: Json, value: Json) -> str:
    if not expected or not isinstance(value, list):
        return ""
    elements = cast("list[Json]", value)
    again = any(is_same(one, other) for at, one in enumerate(elements) for other in elements[:at])
    return "its elements are not all different" if again else ""


def _required(expected: Json, value: Json) -> str:
    missing = [name for name in expected if isinstance(value, dict) and name not in value]
    return f"lacks {', '.join(missing)}" if missing else ""


def _dependent(expected: Json, value: Json) -> str:
    if not isinstance(value, dict):
        return ""
    for name, needed in cast("Mapping[str, list[str]]", expected).items():
        missing = [other for other in needed if other not in value]
        if name in value and missing:
            return f"lacks {', '.join(missing)}, which {name} needs"
    return ""


_PLAIN: Mapping[str, Callable[[Json, Json], str]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "multipleOf": _multiple,
    "maximum": _bound(lambda value, bound: value > bound, "at most"),
    "exclusiveMaximum": _bound(lambda value, bound: value >= bound, "below"),
    "minimum": _bound(lambda value, bound: value < bound, "at least"),
    "exclusiveMinimum": _bound(lambda value, bound: value <= bound, "above"),
    "maxLength": _size(str, "characters", most=True),
    "minLength": _size(str, "characters", most=False),
    "maxItems": _size(list, "elements", most=True),
    "minItems": _size(list, "elements", most=False),
    "maxProperties": _size(dict, "members", most=True),
    "minProperties": _size(dict, "members", most=False),
    "pattern": _pattern,
    "uniqueItems": _unique,
    "required": _required,
    "dependentRequired": _dependent,
}
