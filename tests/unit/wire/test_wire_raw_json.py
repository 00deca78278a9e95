import msgspec
import pytest

from bursar.wire import raw_json as raw

NUMBERS = msgspec.json.Decoder(int)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        ([b"1", b" 2\n\n", b"3"], [1, 2, 3]),
        ([b"1", b'"two"', b"3"], [1, 3]),
        ([b"1", b"{", b"3"], [1, 3]),
        ([b"1", b"2\n3", b"4"], [1, 4]),
    ],
)
def test_of_many_values_those_of_the_right_type_are_decoded(values: list[bytes], found: list[int]) -> None:
    assert raw.attempt_each(NUMBERS, values) == found


@pytest.mark.parametrize("value", [None, b"null", msgspec.Raw(b"null")])
def test_null_is_null_in_every_form(value: raw.Slice | None) -> None:
    assert raw.is_null(value)


@pytest.mark.parametrize("value", [b"0", b'"null"', b"[]", b"{}", b"false", msgspec.Raw(b"0")])
def test_what_is_empty_or_false_is_not_null(value: raw.Slice) -> None:
    assert not raw.is_null(value)


def test_an_object_is_written_from_its_members_as_they_are() -> None:
    members = {'a"é': b"[1 , 2]", "b": msgspec.Raw(b' "x"')}
    assert raw.join_object(members) == '{"a\\"é":[1 , 2],"b": "x"}'.encode()
