"""What holds for every tool result: nothing is lost, nothing grows, nothing changes the second time."""

import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

from bursar.policy.tool_results.codec import decode, encode
from bursar.policy.tool_results.limits import Limits, limit
from bursar.policy.tool_results.selection import select

_NUMBERS = st.one_of(
    st.integers().map(str),
    st.sampled_from(["-0", "0.0", "1.0", "1e5", "1E+05", "-1.50e-300", "1" * 5_000, "NaN", "-Infinity"]),
)
_NAMES = st.one_of(st.sampled_from(["a", "b", "id", "", "é", '"', "\\", "\n", "*", "?"]), st.text(max_size=5))
_SCALARS = st.one_of(
    st.sampled_from(["null", "true", "false", '"\\ud800"', '"\\/"', '"\\u00e9"', '"+"', '""', '"x\\n"']),
    _NUMBERS,
    st.text(max_size=12).map(json.dumps),
)
_BLANKS = st.sampled_from(["", "", " ", "\n  ", "\t"])


def _joined(brackets: str, parts: list[str], blank: str) -> str:
    return brackets[0] + blank + f"{blank},{blank}".join(parts) + blank + brackets[1]


def _object(members: dict[str, str], blank: str) -> str:
    return _joined(
        "{}", [f"{json.dumps(name)}{blank}:{blank}{text}" for name, text in members.items()], blank
    )


@st.composite
def _rows(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """Arrays of like objects, of which some may lack members."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=5, unique=True))
    blank = draw(_BLANKS)
    rows = draw(
        st.lists(st.tuples(*[st.one_of(values, st.just(None)) for _ in names]), min_size=1, max_size=5)
        if draw(st.booleans())
        else st.lists(st.tuples(*[values for _ in names]), min_size=1, max_size=5)
    )
    objects = [
        _object({name: text for name, text in zip(names, row, strict=True) if text is not None}, blank)
        for row in rows
    ]
    if draw(st.booleans()):
        objects.append(draw(values))
    return _joined("[]", objects, blank)


def _containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _rows(values),
        _rows(values),
        st.builds(_object, st.dictionaries(_NAMES, values, max_size=4), _BLANKS),
        st.builds(lambda parts, blank: _joined("[]", parts, blank), st.lists(values, max_size=4), _BLANKS),
    )


DOCUMENTS = st.recursive(_SCALARS, _containers, max_leaves=40)
# Texts of the signs that the notation is made of hit what plain text hardly ever does.
SIGNS = st.text(alphabet='[]{}":,*?+\n\r\t \\1ax\x1b[m;e.-', max_size=40)
TEXTS = st.one_of(
    st.text(max_size=200),
    SIGNS,
    st.lists(st.one_of(DOCUMENTS, SIGNS, st.just("Found 2: ")), max_size=4).map("\n".join),
    st.lists(st.one_of(DOCUMENTS, SIGNS), max_size=4).map("".join),
)


class _Literal(str):
    """A number, told apart from a string."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Literal and str.__eq__(self, other)

    __hash__ = str.__hash__


def _read(text: str) -> object:
    """Read JSON by other means than the code under test: pairs keep order and repetition."""
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: ("object", pairs),
        parse_int=_Literal,
        parse_float=_Literal,
        parse_constant=_Literal,
    )


def _plain(text: str) -> str:
    """Take away what only a terminal sees, by other means than the code under test."""
    text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|\x1b", "", text)
    return re.sub(r"(?<![ \t])[ \t]+(?=\r?(\n|\Z))", "", text)


@given(DOCUMENTS)
@example('[{"a":1,"b":[{"c":1},{"c":2}]},{"a":1,"b":[{"c":1},{"c":2}]},{"a":1,"b":[{"c":1},{"c":2}]}]')
@example('[{"name":1,"longer":2},{"name":1},{"name":1}]')
@example('[{"name":"\\ud83d","longer":1},{"name":"\\ude00","longer":2},{"name":null,"longer":3}]')
def test_json_comes_back_value_for_value(text: str) -> None:
    assert _read(decode(encode(text))) == _read(text)


