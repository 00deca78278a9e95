import pytest

from bursar.domain.json_schema import read_schema
from bursar.errors import BadRequest

TICKET = {
    "type": "object",
    "properties": {
        "topic": {"enum": ["billing", "shipping"]},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2},
    },
    "required": ["topic", "urgent"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "pattern": "^[a-z]+$"}},
}


@pytest.mark.parametrize(
    ("value", "mismatch"),
    [
        ({"topic": "billing", "urgent": True}, None),
        ({"topic": "billing", "urgent": True, "tags": ["late", "card"]}, None),
        ({"topic": "billing"}, "$: lacks urgent"),
        ({"topic": "other", "urgent": True}, "$.topic: 'other' is not in the enum"),
        ({"topic": "billing", "urgent": 1}, "$.urgent: expected boolean, found integer"),
        ({"topic": "billing", "urgent": True, "why": ""}, "$.why: the schema has no such member"),
        ({"topic": "billing", "urgent": True, "tags": ["A"]}, "$.tags[0]: 'A' does not match ^[a-z]+$"),
        (
            {"topic": "billing", "urgent": True, "tags": ["a", "b", "c"]},
            "$.tags: it has 3 elements, at most 2 are allowed",
        ),
        ("billing", "$: expected object, found string"),
    ],
)
def test_the_first_place_that_is_not_as_the_schema_says_is_named(value, mismatch) -> None:
    found = read_schema(TICKET).mismatch(value)
    assert (found and str(found)) == mismatch


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, None, ...),
        ({"type": ["string", "null"]}, [None, "a"], [1]),
        ({"type": "integer"}, [1, 1.0], [1.5, True]),
        ({"const": 1}, [1, 1.0], [True, "1"]),
        ({"enum": [{"a": [1]}]}, [{"a": [1.0]}], [{"a": [True]}, {}]),
        ({"multipleOf": 0.1}, [0.3, 7], [0.35]),
        ({"exclusiveMinimum": 0, "maximum": 5}, [5, 0.1, "x"], [0, 5.5]),
        ({"minLength": 1, "maxLength": 2}, ["a", "ab", 3], ["", "abc"]),
        ({"uniqueItems": True}, [[1, True], []], [[1, 1.0]]),
        ({"prefixItems": [{"type": "string"}], "items": False}, [[], ["a"]], [["a", "b"], [1]]),
        ({"contains": {"type": "integer"}, "maxContains": 1}, [[1, "a"]], [["a"], [1, 2]]),
        ({"minProperties": 1, "propertyNames": {"maxLength": 1}}, [{"a": 1}], [{}, {"ab": 1}]),
        ({"patternProperties": {"^x": {"type": "null"}}}, [{"xa": None, "b": 1}], [{"xa": 1}]),
        ({"additionalProperties": {"type": "null"}}, [{"a": None}], [{"a": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"maxProperties": 1}}}, [{"a": 1}], [{"a": 1, "b": 1}]),
        ({"anyOf": [{"type": "null"}, {"minimum": 3}]}, [None, 3], [2]),
        ({"oneOf": [{"minimum": 3}, {"maximum": 5}]}, [2, 6], [4]),
        ({"allOf": [{"minimum": 3}, {"maximum": 5}]}, [4], [2, 6]),
        ({"not": {"type": "null"}}, [1], [None]),
        (
            {"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}},
            ["a", 1],
            ["", 0],
        ),
        ({"properties": {"next": {"$ref": "#"}}, "required": ["v"]}, [{"v": 1}], [{"v": 1, "next": {}}]),
    ],
)
def test_keywords_mean_what_the_specification_says(schema, good, bad) -> None:
    read = read_schema(schema)
    for value in good or ():
        assert read.mismatch(value) is None, value
    for value in bad if bad is not ... else ():
        assert read.mismatch(value) is not None, value


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([], "#: a schema is an object, true or false"),
        ({"type": "text"}, "#/type: must be one or several of array"),
        ({"properties": {"a": {"type": "str"}}}, "#/properties/a/type: must be one or several"),
        ({"propertis": {}}, '#/propertis: "propertis" is no keyword of JSON Schema; leave it out'),
        ({"unevaluatedItems": False}, "#/unevaluatedItems: .* not checked by Bursar"),
        ({"enum": []}, "#/enum: must be an array of one or more values"),
        ({"required": "a"}, "#/required: must be an array of names"),
        ({"pattern": "("}, "#/pattern: must be a regular expression"),
        ({"patternProperties": {"(": {}}}, "#/patternProperties/\\(: must be a regular"),
        ({"items": [{}]}, "#/items: a schema is an object"),
        ({"anyOf": []}, "#/anyOf: must be an array of one or more schemas"),
        ({"maxItems": -1}, "#/maxItems: must be a whole number from 0"),
        ({"multipleOf": 0}, "#/multipleOf: must be above zero"),
        ({"$ref": "https://example.com/s"}, "#/.ref: a reference must be inside the schema"),
        ({"$ref": "#/$defs/gone"}, '#/.ref: nothing is at "#/.defs/gone"'),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema, message: str) -> None:
    with pytest.raises(BadRequest, match=f"^{message}"):
        read_schema(schema)


def test_a_schema_that_never_ends_is_a_mismatch_and_no_crash() -> None:
    assert read_schema({"$ref": "#"}).mismatch(1) is not None


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: object = {}
    for _ in range(100):
        schema = {"not": schema}
    with pytest.raises(BadRequest, match="64 deep"):
        read_schema(schema)
