import pytest

from batch_cases import SCHEMA, label, said
from bursar.domain.json_schema import read_schema
from bursar.policy.batch.answers import FaultKind, read_answers

NAMES = ["t0", "t1", "t2"]
GOOD = said(("t0", label(0)), ("t1", label(1)), ("t2", label(2)))


def read(text: str, *, is_cut: bool = False):
    return read_answers(text, NAMES, read_schema(SCHEMA), is_cut=is_cut)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here you are: {GOOD} That is all.",
        GOOD.removeprefix('{"answers": ').removesuffix("}"),
    ],
)
def test_answers_are_read_whatever_surrounds_them(text: str) -> None:
    found = read(text)
    assert found.answers == {"t0": label(0), "t1": label(1), "t2": label(2)}
    assert (found.faults, found.extras) == ({}, 0)


def test_a_missing_item_is_named() -> None:
    found = read(said(("t0", label(0)), ("t2", label(2))))
    assert list(found.answers) == ["t0", "t2"]
    assert found.faults["t1"].kind is FaultKind.MISSING


def test_an_item_that_is_answered_twice_is_not_guessed_at() -> None:
    found = read(said(("t0", label(0)), ("t0", label(0)), ("t1", label(1)), ("t2", label(2))))
    assert list(found.answers) == ["t1", "t2"]
    assert found.faults["t0"].kind is FaultKind.DUPLICATED


def test_an_answer_to_nothing_that_was_asked_is_left_out_and_counted() -> None:
    text = '{"answers": [{"id": "t9", "answer": {"topic": "other"}}, 5, {"answer": 1}, {"id": null}]}'
    found = read(text)
    assert (found.answers, found.extras) == ({}, 4)
    assert {fault.kind for fault in found.faults.values()} == {FaultKind.MISSING}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"topic": "sports"}', "$.topic: 'sports' is not in the enum"),
        ("null", "$: expected object, found null"),
    ],
)
def test_an_answer_that_is_not_as_the_schema_says_is_named_with_its_place(answer: str, reason: str) -> None:
    found = read(f'{{"answers": [{{"id": "t0", "answer": {answer}}}]}}')
    assert found.faults["t0"].kind is FaultKind.MALFORMED
    assert found.faults["t0"].reason == reason


def test_an_answer_that_no_file_could_hold_is_malformed() -> None:
    for value in ('"\\ud800"', "9" * 30):
        text = f'{{"answers": [{{"id": "t0", "answer": {value}}}]}}'
        found = read_answers(text, ["t0"], read_schema(True), is_cut=False)
        assert found.faults["t0"].kind is FaultKind.MALFORMED


def test_an_id_may_be_a_number_and_one_without_an_answer_is_malformed() -> None:
    found = read_answers('{"answers": [{"id": 7}]}', ["7"], read_schema(True), is_cut=False)
    assert found.faults["7"].kind is FaultKind.MALFORMED


@pytest.mark.parametrize("cut_at", [len(GOOD) - 3, len(GOOD) - 20])
def test_of_an_answer_that_breaks_off_what_was_whole_is_kept(cut_at: int) -> None:
    found = read(GOOD[:cut_at], is_cut=True)
    assert list(found.answers) == ["t0", "t1"]
    assert found.faults["t2"].kind is FaultKind.CUT


@pytest.mark.parametrize("text", ["", "I cannot do that.", "{", '{"answers": "t0"}', "[" * 100_000, "[NaN]"])
def test_what_is_not_json_of_that_form_is_unreadable(text: str) -> None:
    found = read(text)
    assert found.answers == {}
    assert {fault.kind for fault in found.faults.values()} == {FaultKind.UNREADABLE}


def test_a_lone_item_may_come_without_the_array() -> None:
    found = read_answers(
        '{"id": "t0", "answer": {"topic": "other"}}', ["t0"], read_schema(SCHEMA), is_cut=False
    )
    assert found.answers == {"t0": {"topic": "other"}}
