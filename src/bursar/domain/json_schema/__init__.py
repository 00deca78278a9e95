"""JSON Schema: whether a schema is one, and whether a value is as it says.

The keywords of draft 2020-12 that say something about a value, with references inside the schema. What is
not checked here (`unevaluatedProperties`, `$dynamicRef`, references to other files) is refused when the
schema is read, and so is a keyword that nobody knows: a schema never promises more than is checked. `format`
and the other annotations are taken and say nothing, as the specification has it.

Source: the specification's core and validation parts, 2020-12, checked 2026-11-24.
"""

from bursar.domain.json_schema.checking import JsonSchema, Mismatch
from bursar.domain.json_schema.reading import read_schema

__all__ = ["JsonSchema", "Mismatch", "read_schema"]
