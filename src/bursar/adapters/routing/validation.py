"""Judges a learned model by outcomes that it did not learn from.

Outcomes are dealt into folds; each fold is scored by a model that was fitted to the others. All scores are
then taken together, so that one threshold holds for all.
"""

from collections.abc import Callable, Sequence

import msgspec
import xxhash

from bursar import __version__
from bursar.adapters.routing.fitting import STRENGTH, Example, Fitted, Learner
from bursar.adapters.routing.outcomes import Outcomes
from bursar.errors import CallerMistake
from bursar.policy.routing.curve import (
    Curve,
    Outcome,
    Stakes,
    oracle_strong_calls,
    random_strong_calls,
    trace,
)
from bursar.policy.routing.features import read_features
from bursar.policy.routing.model import ModelCard, RouteModel, score


class Figures(msgspec.Struct, frozen=True):
    """What routing by a score comes to, at the threshold that is cheapest for a wanted quality.

    Attributes:
        cost_saved: Share saved of what the strong model alone would cost.
        quality: Of the mix over the strong model alone.
        strong_share: Share of the calls that go to the strong model.
        threshold: Scores from there up go there.
        held_out_quality: The quality where each fold's threshold is set by the other folds alone: what to
            expect of prompts to come.
        random_cost_saved: What drawing lots would save at the same quality.
        oracle_cost_saved: What knowing all outcomes beforehand would save.
    """

    cost_saved: float
    quality: float
    strong_share: float
    threshold: float
    held_out_quality: float
    random_cost_saved: float
    oracle_cost_saved: float


class Judged(msgspec.Struct, frozen=True):
    """Outcomes, each with a score that was made without knowing it.

    Attributes:
        outcomes: The outcomes.
        scores: A score for each.
        dealt: The fold of each, from 0.
        curve: What all thresholds come to, over all folds together.
    """

    outcomes: Sequence[Outcome]
    scores: Sequence[float]
    dealt: Sequence[int]
    curve: Curve

    def figures(self, stakes: Stakes, quality: float) -> Figures:
        """Return what the cheapest threshold for a quality comes to."""
        outcomes, calls = self.outcomes, len(self.outcomes)
        point = self.curve.cheapest(quality)
        return Figures(
            cost_saved=stakes.saved(calls, point.strong_calls),
            quality=point.quality,
            strong_share=point.strong_calls / calls,
            threshold=point.threshold,
            held_out_quality=self._held_out_quality(quality),
            random_cost_saved=stakes.saved(calls, random_strong_calls(outcomes, quality)),
            oracle_cost_saved=stakes.saved(calls, oracle_strong_calls(outcomes, quality)),
        )

    def _held_out_quality(self, quality: float) -> float:
        total = 0.0
        for fold in set(self.dealt):
            threshold = self._threshold_without(fold, quality)
            for given, outcome, own in zip(self.scores, self.outcomes, self.dealt, strict=True):
                if own == fold:
                    total += outcome.strong if given >= threshold else outcome.weak
        return total / sum(outcome.strong for outcome in self.outcomes)

    def _threshold_without(self, fold: int, quality: float) -> float:
        others = [number for number, own in enumerate(self.dealt) if own != fold]
        outcomes = [self.outcomes[number] for number in others]
        if not any(outcome.strong for outcome in outcomes):
            return 0.0
        return trace([self.scores[number] for number in others], outcomes).cheapest(quality).threshold


class Validation:
    """Outcomes, made ready to be learned from again and again.

    Args:
        outcomes: The outcomes.
        learner: What fits models.
        advance: Told each time a model was fitted.

    Attributes:
        outcomes: How good both models were, prompt by prompt.
    """

    def __init__(
        self, outcomes: Outcomes, learner: Learner, advance: Callable[[], None] = lambda: None
    ) -> None:
        self._read = outcomes
        self._learner = learner
        self._advance = advance
        self._examples = [
            Example(read_features(row.prompt, row.answer), row.outcome) for row in outcomes.rows
        ]
        self.outcomes = [row.outcome for row in outcomes.rows]

    def judge(self, folds: int, seed: int = 0) -> Judged:
        """Score each outcome by a model that did not learn from its fold.

        Args:
            folds: How many; at least 2.
            seed: Which way to deal the outcomes.

        Raises:
            CallerMistake: There are fewer groups of outcomes than folds.
        """
        dealt = deal([row.group for row in self._read.rows], folds, seed)
        scores = [0.0] * len(self._examples)
        for fold in range(folds):
            fitted = self._fit([number for number, own in enumerate(dealt) if own != fold])
            model = self._model(fitted, Curve(0, ()))
            for number in (number for number, own in enumerate(dealt) if own == fold):
                scores[number] = score(model, self._examples[number].features)
        return Judged(self.outcomes, scores, dealt, trace(scores, self.outcomes))

    def model(self, folds: int, seed: int = 0) -> RouteModel:
        """Fit a model to all outcomes, with the curve that cross-validation draws.

        Raises:
            CallerMistake: There are fewer groups of outcomes than folds.
        """
        curve = self.judge(folds, seed).curve.thinned()
        fitted = self._fit(range(len(self._examples)))
        return self._model(fitted, curve, {"folds": folds, "seed": seed})

    def _fit(self, numbers: Sequence[int]) -> Fitted:
        fitted = self._learner.fit([self._examples[number] for number in numbers])
        self._advance()
        return fitted

    def _model(self, fitted: Fitted, curve: Curve, options: dict[str, int] | None = None) -> RouteModel:
        read = self._read
        gains = [outcome.strong - outcome.weak for outcome in self.outcomes]
        card = ModelCard(
            weak=read.weak,
            strong=read.strong,
            answer_field=read.wanted.answer_field,
            data_sha256=read.sha256,
            rows=len(gains),
            strong_better=sum(gain > 0 for gain in gains),
            strong_worse=sum(gain < 0 for gain in gains),
            options={
                **(options or {}),
                "group_by": read.wanted.group_field,
                "strength": STRENGTH,
                "bursar": __version__,
                "scikit-learn": self._learner.version,
            },
        )
        return RouteModel(card, fitted.space, fitted.better, fitted.worse, curve)


def mean(figures: Sequence[Figures]) -> Figures:
    """Return the mean of each figure."""
    rows = zip(*(msgspec.structs.astuple(each) for each in figures), strict=True)
    return Figures(*(sum(row) / len(figures) for row in rows))


def deal(groups: Sequence[str], folds: int, seed: int) -> list[int]:
    """Deal outcomes into folds of nearly equal size; those of one group stay together.

    Args:
        groups: The group of each outcome.
        folds: How many.
        seed: Which way; the same on every machine.

    Returns:
        The fold of each outcome, from 0.

    Raises:
        CallerMistake: There are fewer groups than folds.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < folds:
        raise CallerMistake(
            f"{folds} folds need as many prompts (or groups) at least, and there are {len(sizes)}; "
            f"ask for fewer with --folds, or give more outcomes"
        )
    shuffled = sorted(sizes, key=lambda group: _draw(group, seed))
    filled = [0] * folds
    fold_of: dict[str, int] = {}
    for group in shuffled:
        fold = filled.index(min(filled))
        filled[fold] += sizes[group]
        fold_of[group] = fold
    return [fold_of[group] for group in groups]


def _draw(group: str, seed: int) -> bytes:
    return xxhash.xxh3_128_digest(f"{seed}/{group}".encode("utf-8", "surrogatepass"))