@given(TEXTS)
@example('Found 2: {"kind"}\nnull\n{"x":1,"yy":2}\n{"x":2,"yy":3}')
@example('{"a": 1} \n\n{"a": 2}\r\n')
def test_text_comes_back_but_for_what_only_a_terminal_sees(text: str) -> None:
    encoded = encode(text)
    plain = _plain(text)
    # A text that reads as one of our tables stands for what the table stands for.
    if _squeeze(decode(plain)) == _squeeze(plain):
        assert _squeeze(decode(encoded)) == _squeeze(plain)


def _squeeze(text: str) -> str:
    """Make equal what is equal as JSON: blanks, and the ways to escape a character."""
    unescaped = re.sub(r"\\u([0-9a-fA-F]{4})|\\/", lambda m: chr(int(m[1], 16)) if m[1] else "/", text)
    for letter, sign in (("n", "\n"), ("r", "\r"), ("t", "\t"), ("b", "\b"), ("f", "\f")):
        unescaped = unescaped.replace("\\" + letter, sign)
    return re.sub(r"[\s\"\\]+", "", unescaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


@given(st.one_of(TEXTS, DOCUMENTS))
def test_encoding_twice_is_encoding_once(text: str) -> None:
    assert encode(encode(text)) == encode(text)


@given(st.one_of(TEXTS, DOCUMENTS))
def test_decoding_tells_the_same_after_encoding_again(text: str) -> None:
    decoded = decode(encode(text))
    assert decode(encode(decoded)) == decoded


@given(st.one_of(TEXTS, DOCUMENTS))
def test_nothing_grows(text: str) -> None:
    encoded = encode(text)
    assert len(encoded) <= len(text)
    assert len(encoded.encode("utf-8", "surrogatepass")) <= len(text.encode("utf-8", "surrogatepass"))
    assert len(encoded) <= len(decode(encoded))


_LONG = st.one_of(
    DOCUMENTS, TEXTS, st.text(min_size=200, max_size=900), _rows(st.text(max_size=300).map(json.dumps))
)
_LIMITS = st.builds(
    Limits,
    tokens_max=st.integers(40, 200),
    rows_max=st.none() | st.integers(1, 3),
    field_chars_max=st.sampled_from([20, 100, 500]),
)
_HANDLE = "GET /v1/bursar/results/h1"


def _count(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) // 3


@given(_LONG, _LIMITS)
def test_a_limited_result_is_within_its_limit_and_says_what_is_missing(text: str, limits: Limits) -> None:
    part = limit(text, limits, _count, _HANDLE)
    whole = encode(text)
    assert part == limit(text, limits, _count, _HANDLE)
    assert len(part.text) <= len(whole)
    if part.left_out:
        assert _count(part.text) <= limits.tokens_max
        assert _HANDLE in part.text
        assert part.left_out in part.text
    else:
        assert part.text == whole


@given(DOCUMENTS, _LIMITS)
def test_limited_json_is_json_that_begins_as_the_whole_does(text: str, limits: Limits) -> None:
    part = limit(text, limits, _count, _HANDLE)
    whole, rest = _read(text), _read(decode(part.text))
    if part.left_out and type(whole) is type(rest):
        assert _is_part(rest, whole)


def _is_part(rest: object, whole: object) -> bool:
    """Whether all of `rest` is in `whole`, marks aside."""
    if isinstance(rest, str) and type(rest) is not _Literal:
        return "…" in rest or rest == whole
    if isinstance(rest, list) and isinstance(whole, list):
        return all(
            _is_part(left, right)
            for left, right in zip(rest, [*whole, "", ""], strict=False)
            if left != right
        )
    if isinstance(rest, tuple) and isinstance(whole, tuple):
        members = dict(whole[1])
        return all("…" in name or _is_part(member, members[name]) for name, member in rest[1])
    return rest == whole


@given(_rows(_SCALARS), st.integers(0, 4), st.integers(0, 4))
def test_selections_of_rows_add_up_to_the_whole(text: str, first: int, second: int) -> None:
    parts = [
        select(text, rows=first),
        select(text, rows=second, offset=first),
        select(text, offset=first + second),
    ]
    assert [row for part in parts for row in _read_rows(decode(part))] == _read_rows(text)


def _read_rows(text: str) -> list[object]:
    rows = _read(text)
    assert isinstance(rows, list)
    return rows
