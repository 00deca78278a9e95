"""JSON schemas: whether a value is one, and the simplest value that one allows.

The latter is what a forced tool is called with, and what a structured answer says.
"""

from collections.abc import Mapping
from typing import cast

from bursar.double.refused import Refused
from bursar.double.shapes import Json, JsonObject, Shape, Wording

_SCHEMA_DEPTH_MAX = 64
_EXAMPLE_DEPTH_MAX = 12
_EXAMPLES: Mapping[str, Json] = {
    "string": "text",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "null": None,
    "object": {},
    "array": [],
}
_TEXTS = ("title", "description", "$ref", "pattern", "format")
_SCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA_TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


class JsonSchema(Shape):
    """A JSON schema, by the types of the common keywords."""

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise Refused(wording.wrong_type(place, "object", value))
        if not _is_schema(cast("Json", value), 0):
            raise Refused(wording.bad_schema(place))


def _is_schema(value: Json, depth: int) -> bool:
    if isinstance(value, bool):
        return True
    if not isinstance(value, dict) or depth > _SCHEMA_DEPTH_MAX:
        return False
    schema = cast("JsonObject", value)
    inner: list[Json] = [schema[name] for name in _SCHEMAS if name in schema]
    for name in _SCHEMA_LISTS:
        if name in schema:
            if not isinstance(schema[name], list) or not schema[name]:
                return False
            inner.extend(schema[name])
    for name in _SCHEMA_TABLES:
        if name in schema:
            if not isinstance(schema[name], dict):
                return False
            inner.extend(schema[name].values())
    return _plain_keywords_hold(schema) and all(_is_schema(each, depth + 1) for each in inner)


def _plain_keywords_hold(schema: JsonObject) -> bool:
    """Return whether the keywords that hold no schemas are of their types."""
    stated: Json = schema.get("type", "string")
    kinds = cast("list[Json]", stated) if isinstance(stated, list) else [stated]
    required: Json = schema.get("required", [])
    return (
        all(isinstance(kind, str) and kind in _EXAMPLES for kind in kinds)
        and isinstance(required, list)
        and all(isinstance(name, str) for name in cast("list[Json]", required))
        and isinstance(schema.get("enum", []), list)
        and all(isinstance(schema.get(name, ""), str) for name in _TEXTS)
    )


def example_of(schema: Json, depth: int = 0) -> Json:
    """Return a value that a schema allows, as far as types, enumerations and required members go.

    Args:
        schema: A JSON schema. References, patterns and bounds are not followed.
        depth: How deep it is nested; beyond a dozen levels values are empty.
    """
    if not isinstance(schema, dict):
        return None
    known = cast("JsonObject", schema)
    if "const" in known:
        return known["const"]
    if known.get("enum"):
        return known["enum"][0]
    stated: Json = known.get("type", "object" if "properties" in known else "string")
    kinds = cast("list[str]", stated) if isinstance(stated, list) else [cast("str", stated)]
    kind = kinds[0] if kinds else "null"
    if depth < _EXAMPLE_DEPTH_MAX:
        choice = next((known[name][0] for name in ("anyOf", "oneOf", "allOf") if name in known), None)
        if choice is not None:
            return example_of(choice, depth + 1)
        if kind == "object":
            properties: JsonObject = known.get("properties", {})
            return {
                name: example_of(properties.get(name, {}), depth + 1) for name in known.get("required", [])
            }
        if kind == "array" and "items" in known:
            return [example_of(known["items"], depth + 1)]
    return _EXAMPLES[kind]
