import json
from pathlib import Path

import pytest

from bursar.adapters.routing.model_files import load_route_model, save_route_model
from bursar.adapters.routing.outcomes import Wanted, read_outcomes
from bursar.adapters.routing.validation import Judged, deal
from bursar.errors import BadLine, CallerMistake, CorruptStore
from bursar.policy.routing.curve import Outcome, Stakes, trace
from routing_models import learnable, model_by_hand, write_outcomes

NAMED = Wanted(("small", "large"))


def lines(tmp_path: Path, *texts: str) -> str:
    file = tmp_path / "outcomes.jsonl"
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(file)


HARD = '{"prompt": "prove it", "small": false, "large": true}'
EASY = '{"prompt": "hello", "small": true, "large": true}'


def test_outcomes_are_read(tmp_path: Path):
    read = read_outcomes(lines(tmp_path, HARD, "", EASY), NAMED)
    assert [row.prompt for row in read.rows] == ["prove it", "hello"]
    assert [row.outcome for row in read.rows] == [Outcome(0, 1), Outcome(1, 1)]
    assert len(read.sha256) == 64


def test_scores_are_outcomes(tmp_path: Path):
    read = read_outcomes(lines(tmp_path, HARD, '{"prompt": "x", "small": 0.5, "large": 1}'), NAMED)
    assert read.rows[1].outcome == Outcome(0.5, 1.0)


def test_models_are_found_and_the_better_one_is_strong(tmp_path: Path):
    read = read_outcomes(write_outcomes(tmp_path / "o", learnable()), Wanted())
    assert (read.weak, read.strong) == ("small", "large")


def test_equal_prompts_are_a_group_unless_a_field_is_named(tmp_path: Path):
    file = lines(tmp_path, HARD, EASY, EASY)
    groups = [row.group for row in read_outcomes(file, NAMED).rows]
    assert groups[1] == groups[2] != groups[0]
    with_field = lines(tmp_path, *(text[:-1] + ', "subject": 7}' for text in (HARD, EASY)))
    assert [row.group for row in read_outcomes(with_field, Wanted(None, "", "subject")).rows] == ["7", "7"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"small": true, "large": true}', '"prompt" is to be a text; the line has no such field'),
        ('{"prompt": 3, "small": true, "large": true}', '"prompt" is to be a text; it is another number'),
        ('{"prompt": " ", "small": true, "large": true}', '"prompt" is empty'),
        ('{"prompt": "x", "small": true}', 'the line has no such field, but "prompt", "small"'),
        (
            '{"prompt": "x", "small": "yes", "large": true}',
            "true, false or a score from 0 to 1; it is a text",
        ),
        ('{"prompt": "x", "small": 1.5, "large": true}', "it is another number"),
        ('{"prompt": "x", "small": -1, "large": true}', "it is another number"),
        ('{"prompt": "x", "small": null, "large": true}', "it is null"),
        ('{"prompt": "x", "small": [], "large": true}', "it is an array or an object"),
    ],
)
def test_a_line_that_is_no_outcome_is_named(tmp_path: Path, line: str, said: str):
    with pytest.raises(BadLine) as raised:
        read_outcomes(lines(tmp_path, HARD, EASY, line), NAMED)
    assert raised.value.line == 3
    assert said in str(raised.value)


@pytest.mark.parametrize("wanted", [Wanted(("small", "large"), "reply"), Wanted(None, "", "subject")])
def test_a_field_that_is_wanted_and_absent_is_named(tmp_path: Path, wanted: Wanted):
    with pytest.raises(BadLine, match=r":1: \"(reply|subject)\" is to be a text"):
        read_outcomes(lines(tmp_path, HARD, EASY), wanted)


def test_unknown_models_are_told_which_there_are(tmp_path: Path):
    with pytest.raises(CallerMistake, match=r'no line holds an outcome of "tiny".* "small", "large"'):
        read_outcomes(lines(tmp_path, HARD, EASY), Wanted(("tiny", "large")))


