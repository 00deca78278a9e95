import json
import subprocess
import sys
from pathlib import Path

import pytest

from bursar.adapters.routing import fitting
from bursar.cli.route import evaluate, train
from bursar.errors import CallerMistake
from routing_models import learnable, write_outcomes

PRICES = ["small=1", "large=10"]


@pytest.fixture
def outcomes(tmp_path: Path) -> str:
    return write_outcomes(tmp_path / "outcomes.jsonl", learnable(8))


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (["small=1"], 'none is given for "large"; add --price large=USD'),
        (["small=1", "large=10", "huge=9"], '"huge" is none of the models small and large'),
        (["small=1", "small=2", "large=10"], '"small" has two prices'),
        (["small", "large=10"], '"small" is to be MODEL=USD, such as small=0.24'),
        (["=1", "large=10"], '"=1" is to be MODEL=USD'),
        (["small=cheap", "large=10"], "is no amount of US dollars"),
        (["small=0.0000000001", "large=10"], "finer than a nanodollar"),
        (["small=10", "large=10"], "is to cost less than"),
        (["small=-1", "large=10"], "no less than nothing"),
        (["small=11", "large=10"], "swap the models: --models large,small"),
    ],
)
def test_a_wrong_price_is_named(outcomes: str, prices: list[str], said: str):
    with pytest.raises(CallerMistake) as raised:
        evaluate(outcomes, price=prices)
    assert said in str(raised.value)
    assert str(raised.value).startswith("--price: ")


@pytest.mark.parametrize("models", ["small", "small,", "small,small", "a,b,c", ""])
def test_models_are_two(outcomes: str, models: str):
    with pytest.raises(CallerMistake, match=r"--models: .* WEAK,STRONG"):
        evaluate(outcomes, price=PRICES, models=models)


@pytest.mark.parametrize("quality", [0, -1, 1.01, float("nan")])
def test_a_quality_is_a_share_of_the_strong_model_s(outcomes: str, quality: float):
    with pytest.raises(CallerMistake, match="--quality"):
        evaluate(outcomes, price=PRICES, quality=quality)


def test_a_plot_is_svg(outcomes: str):
    with pytest.raises(CallerMistake, match=r"--plot: curve\.png is to end in \.svg"):
        evaluate(outcomes, price=PRICES, plot=Path("curve.png"))


def test_outcomes_are_not_overwritten(outcomes: str):
    before = Path(outcomes).read_bytes()
    with pytest.raises(CallerMistake, match="is the file of outcomes"):
        train(outcomes, out=Path(outcomes))
    assert Path(outcomes).read_bytes() == before


def test_without_the_extra_it_is_said_which(outcomes: str, monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(fitting.importlib, "import_module", absent)
    with pytest.raises(CallerMistake, match=r'pip install "bursar\[routing\]"'):
        train(outcomes)


@pytest.mark.parametrize("command", ["train", "eval"])
def test_a_line_that_is_no_outcome_exits_with_2(tmp_path: Path, command: str):
    file = tmp_path / "o.jsonl"
    file.write_text(json.dumps(learnable(1)[0]) + '\n{"prompt": "x", "small": "?", "large": true}\n')
    prices = [f"--price={price}" for price in PRICES] if command == "eval" else []
    models = ["--models", "small,large"]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bursar.cli.main import run; run()",
            "route",
            command,
            str(file),
            *models,
            *prices,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"bursar: {file}:2: ")
    assert not done.stdout
