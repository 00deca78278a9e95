"""Learning for real: by scikit-learn, on outcomes of a small world of our own."""

import json
from array import array
from math import exp
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from bursar.adapters.routing.fitting import Example, Learner
from bursar.adapters.routing.model_files import load_route_model
from bursar.adapters.routing.outcomes import Wanted, read_outcomes
from bursar.adapters.routing.validation import Validation
from bursar.cli.main import app
from bursar.policy.routing.curve import Curve, Outcome, Stakes
from bursar.policy.routing.features import BUCKETS, read_features
from bursar.policy.routing.model import RouteModel, score
from bursar.policy.routing.model_file import decode, encode
from routing_models import card, learnable, model_by_hand, write_outcomes

RUNNER = CliRunner()
PRICES = ["--price", "small=1", "--price", "large=10"]


@pytest.fixture
def outcomes(tmp_path: Path) -> str:
    return write_outcomes(tmp_path / "outcomes.jsonl", learnable())


def run(*words: str) -> str:
    result = RUNNER.invoke(app, ["route", *words])
    assert result.exception is None, result.exception
    return result.output


def test_what_is_needed_is_learned(outcomes: str, tmp_path: Path):
    out = tmp_path / "m"
    run("train", outcomes, "--out", str(out))
    model = load_route_model(str(out))
    hard = score(model, read_features("prove this theorem about my cat"))
    easy = score(model, read_features("please tell me my balance"))
    assert hard > 0.6
    assert easy < 0.5
    assert easy < model.threshold_for(0.95) < 1


def test_learning_again_gives_the_same_bytes(outcomes: str, tmp_path: Path):
    first, second = tmp_path / "1", tmp_path / "2"
    for out in (first, second):
        run("train", outcomes, "--out", str(out))
    assert first.read_bytes() == second.read_bytes()


def test_our_score_is_scikit_learn_s_probability(outcomes: str):
    learner = Learner()
    examples = [
        Example(read_features(row.prompt), row.outcome)
        for row in read_outcomes(outcomes, Wanted()).rows
    ]  # fmt: skip
    fitted = learner.fit(examples)
    matrix = learner._matrix(fitted.space, [example.features for example in examples])
    logits = matrix[:, :BUCKETS].dot(list(fitted.better.buckets)) + matrix[:, BUCKETS:].dot(
        list(fitted.better.measures)
    )
    silent = model_by_hand().worse
    model = RouteModel(card(), fitted.space, fitted.better, silent, Curve(0, ()))
    for example, logit in zip(examples, logits, strict=True):
        better = 1 / (1 + exp(-(logit + fitted.better.bias)))
        assert score(model, example.features) == pytest.approx((1 + better - 0.5) / 2, abs=1e-6)


def test_outcomes_in_part_pull_both_ways():
    learner = Learner()

    def learned(gain: float) -> float:
        hard = [Example(read_features(f"prove {n}"), Outcome(1 - gain, 1)) for n in range(9)]
        easy = [Example(read_features(f"hello {n}"), Outcome(1, 1)) for n in range(9)]
        fitted = learner.fit(hard + easy)
        model = RouteModel(card(), fitted.space, fitted.better, fitted.worse, Curve(0, ()))
        return score(model, read_features("prove 3"))

    assert learned(0.1) < learned(0.5) < learned(1.0)


def test_a_part_without_a_class_still_has_a_model():
    examples = [Example(read_features(f"hello {n}"), Outcome(1, 1)) for n in range(4)]
    fitted = Learner().fit(examples)
    assert fitted.better.buckets == array("f", bytes(4 * BUCKETS))
    # Half an outcome of five has been seen: 10 %.
    assert 1 / (1 + exp(-fitted.better.bias)) == pytest.approx(0.1)


def test_learned_routing_lies_between_lots_and_knowing(outcomes: str):
    figures = json.loads(run("eval", outcomes, *PRICES, "--json"))
    assert figures["quality"] >= 0.95
    assert figures["random_cost_saved"] < figures["cost_saved"] <= figures["oracle_cost_saved"]
    assert figures["cost_saved"] == pytest.approx((1 - figures["strong_share"]) * 0.9)
    assert 0 < figures["threshold"] < 1
    assert len(figures["curve"]) == 101
    assert figures["models"] == {"weak": "small", "strong": "large"}


def test_figures_of_several_seeds_are_means(outcomes: str):
    figures = json.loads(run("eval", outcomes, *PRICES, "--json", "--seeds", "3"))
    saved = [each["cost_saved"] for each in figures["seeds"]]
    assert len(saved) == 3
    assert figures["cost_saved"] == pytest.approx(sum(saved) / 3)


def test_a_prompt_is_not_judged_by_a_model_that_learned_it(tmp_path: Path):
    # Outcomes without rhyme or reason, each prompt twice: only a leak would make them look learnable.
    rows = [{"prompt": f"question {n % 60}", "small": n % 60 % 7 % 2 == 0, "large": True} for n in range(120)]
    read = read_outcomes(write_outcomes(tmp_path / "o", rows), Wanted(("small", "large")))
    validation = Validation(read, Learner())
    figures = validation.judge(5).figures(Stakes(1, 10), 0.95)
    assert figures.cost_saved < figures.oracle_cost_saved - 0.2


def test_a_cascade_pays_both_and_sees_the_answer(outcomes: str, tmp_path: Path):
    figures = json.loads(run("eval", outcomes, *PRICES, "--cascade", "reply", "--json"))
    assert figures["cascade"]
    assert figures["cost_saved"] == pytest.approx(1 - 0.1 - figures["strong_share"])
    out = tmp_path / "m"
    run("train", outcomes, "--cascade", "reply", "--out", str(out))
    model = load_route_model(str(out))
    assert model.card.answer_field == "reply"
    doubtful, sure = (
        score(model, read_features("a question", answer)) for answer in ("I do not know", "It is ready")
    )
    assert doubtful > sure


def test_groups_are_kept_apart(outcomes: str):
    assert "cost saved" in run("eval", outcomes, *PRICES, "--group-by", "topic", "--folds", "4")


def test_the_curve_is_drawn(outcomes: str, tmp_path: Path):
    plot = tmp_path / "curve.svg"
    run("eval", outcomes, *PRICES, "--plot", str(plot))
    root = ET.fromstring(plot.read_text(encoding="utf-8"))  # noqa: S314 - we wrote it
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 3
    points = root.findall("{http://www.w3.org/2000/svg}polyline")[2].attrib["points"].split()
    assert len(points) == 101
    assert all(0 <= float(x) <= 760 for x in (point.split(",")[0] for point in points))


def test_training_says_what_it_kept(outcomes: str, tmp_path: Path):
    out = tmp_path / "m"
    said = json.loads(run("train", outcomes, "--out", str(out), "--json"))
    model = load_route_model(str(out))
    assert (said["file"], said["bytes"]) == (str(out), out.stat().st_size)
    assert (said["rows"], said["strong_better"], said["strong_worse"]) == (80, 40, 4)
    assert said["data_sha256"] == model.card.data_sha256
    assert said["thresholds"][1] == {
        "quality": 0.95,
        "threshold": model.threshold_for(0.95),
        "strong_share": model.curve.cheapest(0.95).strong_calls / 80,
    }
    assert decode(encode(model), "m") == model
    assert "Kept in" in run("train", outcomes, "--out", str(out))
