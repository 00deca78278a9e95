import pytest

from batch_cases import SCHEMA, label, said
from bursar.domain.json_schema import read_schema
from bursar.policy.batch.answers import FaultKind, read_answers

NAMES = ["t0", "t1", "t2"]
GOOD = said((1, label(0)), (2, label(1)), (3, label(2)))


def read(text: str, *, is_cut: bool = False):
    return read_answers(text, NAMES, read_schema(SCHEMA), is_cut=is_cut)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here you are: {GOOD} That is all.",
        f'{{"answers": {GOOD}}}',
        said(("t0", label(0)), ("t1", label(1)), ("t2", label(2))),
    ],
)
def test_answers_are_read_whatever_surrounds_them(text: str) -> None:
    found = read(text)
    assert found.answers == {"t0": label(0), "t1": label(1), "t2": label(2)}
    assert (found.faults, found.extras) == ({}, 0)


def test_a_wrong_number_costs_its_own_item_and_no_other() -> None:
    found = read(said(("1-again", {"empty": {}}), (2, label(1)), (3, label(2))))
    assert (list(found.answers), found.extras) == (["t1", "t2"], 1)
    empty = read('{"x": {}, "1": {"topic": "other"}}')
    assert list(empty.answers) == ["t0"]


def test_a_missing_item_is_named() -> None:
    found = read(said((1, label(0)), (3, label(2))))
    assert list(found.answers) == ["t0", "t2"]
    assert found.faults["t1"].kind is FaultKind.MISSING


@pytest.mark.parametrize("again", [1, "t0"])
def test_an_item_that_is_answered_twice_is_not_guessed_at(again: int | str) -> None:
    found = read(said((1, label(0)), (again, label(0)), (2, label(1)), (3, label(2))))
    assert list(found.answers) == ["t1", "t2"]
    assert found.faults["t0"].kind is FaultKind.DUPLICATED


def test_an_answer_to_nothing_that_was_asked_is_left_out_and_counted() -> None:
    found = read(said((4, label(0)), ("t9", label(0)), ("", None)))
    assert (found.answers, found.extras) == ({}, 3)
    assert {fault.kind for fault in found.faults.values()} == {FaultKind.MISSING}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"topic": "sports"}, "$.topic: 'sports' is not in the enum"),
        (None, "$: expected object, found null"),
    ],
)
def test_an_answer_that_is_not_as_the_schema_says_is_named_with_its_place(answer, reason: str) -> None:
    found = read(said((1, answer)))
    assert found.faults["t0"].kind is FaultKind.MALFORMED
    assert found.faults["t0"].reason == reason


@pytest.mark.parametrize("value", ['"\\ud800"', "9" * 30])
def test_an_answer_that_no_file_could_hold_is_malformed(value: str) -> None:
    found = read_answers(f'{{"1": {value}}}', ["t0"], read_schema(True), is_cut=False)
    assert found.faults["t0"].kind is FaultKind.MALFORMED


def test_where_ids_are_numbers_too_an_answer_is_by_number_alone() -> None:
    found = read_answers('{"1": "a", "2": "b"}', ["2", "1"], read_schema(True), is_cut=False)
    assert found.answers == {"2": "a", "1": "b"}
    found = read_answers('{"7": "a", "1": "b"}', ["7", "8"], read_schema(True), is_cut=False)
    assert (found.answers, found.extras) == ({"7": "b"}, 1)


@pytest.mark.parametrize("cut_at", [len(GOOD) - 3, len(GOOD) - 20])
def test_of_an_answer_that_breaks_off_what_was_whole_is_kept(cut_at: int) -> None:
    found = read(GOOD[:cut_at], is_cut=True)
    assert list(found.answers) == ["t0", "t1"]
    assert found.faults["t2"].kind is FaultKind.CUT


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "{", '{"1": ', '{"a": {' * 100_000, '{"1": NaN}', "[1]", "{}"]
)
def test_what_is_not_json_of_that_form_is_unreadable(text: str) -> None:
    found = read(text)
    assert found.answers == {}
    assert {fault.kind for fault in found.faults.values()} == {FaultKind.UNREADABLE}


def test_a_lone_items_answer_may_come_without_its_number() -> None:
    schema = read_schema(SCHEMA)
    assert read_answers('{"topic": "other"}', ["t0"], schema, is_cut=False).answers == {
        "t0": {"topic": "other"}
    }
    assert not read_answers('{"topic": "sports"}', ["t0"], schema, is_cut=False).answers
    assert not read_answers('{"topic": "other"}', ["t0", "t1"], schema, is_cut=False).answers
