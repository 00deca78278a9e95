"""Lines that may vary, and what is learned of them."""

import pytest

from bursar.view.volatile_lines import Line, VolatileLines, changed_lines, find_lines

NOTHING: frozenset[bytes] = frozenset()


def lines_of(*texts: str) -> tuple[Line, ...]:
    return find_lines([((number, 0), text) for number, text in enumerate(texts)])


def taken(text: str, line: Line) -> str:
    return text[line.start : line.end]


@pytest.mark.parametrize(
    "line",
    [
        "Now it is 2026-11-24T12:03:07Z.",
        "Today is Tuesday.",
        "Date: 24 November 2026, 3:05 pm",
        "Request 4f9c2a1e-77aa-4c0e-9f53-0a1b2c3d4e5f",
        "trace=req_01HX7",
        "You are asked for the 17th time.",
        "<now>12:03</now>",
    ],
)
def test_a_line_with_a_time_an_id_or_a_count_may_vary_and_move(line: str) -> None:
    text = f"You help.\n{line}\nBe kind."
    (found,) = lines_of(text)
    assert taken(text, found) == f"{line}\n"
    assert found.movable
    assert found.behind == len("Be kind.")


@pytest.mark.parametrize(
    "text",
    [
        '{"now": "12:03"}',
        "Context:\n```\nnow: 12:03\n```\n",
        'Like this:\n  "now": "12:03",\n',
        "| 12:03 | now |",
        "<context at=12:03>\nnothing\n</context>",
        f"It is 12:03. {'Much more is said here. ' * 20}",
    ],
)
def test_a_line_that_means_nothing_alone_may_vary_but_stays(text: str) -> None:
    (found,) = lines_of(text)
    assert not found.movable


def test_text_without_digits_has_no_line_that_may_vary() -> None:
    assert lines_of("You help travellers.\nYou may be kind.\n" * 50) == ()


def test_lines_that_differ_in_varying_words_only_have_one_name() -> None:
    (one,) = lines_of("You help.\nIt is 12:03.\nBe kind.")
    (other,) = lines_of("You help.\nIt is 9:15:22.\nBe kind.")
    assert one.name == other.name
    assert one.value != other.value


def test_a_line_behind_other_text_has_another_name() -> None:
    (one,) = lines_of("You help.\nIt is 12:03.")
    (other,) = lines_of("You hinder.\nIt is 12:03.")
    assert one.name != other.name


def test_lines_are_found_across_texts_with_all_that_is_behind_them() -> None:
    first, second = lines_of("It is 12:03.\nBe kind.", "Case 7 is open.")
    assert (first.spot, second.spot) == ((0, 0), (1, 0))
    assert first.behind == len("Be kind.") + len("Case 7 is open.")
    assert second.behind == 0


def test_a_table_of_numbers_has_no_lines_that_vary() -> None:
    assert lines_of("".join(f"Room {n} is free.\n" for n in range(300))) == ()


def test_a_long_text_without_breaks_takes_no_time() -> None:
    assert lines_of("x" * 1_000_000) == ()
    assert len(lines_of("x" * 1_000_000 + "7")) == 1


def test_a_line_varies_once_it_was_seen_in_other_words() -> None:
    seen = VolatileLines()
    one, other = lines_of("It is 12:03."), lines_of("It is 12:04.")
    assert not seen.see(b"a", one, NOTHING)[one[0].name].varies
    assert not seen.see(b"a", one, NOTHING)[one[0].name].varies
    known = seen.see(b"a", other, NOTHING)[other[0].name]
    assert (known.varies, known.within) == (True, False)
    assert seen.see(b"a", one, changed_lines(other, one))[one[0].name].within
    assert seen.see(b"a", one, NOTHING)[one[0].name].within


def test_agents_learn_nothing_from_each_other() -> None:
    seen = VolatileLines()
    one, other = lines_of("It is 12:03."), lines_of("It is 12:04.")
    seen.see(b"a", one, NOTHING)
    assert not seen.see(b"b", other, NOTHING)[other[0].name].varies


def test_what_is_remembered_is_bounded() -> None:
    seen = VolatileLines(lines_max=16)
    first = lines_of("Line 0 of a.")
    seen.see(b"a", first, NOTHING)
    for number in range(40):
        seen.see(b"a", lines_of(f"{'x' * (number + 1)} 12:03"), NOTHING)
    other = lines_of("Line 1 of a.")
    assert not seen.see(b"a", other, NOTHING)[other[0].name].varies


def test_only_lines_that_both_prompts_have_change() -> None:
    before = lines_of("It is 12:03.\nCase 7.\n")
    after = lines_of("It is 12:04.\nCase 7.\nRoom 3.\n")
    assert changed_lines(before, after) == {after[0].name}
