"""Equal JSON in equal bytes, and what is taken to be so at a glance."""

import json

import pytest

from bursar.wire.canonical import canonical, is_canonical

LONG = [{"role": "user", "content": "May I take a bicycle along? " * 20}, {"role": "user", "content": "é"}]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b'{ "a" : [ 1 , 2 ] }', b'{"a":[1,2]}'),
        (b'"\\u00e9\\/\\u0041"', '"é/A"'.encode()),
        (b'"\\u001F\\u000a"', b'"\\u001f\\n"'),
        (b"[1.50, 1e5, 0.1]", b"[1.50,1e5,0.1]"),
        (b'{"b": 1, "a": 2}', b'{"b":1,"a":2}'),
        (b'"\\ud800"', b'"\\ud800"'),
    ],
)
def test_a_value_is_written_without_blanks_and_needless_escapes(written: bytes, expected: bytes) -> None:
    assert canonical(written) == expected
    assert canonical(expected) == expected


def test_what_official_clients_write_is_seen_to_be_canonical() -> None:
    written = json.dumps(LONG, separators=(",", ":"), ensure_ascii=False).encode()
    assert is_canonical([b'"claude-sonnet-4-6"', b"1024", written])


@pytest.mark.parametrize(
    "written", [json.dumps(LONG, ensure_ascii=False), json.dumps(LONG, indent=2), json.dumps(["a", "b"])]
)
def test_blanks_are_seen(written: str) -> None:
    assert not is_canonical([b"1024", written.encode()])


def test_needless_escapes_are_seen() -> None:
    assert not is_canonical([json.dumps(LONG, separators=(",", ":")).encode()])