def test_which_of_three_models_is_to_be_said(tmp_path: Path):
    three = [json.dumps({**json.loads(text), "medium": True}) for text in (HARD, EASY)]
    with pytest.raises(CallerMistake, match='3 do: "small", "large", "medium"; say which with --models'):
        read_outcomes(lines(tmp_path, *three), Wanted())


@pytest.mark.parametrize("only", [HARD, EASY])
def test_one_class_cannot_be_learned_from(tmp_path: Path, only: str):
    with pytest.raises(CallerMistake, match=r"of( all)? 2 lines|on all 2 lines"):
        read_outcomes(lines(tmp_path, only, only), NAMED)


def test_an_empty_and_an_absent_file_are_told(tmp_path: Path):
    with pytest.raises(CallerMistake, match="is empty"):
        read_outcomes(lines(tmp_path, ""), NAMED)
    with pytest.raises(CallerMistake, match="cannot be read"):
        read_outcomes(str(tmp_path / "absent"), NAMED)


def test_folds_are_of_nearly_equal_size():
    dealt = deal([str(number) for number in range(103)], 5, 0)
    assert sorted(dealt.count(fold) for fold in range(5)) == [20, 20, 21, 21, 21]


def test_a_group_stays_together():
    groups = [f"subject {number % 7}" for number in range(70)]
    dealt = deal(groups, 3, 4)
    assert len({(group, fold) for group, fold in zip(groups, dealt, strict=True)}) == 7
    assert set(dealt) == {0, 1, 2}


def test_a_seed_deals_in_another_way_and_always_the_same():
    groups = [str(number) for number in range(50)]
    assert deal(groups, 5, 1) == deal(groups, 5, 1) != deal(groups, 5, 2)


def test_fewer_prompts_than_folds_are_too_few():
    with pytest.raises(
        CallerMistake, match=r"5 folds need as many .* there are 2; ask for fewer with --folds"
    ):
        deal(["a", "b", "a"], 5, 0)


def test_a_model_is_kept_and_found(tmp_path: Path):
    model = model_by_hand({"theorem": 2.0})
    file = tmp_path / "route.model"
    assert save_route_model(model, str(file)) == file.stat().st_size
    assert load_route_model(str(file)) == model
    assert [path.name for path in tmp_path.iterdir()] == ["route.model"]


def test_a_model_that_cannot_be_written_or_read_is_told(tmp_path: Path):
    nowhere = str(tmp_path / "no" / "where")
    with pytest.raises(CallerMistake, match="cannot be written"):
        save_route_model(model_by_hand(), nowhere)
    with pytest.raises(CallerMistake, match="cannot be read"):
        load_route_model(nowhere)


def test_a_foreign_file_is_no_model(tmp_path: Path):
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x80\x04\x95 pickled" * 1_000)
    with pytest.raises(CorruptStore, match="is no routing model"):
        load_route_model(str(foreign))


def test_held_out_quality_sets_each_threshold_by_the_other_folds():
    # In each fold the prompt with the better score needs the strong model. Fold 1's scores lie lower: the
    # threshold of fold 0 (0.75) sends none of its prompts there, and its own (0.35) both of fold 0's.
    outcomes = [Outcome(0, 1), Outcome(1, 0), Outcome(0, 1), Outcome(1, 1)]
    scores, dealt = [0.9, 0.6, 0.5, 0.2], [0, 0, 1, 1]
    judged = Judged(outcomes, scores, dealt, trace(scores, outcomes))
    figures = judged.figures(Stakes(1, 10), 1.0)
    # Fold 0 gets the strong model's answers (1 + 0), fold 1 the weak one's (0 + 1): 2 of the strong one's 3.
    assert figures.held_out_quality == pytest.approx(2 / 3)
    assert figures.quality == pytest.approx(1)
