"""Where texts begin alike."""

import pytest

from bursar.view.beginnings import WHOLE, Beginning, Beginnings, Cut
from bursar.view.rhythm import Prior, Return

BELIEF = Prior(Return(0.1, 0.0), weight=1.0)
RULES = "".join([f"{number}. Rule {number} says that nothing is free.\n" for number in range(600)]).encode()


def tail(name: str) -> bytes:
    return "".join([f"{name} asks {number} things, and more.\n" for number in range(100)]).encode()


def learned(beginnings: Beginnings, text: bytes, at_s: float = 0.0, before: bytes = b"") -> list[int]:
    return [found.end_bytes for found in beginnings.learn(before, text, at_s)]


def test_texts_that_begin_alike_share_almost_all_that_they_share() -> None:
    beginnings = Beginnings()
    assert learned(beginnings, RULES + tail("Ann")) == []
    (end,) = learned(beginnings, RULES + tail("Bob"))
    assert 0.9 * len(RULES) <= end <= len(RULES)
    assert RULES[:end].endswith(b"\n")


def test_what_stands_before_a_text_belongs_to_its_beginning() -> None:
    beginnings = Beginnings()
    learned(beginnings, RULES + tail("Ann"), before=b"a")
    assert learned(beginnings, RULES + tail("Bob"), before=b"b") == []


def test_short_texts_and_short_beginnings_are_left_alone() -> None:
    beginnings = Beginnings()
    for name in (b"Ann", b"Bob"):
        assert learned(beginnings, RULES[:900] + name) == []
        assert learned(beginnings, RULES[:900] + 300 * name) == []


@pytest.mark.parametrize(
    "text", ["ä" * 9_000, "\U0001f600" * 5_000, "漢字" * 4_000, "a" * 1_023 + "é" * 9_000]
)
def test_a_beginning_ends_between_two_characters(text: str) -> None:
    beginnings = Beginnings()
    learned(beginnings, (text + "1" * 500).encode())
    (end,) = learned(beginnings, (text + "2" * 500).encode())
    first, rest = text.encode()[:end].decode(), (text + "2" * 500).encode()[end:].decode()
    assert first + rest == text + "2" * 500


@pytest.mark.parametrize("text", [b"a line\n\n\n", b"word "])
def test_a_beginning_takes_all_line_breaks_at_its_end_and_no_blank(text: bytes) -> None:
    beginnings = Beginnings()
    learned(beginnings, text * 900 + b"1")
    (end,) = learned(beginnings, text * 900 + b"2")
    first, rest = (text * 900)[:end], (text * 900)[end:]
    assert first.endswith(b"\n\n\n" if b"\n" in text else b"word")
    assert rest.startswith((b"a line", b" word"))


def test_what_is_left_of_a_text_is_never_blank() -> None:
    beginnings = Beginnings()
    text = RULES[:2_000].rstrip()
    learned(beginnings, text + b" \n" * 5_000)
    (end,) = learned(beginnings, text + b" \n" * 5_001)
    assert text[end:].strip()


def test_the_longest_at_which_a_text_was_split_is_told_too() -> None:
    beginnings = Beginnings()
    learned(beginnings, RULES + tail("Ann"))
    (short,) = beginnings.learn(b"", RULES[:9_000] + tail("Bob"), 0.0)
    beginnings.decide(b"front", Cut(0, short))
    long, found = beginnings.learn(b"", RULES + tail("Cid"), 0.0)
    assert (found, long.end_bytes > 2 * short.end_bytes) == (short, True)


def test_a_beginning_that_came_twice_is_likely_to_come_again() -> None:
    beginnings = Beginnings()
    learned(beginnings, RULES + tail("Ann"), 0.0)
    (beginning,) = beginnings.learn(b"", RULES + tail("Bob"), 100.0)
    assert beginnings.expect(beginning.name, BELIEF, 100.0).short == pytest.approx(0.55)
    beginnings.arrive(beginning.name, 150.0)
    assert beginnings.expect(beginning.name, BELIEF, 150.0).short == pytest.approx(0.7)


def test_one_that_comes_back_late_is_not() -> None:
    beginnings = Beginnings()
    learned(beginnings, RULES + tail("Ann"), 0.0)
    (beginning,) = beginnings.learn(b"", RULES + tail("Bob"), 1_000.0)
    coming = beginnings.expect(beginning.name, BELIEF, 1_000.0)
    assert (coming.short, coming.middle) == (pytest.approx(0.05), pytest.approx(0.5))


def test_a_front_is_sent_as_was_decided() -> None:
    beginnings = Beginnings()
    assert beginnings.cut(b"front") is None
    beginnings.decide(b"front", WHOLE)
    assert beginnings.cut(b"front") is WHOLE


def test_a_text_is_new_once() -> None:
    beginnings = Beginnings()
    assert [beginnings.is_new(b"text"), beginnings.is_new(b"text"), beginnings.is_new(b"other")] == [
        True,
        False,
        True,
    ]


def test_memory_is_bounded_and_what_goes_on_stays() -> None:
    beginnings = Beginnings(points_max=100, fronts_max=40, cuts_max=20)
    lasting = Cut(0, Beginning(1, b"lasting"))
    beginnings.decide(b"lasting", lasting)
    for number in range(200):
        learned(beginnings, tail(str(number)))
        beginnings.is_new(str(number).encode())
        beginnings.decide(str(number).encode(), Cut(0, Beginning(1, str(number).encode())))
        assert beginnings.cut(b"lasting") is lasting
    sizes = [len(d) for d in (beginnings._seen, beginnings._fronts, beginnings._texts, beginnings._cut)]
    assert [size <= most for size, most in zip(sizes, (100, 40, 40, 20), strict=True)] == [True] * 4
