"""Correcting token estimates by what providers report."""

from collections import deque

from bursar.domain.tokens import PER_MILLE, Basis, Estimate

FACTOR_MIN_PER_MILLE = 500
FACTOR_MAX_PER_MILLE = 3000

# The running median of this many reports throws out a freak (a file that was not counted, a prompt that
# the provider changed); the average behind it takes up a lasting change within some dozen calls.
_MEDIAN_OF = 5
_AVERAGE_OVER = 8
# The average moves by an eighth of a difference: thousandths would get stuck seven short of the truth.
_STEPS_PER_MILLE = 1000
# On a short prompt the provider's fixed overhead, not its tokenizer, makes the difference.
_TOKENS_MIN = 200


class _Correction:
    """What is known of one upstream's count of one model."""

    __slots__ = ("recent", "steps")

    def __init__(self) -> None:
        self.recent: deque[int] = deque(maxlen=_MEDIAN_OF)
        self.steps = PER_MILLE * _STEPS_PER_MILLE

    def learn(self, sample_steps: int) -> None:
        self.recent.append(sample_steps)
        # The median; of an even number, the lower one of the two in the middle.
        middle = sorted(self.recent)[(len(self.recent) - 1) // 2]
        if len(self.recent) < _MEDIAN_OF:
            self.steps = middle
        else:
            self.steps += (middle - self.steps) // _AVERAGE_OVER


class Calibration:
    """Reported over estimated prompt tokens, per upstream and model, learned online.

    Bounded: when it is full, the pair that was learned about least recently is forgotten.

    Args:
        pairs_max: How many pairs of upstream and model are kept.
    """

    def __init__(self, pairs_max: int = 1_024) -> None:
        self._corrections: dict[tuple[str, str], _Correction] = {}
        self._pairs_max = pairs_max

    def factor_per_mille(self, upstream: str, model: str) -> int:
        """Return what estimates are to be multiplied by, in thousandths; 1000 where nothing is known."""
        correction = self._corrections.get((upstream, model))
        if correction is None:
            return PER_MILLE
        return (correction.steps + _STEPS_PER_MILLE // 2) // _STEPS_PER_MILLE

    def correct(self, upstream: str, model: str, estimate: Estimate) -> Estimate:
        """Return an estimate corrected by what was learned, rounded up.

        Where nothing was learned it stays as it is. An exact count that proves right stays exact;
        anything else becomes calibrated.
        """
        if (upstream, model) not in self._corrections:
            return estimate
        factor = self.factor_per_mille(upstream, model)
        if factor == PER_MILLE and estimate.basis is Basis.EXACT:
            return estimate
        return Estimate(-(-estimate.tokens * factor // PER_MILLE), Basis.CALIBRATED)

    def learn(self, upstream: str, model: str, *, estimated_tokens: int, reported_tokens: int) -> None:
        """Take note of a whole prompt's count.

        Args:
            upstream: Name of the provider section.
            model: The model that counted.
            estimated_tokens: Our estimate *before* correction.
            reported_tokens: All classes of the prompt in the provider's usage, added up.
        """
        if estimated_tokens < _TOKENS_MIN or reported_tokens <= 0:
            return
        sample = reported_tokens * PER_MILLE * _STEPS_PER_MILLE // estimated_tokens
        sample = max(
            FACTOR_MIN_PER_MILLE * _STEPS_PER_MILLE, min(FACTOR_MAX_PER_MILLE * _STEPS_PER_MILLE, sample)
        )
        pair = (upstream, model)
        correction = self._corrections.pop(pair, None)
        if correction is None:
            correction = _Correction()
            if len(self._corrections) >= self._pairs_max:
                del self._corrections[next(iter(self._corrections))]
        correction.learn(sample)
        self._corrections[pair] = correction
