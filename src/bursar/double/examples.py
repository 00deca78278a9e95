"""The simplest value that a JSON schema allows: for forced tool calls and structured answers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from bursar.double.shapes import Json

_DEPTH_MAX = 12
_SCALARS: Mapping[str, Json] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def example_of(schema: Mapping[str, Any], depth: int = 0) -> Json:
    """Return a value that a schema allows, as far as types, enumerations and required members go.

    Args:
        schema: A JSON schema. References, patterns and bounds are not followed.
        depth: How deep it is nested; beyond a dozen levels the value is null.
    """
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice) and depth < _DEPTH_MAX:
            return example_of(schema[choice][0], depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0] if kind else "null"
    if kind not in {"object", "array"} or depth >= _DEPTH_MAX:
        return _SCALARS.get(kind)
    if kind == "object":
        return _object(schema, depth)
    return [example_of(schema["items"], depth + 1)] if isinstance(schema.get("items"), dict) else []


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Json]:
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or ())
    return {name: example_of(properties.get(name, {}), depth + 1) for name in required}
