"""What is set about anomalies."""

import msgspec

_FACTORS = {"low": 1.5, "normal": 1.0, "high": 0.75}

SENSITIVITIES = tuple(_FACTORS)


class AnomalyOptions(msgspec.Struct, frozen=True):
    """How much it takes for somebody to be told.

    Attributes:
        sensitivity: `low`, `normal` or `high`.
        usd_per_hour_min_nusd: Whoever spends less than this an hour, as things are, wakes nobody.
    """

    sensitivity: str = "normal"
    usd_per_hour_min_nusd: int = 1_000_000_000

    @property
    def factor(self) -> float:
        """By what thresholds are multiplied."""
        return _FACTORS[self.sensitivity]
