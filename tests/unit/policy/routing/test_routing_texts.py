from math import log1p

import pytest

from bursar.policy.routing.features import BUCKETS, MEASURE_COUNT, read_features
from bursar.policy.routing.texts import EXCERPT_CHARS_MAX, MEASURES, excerpt, read_text


def measure(text: str, name: str) -> float:
    return read_text(text).measures[MEASURES.index(name)]


def test_words_numbers_and_signs_are_told_apart():
    assert read_text("Pay $1,250 (now)!").tokens == ["pay", "$", "0", ",", "000", "(", "now", ")", "!"]


def test_which_digits_a_number_has_is_not_seen_but_its_length_is():
    assert read_text("17 of 23").tokens == read_text("88 of 19").tokens
    assert read_text("17").tokens != read_text("170").tokens


def test_a_script_without_blanks_is_read_character_by_character():
    assert read_text("東京の天気").tokens == list("東京の天気")


def test_letters_beyond_ascii_are_letters():
    assert read_text("Größe ändern").tokens == ["größe", "ändern"]


def test_the_plain_and_the_wide_reading_see_the_same_in_ascii():
    text = "Sum of x_1 + 25 items: {a}; done."
    # One letter beyond ASCII makes the other pattern read it.
    assert read_text(text + " é").tokens == [*read_text(text).tokens, "é"]


def test_of_a_long_text_both_ends_are_read():
    text = "first " + "x" * 100_000 + " last"
    assert read_text(text).tokens[0] == "first"
    assert read_text(text).tokens[-1] == "last"
    assert len(excerpt(text)) == EXCERPT_CHARS_MAX + 1


def test_a_text_that_fits_is_read_whole():
    assert excerpt("x" * EXCERPT_CHARS_MAX) == "x" * EXCERPT_CHARS_MAX


def test_length_counts_all_of_a_long_text():
    assert measure("x" * 50_000, "characters") == log1p(50_000)


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("one two three", "words", 3),
        ("12 apples, 3 pears", "numbers", 2),
        ("It is. Is it. Yes.", "sentences", 3),
        ("Is it? Or not?", "questions", 2),
        ("x^2 + y = 4", "maths_signs", 3),
        ("f(x) { }", "code_signs", 4),
        ("$5 or 7%", "money_signs", 2),
        ("a, b, c", "commas", 2),
        ("a\nb\nc", "lines", 2),
    ],
)
def test_measures_count(text: str, name: str, count: int):
    assert measure(text, name) == log1p(count)


def test_shares_and_means_are_those_of_the_text():
    assert measure("ab abcd ab", "word_length") == pytest.approx(8 / 3)
    assert measure("ab abcd ab", "distinct_words") == pytest.approx(2 / 3)
    assert measure("äbcd", "beyond_ascii") == 0.25
    assert measure("ABcd", "capitals") == 0.5


def test_an_empty_text_has_measures():
    assert read_text("").tokens == []
    assert len(read_text("").measures) == MEASURE_COUNT


def test_features_count_words_and_pairs():
    once, twice = read_features("go"), read_features("go go")
    (bucket,) = once.counts
    assert once.counts[bucket] == 1
    # The word twice, and the pair of it with itself.
    assert twice.counts[bucket] == 2
    assert sum(twice.counts.values()) == 3


def test_order_of_words_is_seen():
    assert read_features("dog bites man").counts != read_features("man bites dog").counts


def test_buckets_are_within_bounds():
    counts = read_features("Many different words, 1 by 1, of any 東京 kind.").counts
    assert all(0 <= bucket < BUCKETS for bucket in counts)


def test_an_answer_is_seen_apart_from_the_prompt():
    alone, answered = read_features("yes"), read_features("yes", "yes")
    assert len(answered.counts) == 2 * len(alone.counts)
    assert len(answered.measures) == 2 * MEASURE_COUNT


def test_an_empty_answer_is_an_answer():
    assert len(read_features("yes", "").measures) == 2 * MEASURE_COUNT


def test_half_a_surrogate_pair_is_read():
    assert read_features("broken \ud83d text").counts
