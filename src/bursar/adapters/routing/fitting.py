"""Fits a learned model to outcomes, by scikit-learn.

Nothing is searched for: what there is to set was set beforehand, so that no outcome that is judged by has a
say in it. `STRENGTH` is what scikit-learn has by default.
"""

import importlib
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import log, sqrt
from typing import Any

import msgspec

from bursar.errors import CallerMistake
from bursar.policy.routing.curve import Outcome
from bursar.policy.routing.features import BUCKETS, Features
from bursar.policy.routing.model import Head, Space

STRENGTH = 1.0
"""How far the data may pull weights away from zero (`C`)."""

_ROUNDS_MAX = 1_000
# What keeps a rate that was never seen to vary from being taken for certain.
_PRIOR_WEIGHT = 0.5


class Example(msgspec.Struct, frozen=True, gc=False):
    """What a model learns from: a prompt as it sees it, and what came of it."""

    features: Features
    outcome: Outcome


class Fitted(msgspec.Struct, frozen=True):
    """What was learned."""

    space: Space
    better: Head
    worse: Head


class Learner:
    """Fits models. Deterministic.

    Raises:
        CallerMistake: The `routing` extra is not installed.
    """

    def __init__(self) -> None:
        try:
            self._linear: Any = importlib.import_module("sklearn.linear_model")
            self._sparse: Any = importlib.import_module("scipy.sparse")
            self._threads: Any = importlib.import_module("threadpoolctl")
            self.version: str = importlib.import_module("sklearn").__version__
        except ImportError:
            raise CallerMistake('learning needs scikit-learn: pip install "bursar[routing]"') from None

    def fit(self, examples: Sequence[Example]) -> Fitted:
        """Fit a model to at least one example. All have the same number of measures."""
        space = _space([example.features for example in examples])
        matrix = self._matrix(space, [example.features for example in examples])
        gains = [example.outcome.strong - example.outcome.weak for example in examples]
        return Fitted(
            space,
            better=self._head(matrix, [max(gain, 0.0) for gain in gains]),
            worse=self._head(matrix, [max(-gain, 0.0) for gain in gains]),
        )

    def _matrix(self, space: Space, features: Sequence[Features]) -> Any:
        """Return one line for each prompt: its buckets, then its measures, as `model.score` weighs them."""
        columns: list[int] = []
        values: list[float] = []
        lengths: list[int] = []
        for each in features:
            buckets, weights = space.weights(each.counts)
            measures = space.standardised(each.measures)
            columns += buckets
            columns += range(BUCKETS, BUCKETS + len(measures))
            values += weights
            values += measures
            lengths.append(len(weights) + len(measures))
        ends = list(accumulate(lengths, initial=0))
        width = BUCKETS + len(features[0].measures)
        return self._sparse.csr_matrix((values, columns, ends), shape=(len(features), width))

    def _head(self, matrix: Any, targets: Sequence[float]) -> Head:
        """Fit one logistic model. A target between 0 and 1 counts as both, each in part."""
        whole = sum(targets)
        measure_count = matrix.shape[1] - BUCKETS
        if whole in {0, len(targets)}:
            rate = (whole + _PRIOR_WEIGHT) / (len(targets) + 2 * _PRIOR_WEIGHT)
            return Head(log(rate / (1 - rate)), array("f", bytes(4 * BUCKETS)), (0.0,) * measure_count)
        lines = [number for number, target in enumerate(targets) if target > 0]
        positive = len(lines)
        weights = [targets[number] for number in lines]
        others = [number for number, target in enumerate(targets) if target < 1]
        lines += others
        weights += [1 - targets[number] for number in others]
        fitting = self._linear.LogisticRegression(
            C=STRENGTH, solver="liblinear", max_iter=_ROUNDS_MAX, random_state=0
        )
        labels = [1] * positive + [0] * len(others)
        # The vectors are short: threads that wait for each other made a fit take ten times as long.
        with self._threads.threadpool_limits(limits=1):
            fitting.fit(matrix[lines], labels, sample_weight=weights)
        row: list[float] = fitting.coef_[0].tolist()
        return Head(float(fitting.intercept_[0]), array("f", row[:BUCKETS]), tuple(row[BUCKETS:]))


def _space(features: Sequence[Features]) -> Space:
    seen: Counter[int] = Counter()
    for each in features:
        seen.update(each.counts.keys())
    count = len(features)
    unseen = log(1 + count) + 1
    rarity = array("f", [unseen]) * BUCKETS
    for bucket, prompts in seen.items():
        rarity[bucket] = log((1 + count) / (1 + prompts)) + 1
    by_measure = list(zip(*(each.measures for each in features), strict=True))
    means = tuple(sum(row) / count for row in by_measure)
    deviations = tuple(
        sqrt(sum((value - mean) ** 2 for value in row) / count) or 1.0
        for row, mean in zip(by_measure, means, strict=True)
    )
    return Space(rarity, means, deviations)
