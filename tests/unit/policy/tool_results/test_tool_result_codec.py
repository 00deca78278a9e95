import json

import pytest

from bursar.policy.tool_results.codec import POLICY_VERSION, decode, encode

# What version 1 writes, byte for byte. A change here needs a new version: what was sent stays as it was sent.
PINNED = {
    '{"a": 1.0, "b" : [ true, null ],\n "c": {}}': '{"a":1.0,"b":[true,null],"c":{}}',
    '[{"name": "Ann", "born": 1990}, {"name": "Bob", "born": null}]': (
        '[{"name","born"}\n"Ann",1990\n"Bob",null]'
    ),
    '{"found": 2, "flights": [{"number": "HAT1", "from": "JFK", "seats": {"economy": 3, "business": 1}},'
    ' {"number": "HAT2", "from": "JFK", "seats": {"economy": 0, "business": 2}}]}': (
        '{"found":2,"flights":[{"number","from":"JFK","seats":{"economy","business"}}\n"HAT1",3,1\n"HAT2",0,2]}'
    ),
    '[{"name": "Ann", "phone": "1"}, {"name": "Bob"}, {"name": "Cyd", "phone": null}]': (
        '[{"name","phone"?}\n"Ann","1"\n"Bob",\n"Cyd",null]'
    ),
    '[{"order": 1, "lines": [{"article": "x", "count": 1}, {"article": "y", "count": 2}]},'
    ' {"order": 2, "lines": []}]': ('[{"order","lines"}\n1,[{"article","count"}\n"x",1\n"y",2]\n2,[]]'),
    '[["out", {"number": "HAT1", "gate": 4}], ["back", {"number": "HAT2", "gate": 7}]]': (
        '[[*,{"number","gate"}]\n"out","HAT1",4\n"back","HAT2",7]'
    ),
    '[{"article": "x", "count": 1}, {"article": "y", "count": 2}, "and 3 more"]': (
        '[{"article","count"}\n"x",1\n"y",2\n+"and 3 more"]'
    ),
    '[{"article": "x", "count": 1}, {"article": "x", "count": 1}]': '[{"article","count":1}\n"x"\n"x"]',
    'Found 2: [{"article": "x", "count": 1}, {"article": "y", "count": 2}]\n': (
        'Found 2: [{"article","count"}\n"x",1\n"y",2]\n'
    ),
    '{"level": "info", "event": "start"}\n{"level": "info", "event": "stop"}\n': (
        '{"level":"info","event"}\n"start"\n"stop"\n'
    ),
    '{"a": 1}\n\n{"b": [1, 2]}': '{"a":1}\n\n{"b":[1,2]}',
    '"\\u00e9\\ud83d\\ude00\\ud800\\/"': '"é😀\\ud800/"',
    "\x1b[1;31mfailed\x1b[0m 2 tests  \nok\t\r\n": "failed 2 tests\nok\r\n",
    '\x1b[32m{"a": \x1b[1m1}\x1b[0m': '{"a":1}',
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x07 \x1b(B\x1bM": "link",
}


@pytest.mark.parametrize(("text", "encoded"), PINNED.items())
def test_version_1_writes_these_bytes(text: str, encoded: str) -> None:
    assert POLICY_VERSION == "tool-results/1"
    assert encode(text) == encoded
    assert encode(encoded) == encoded


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Error: no such flight",
        '{"a": 1, "a": 2}',
        '{"a": 1} and more',
        '{"a": 1} {"b": 2}',
        '  "a": {"b": 1},',
        "[2024-01-01 10:00:00] INFO started",
        "[1, 2",
        "see [the docs]( x )\n\n* one\n* two",
        "[" * 100_000,
        "[" * 65 + "]" * 65 + " ",
        '{"a":' * 100_000,
        '{"text": "\ud800"}',
    ],
    ids=lambda text: text[:24].encode("ascii", "replace").decode(),
)
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert encode(text) == text.rstrip(" ")
    assert decode(encode(text)) == text.rstrip(" ")


@pytest.mark.parametrize(
    "literal", ["0", "-0", "1.0", "1.10", "1e5", "1E+05", "1" * 5_000, "1e400", "NaN", "-Infinity"]
)
def test_a_number_keeps_its_literal(literal: str) -> None:
    assert encode(f" {literal} ") == literal
    table = encode(f'[{{"amount": {literal}, "currency": 1}}, {{"amount": {literal}, "currency": "1"}}]')
    assert table == f'[{{"amount":{literal},"currency"}}\n1\n"1"]'


def test_a_number_and_its_string_are_not_taken_to_be_equal() -> None:
    encoded = encode('[{"first": 1, "second": 2}, {"first": "1", "second": 2}]')
    assert decode(encoded) == '[{"first":1,"second":2},{"first":"1","second":2}]'


def test_names_in_another_order_are_another_layout() -> None:
    text = '[{"first":1,"second":2},{"second":1,"first":2}]'
    assert encode(text) == text


def test_rows_that_share_no_member_make_no_table() -> None:
    text = '[{"a_long_name":1},{"another_long_name":2},{}]'
    assert encode(text) == text


def test_no_line_of_a_table_is_empty() -> None:
    text = '[{"condition":"fair","note":1},{"condition":"fair"},{"condition":"fair"}]'
    encoded = encode(text)
    assert encoded == '[{"condition","note"?}\n"fair",1\n"fair",\n"fair",]'
    assert decode(encoded) == text


def test_absent_is_told_from_null_and_from_the_empty_string() -> None:
    rows = [{"number": 1, "note": None}, {"number": 2}, {"number": 3, "note": ""}]
    assert json.loads(decode(encode(json.dumps(rows)))) == rows


def test_names_are_written_once_for_arrays_within_rows_where_there_are_more_rows_than_elements() -> None:
    legs = [[{"number": f"HAT{row}{leg}", "gate": leg} for leg in range(2)] for row in range(3)]
    assert encode(json.dumps(legs)).count('"number"') == 2
    assert encode(json.dumps(legs[:1])).count('"number"') == 1


def test_signs_of_the_notation_in_names_and_values_come_back() -> None:
    rows = [{"*": "+", "a?": '"\n,]', "{}": sign} for sign in ("x\\", "]\n", "…")]
    encoded = encode(json.dumps(rows))
    assert encoded.startswith('[{"*":"+"')
    assert json.loads(decode(encoded)) == rows


def test_deeply_nested_tables_take_no_longer_than_they_are_long() -> None:
    text = "1"
    for _ in range(30):
        text = f'[{{"a_long_name": {text}, "count": 1}}, {{"a_long_name": 1, "count": 2}}]'
    encoded = encode(text)
    assert encoded.count("\n") == 60
    assert decode(encoded) == text.replace(" ", "")


def test_what_looks_like_a_table_but_is_none_is_not_decoded() -> None:
    for text in ('[{"a","b"}\n1]', '{"a"}\n1', '{"a"}', "*\n1\n2", '[{"a","a"}\n1,2\n3,4]', '[{"a"}\n1\n2'):
        assert decode(text) == text
