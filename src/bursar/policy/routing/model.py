"""A learned model: how likely the strong model's answer is better than the weak one's, and how likely worse.

Both are logistic models on the same features: the TF-IDF of hashed words and pairs of words, of length 1, and
the measures of the text, standardised, of length about 1. The score joins them: what is gained on the whole
by asking the strong model. To weigh the losses too is what keeps a strong model from being paid for questions
on which it is as often worse as better.
"""

from array import array
from collections.abc import Mapping, Sequence
from math import exp, log, sqrt

import msgspec

from bursar.policy.routing.curve import Curve
from bursar.policy.routing.features import Features

# A measure this many standard deviations from the mean says no more than one further off.
_DEVIATIONS_MAX = 3.0
_LOGIT_MAX = 40.0


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model was learned from, and how.

    Attributes:
        weak: Name of the cheap model, as the outcomes name it.
        strong: Name of the dear model.
        answer_field: Field of the outcomes that holds the weak model's answer, where the model judges it (a
            cascade); empty for one that judges the prompt alone.
        data_sha256: SHA-256 of the file of outcomes, in hexadecimal.
        rows: How many outcomes it has.
        strong_better: On how many of them the strong model was better.
        strong_worse: On how many it was worse.
        options: What the training was told, and the versions of what did it.
    """

    weak: str
    strong: str
    answer_field: str = ""
    data_sha256: str
    rows: int
    strong_better: int
    strong_worse: int
    options: Mapping[str, str | int | float]


class Head(msgspec.Struct, frozen=True):
    """One logistic model.

    Attributes:
        bias: Its constant.
        buckets: A weight for each bucket.
        measures: A weight for each measure.
    """

    bias: float
    buckets: "array[float]"
    measures: tuple[float, ...]


class Space(msgspec.Struct, frozen=True):
    """How features become numbers of a like size.

    Attributes:
        rarity: The weight of each bucket: the rarer, the more.
        means: Mean of each measure.
        deviations: Standard deviation of each measure; 1 where it never varied.
    """

    rarity: "array[float]"
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def weights(self, counts: Mapping[int, int]) -> tuple[list[int], list[float]]:
        """Return the buckets of a prompt, and a weight for each; the vector of all has length 1."""
        rarity = self.rarity
        weights = [
            rarity[bucket] if count == 1 else rarity[bucket] * (1 + log(count))
            for bucket, count in counts.items()
        ]
        length = sqrt(sum([weight * weight for weight in weights])) or 1.0
        return list(counts), [weight / length for weight in weights]

    def standardised(self, measures: Sequence[float]) -> list[float]:
        """Return measures as deviations from their means; the vector of all has a length of about 1."""
        step = 1 / sqrt(len(measures))
        return [
            step * max(-_DEVIATIONS_MAX, min(_DEVIATIONS_MAX, (measure - mean) / deviation))
            for measure, mean, deviation in zip(measures, self.means, self.deviations, strict=True)
        ]


class RouteModel(msgspec.Struct, frozen=True):
    """A learned model. It takes less than 2 MB.

    Attributes:
        card: What it was learned from.
        space: How features become numbers.
        better: How likely the strong model is better.
        worse: How likely it is worse.
        curve: What thresholds came to on outcomes that were not learned from (cross-validation).
    """

    card: ModelCard
    space: Space
    better: Head
    worse: Head
    curve: Curve

    def threshold_for(self, quality: float) -> float:
        """Return the threshold that sends least to the strong model for a wanted quality.

        Args:
            quality: Over that of the strong model alone: above 0 and at most 1, such as 0.95.
        """
        return self.curve.cheapest(quality).threshold


def score(model: RouteModel, features: Features) -> float:
    """Say how much is gained by asking the strong model, from 0 to 1.

    At 0.5 it is as likely better as worse. Takes well under a millisecond.

    Args:
        model: A learned model.
        features: `read_features` of the prompt; with the answer exactly where the model's card names its
            field.

    Raises:
        ValueError: There is an answer and the model judges none, or the other way round.
    """
    buckets, weights = model.space.weights(features.counts)
    measures = model.space.standardised(features.measures)
    better = _probability(model.better, buckets, weights, measures)
    worse = _probability(model.worse, buckets, weights, measures)
    return (1 + better - worse) / 2


def _probability(
    head: Head, buckets: Sequence[int], weights: Sequence[float], measures: Sequence[float]
) -> float:
    of_bucket = head.buckets
    logit = head.bias
    logit += sum([weight * of_bucket[bucket] for bucket, weight in zip(buckets, weights, strict=True)])
    logit += sum([weight * measure for weight, measure in zip(head.measures, measures, strict=True)])
    return 1 / (1 + exp(-max(-_LOGIT_MAX, min(_LOGIT_MAX, logit))))
