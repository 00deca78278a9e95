"""What learned routing saves at 95 % of the strong model's quality, beside lots and knowing all outcomes.

    python -m bench.routing_quality [--data DIR]

Prompts are scored by models that did not learn from them (5 folds, all scores together); figures are means
over several ways of dealing the prompts into folds. Nothing is searched for: what there is to set is the same
for all. "Own signs" is what a call's own signs come to where nothing was learned; "held out" is the quality
where the threshold of each fold is set by the other folds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bursar.adapters.routing.fitting import Learner
from bursar.adapters.routing.outcomes import Outcomes, Wanted, read_outcomes
from bursar.adapters.routing.validation import Figures, Validation, mean
from bursar.policy.routing.curve import Stakes, trace
from bursar.policy.routing.signals import read_text_signals, score_signals
from bursar.policy.routing.texts import read_text

_QUALITY = 0.95
_FOLDS = 5
# Prices of Mixtral-8x7B and GPT-4-1106, in USD, as RouteLLM's evaluations count them.
_WEAK_NUSD, _STRONG_NUSD = 240_000_000, 24_700_000_000


class Case(msgspec.Struct, frozen=True):
    """What is measured, and what it must save at least; None where more than lots do is enough."""

    name: str
    file: str
    seeds: int
    saved_min: float | None
    group_field: str = ""
    answer_field: str = ""


CASES = (
    Case("mmlu, random folds", "routing-mmlu.jsonl", 3, 0.65),
    Case("mmlu, folds by subject", "routing-mmlu.jsonl", 5, None, group_field="subject"),
    Case("gsm8k, before generation", "routing-gsm8k.jsonl", 10, 0.30),
    Case("gsm8k, cascade", "routing-gsm8k.jsonl", 10, None, answer_field="weak_response"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    learner = Learner()
    heads = ("learned", "(between", "and)", "lots", "knowing all", "own signs", "to strong", "held out")
    print(f"{'cost saved':26}" + "".join(f"{head:>12}" for head in heads))
    right = True
    for case in CASES:
        wanted = Wanted(("weak", "strong"), case.answer_field, case.group_field)
        outcomes = read_outcomes(str(data / case.file), wanted)
        stakes = Stakes(_WEAK_NUSD, _STRONG_NUSD, both_paid=bool(case.answer_field))
        validation = Validation(outcomes, learner)
        figures = [validation.judge(_FOLDS, seed).figures(stakes, _QUALITY) for seed in range(case.seeds)]
        show(case, figures, own_signs(outcomes, stakes))
        middle = mean(figures)
        least = middle.random_cost_saved if case.saved_min is None else case.saved_min
        right = right and middle.cost_saved > least
    return int(not right)


def own_signs(outcomes: Outcomes, stakes: Stakes) -> float:
    """Return what the signs of the prompts alone save."""
    scores = [score_signals(read_text_signals(read_text(row.prompt))) for row in outcomes.rows]
    curve = trace(scores, [row.outcome for row in outcomes.rows])
    return stakes.saved(curve.calls, curve.cheapest(_QUALITY).strong_calls)


def show(case: Case, figures: Sequence[Figures], own: float) -> None:
    middle = mean(figures)
    saved = [each.cost_saved for each in figures]
    shares = (
        middle.cost_saved,
        min(saved),
        max(saved),
        middle.random_cost_saved,
        middle.oracle_cost_saved,
        own,
        middle.strong_share,
        middle.held_out_quality,
    )
    print(f"{case.name:26}" + "".join(f"{100 * share:10.1f} %" for share in shares), flush=True)


if __name__ == "__main__":
    sys.exit(main())
