import pytest

from bursar.view.text_differences import Cause, compare_texts

RULES = " ".join(f"Rule {n}: answer case {n} by paragraph {7 * n % 31}." for n in range(60))


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("Now: 2026-11-20T10:00:00Z. " + RULES, "Now: 2026-11-20T10:00:07Z. " + RULES, Cause.CLOCK),
        ("It is Monday, 10:59. " + RULES, "It is Monday, 11:00. " + RULES, Cause.CLOCK),
        ("at 1795168800 " + RULES, "at 1795168931 " + RULES, Cause.CLOCK),
        ("Request 8f3a-11c2 is yours. " + RULES, "Request 77b0-09ee is yours. " + RULES, Cause.IDENTIFIER),
        ("You serve Ann. " + RULES, "You serve Bob. " + RULES, Cause.TEXT),
        (RULES + " You serve Ann.", RULES + " You serve Bob.", Cause.TAIL),
        (RULES + " Now: 2026-11-20 10:00", RULES + " Now: 2026-11-20 10:01", Cause.CLOCK),
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b": {"d": 3, "c": 2}, "a": 1}', Cause.KEYS),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 3}', Cause.IDENTIFIER),
    ],
)
def test_a_difference_is_told_by_the_words_in_which_it_is(before: str, after: str, cause: Cause) -> None:
    assert compare_texts(before, after).cause is cause


def test_the_offset_is_that_of_the_first_character_and_the_words_are_shown_whole() -> None:
    found = compare_texts("Hello at 10:00, friend", "Hello at 10:01, friend")
    assert (found.offset, found.before, found.after) == (13, "10:00", "10:01")


def test_what_is_shown_is_short_however_long_the_difference() -> None:
    found = compare_texts("a" * 5_000, "b" * 5_000)
    assert 0 < len(found.before) <= 80
    assert found.common == 0


def test_all_but_the_span_is_common_where_one_span_differs() -> None:
    found = compare_texts("It is 10:00. " + RULES, "It is 10:01. " + RULES)
    assert found.total - found.common == 1


def test_clauses_in_another_order_are_common() -> None:
    clauses = [f"Say {n} things about {n * n};" for n in range(50)]
    found = compare_texts("".join(clauses), "".join(reversed(clauses)))
    assert found.common == found.total


def test_a_clause_counts_as_often_as_the_earlier_text_has_it() -> None:
    found = compare_texts("One, two, xyz", "Ten, two, two, two, abc")
    assert found.common == len(" two,")


@pytest.mark.parametrize(
    ("before", "after"), [("", "x"), ("x", ""), ("ab", "abc"), ("abc", "ab"), ("aa", "aaa")]
)
def test_a_text_that_goes_on_has_no_more_in_common_than_it_has(before: str, after: str) -> None:
    found = compare_texts(before, after)
    assert 0 <= found.common <= min(len(before), len(after))
    assert found.offset <= min(len(before), len(after))
