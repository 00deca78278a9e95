import json

from bursar.policy.tool_results.codec import decode
from bursar.policy.tool_results.selection import select

RESERVATION = {
    "id": "R1",
    "flights": [{"number": f"HAT{row}", "price": {"amount": row, "currency": "USD"}} for row in range(5)],
    "a.b": 1,
}


def chosen(**selection: object) -> object:
    return json.loads(decode(select(json.dumps(RESERVATION), **selection)))  # type: ignore[arg-type]


def test_rows_are_those_of_each_array_of_an_object() -> None:
    assert chosen(rows=2, offset=1) == {**RESERVATION, "flights": RESERVATION["flights"][1:3]}


def test_fields_are_paths_through_arrays() -> None:
    assert chosen(fields=["id", "flights.price.amount"], rows=1) == {
        "id": "R1",
        "flights": [{"price": {"amount": 0}}],
    }
    assert chosen(fields=["flights"]) == {"flights": RESERVATION["flights"]}


def test_a_name_with_a_full_stop_is_found_as_it_is() -> None:
    assert chosen(fields=["a.b"]) == {"a.b": 1}


def test_an_unknown_field_selects_nothing() -> None:
    assert chosen(fields=["nothing"]) == {}


def test_lines_are_the_rows_of_a_text() -> None:
    assert select("a\nb\nc\nd", rows=2, offset=1) == "b\nc"
    assert select("a\nb", rows=5, offset=7) == ""


def test_documents_are_the_rows_of_json_lines() -> None:
    text = "Log:\n" + "\n".join(json.dumps({"number": number, "x": 0}) for number in range(5))
    assert select(text, rows=2, offset=3, fields=["number"]) == 'Log:\n{"number":3}\n{"number":4}\n'


def test_odd_numbers_select_what_they_can() -> None:
    assert select("[1,2,3]", rows=-1) == "[]"
    assert select("[1,2,3]", offset=-5) == "[1,2,3]"


def test_what_is_nested_too_deeply_to_look_into_is_text() -> None:
    text = "[" * 65 + "]" * 65
    assert select(text, fields=["a"], rows=1) == text
    assert select("[" * 900 + "]" * 900, fields=["a"], rows=0) == ""
