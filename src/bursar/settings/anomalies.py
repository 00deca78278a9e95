"""`[anomalies]` of bursar.toml: when somebody is told that spending is not as usual."""

from typing import Literal

from bursar.policy.anomalies.options import AnomalyOptions
from bursar.settings.sections import Section
from bursar.settings.values import Label, PositiveUsd

_USD_NUSD = 1_000_000_000


class AnomalySection(Section):
    """The table.

    Attributes:
        enabled: Whether anomalies are looked for.
        sensitivity: How much it takes.
        min_usd_per_hour: Whoever spends less than this an hour wakes nobody; in nanodollars.
        notify: Whom to tell, by the names of `[notify.NAME]`; the log and `bursar anomaly list` always do.
    """

    enabled: bool = True
    sensitivity: Literal["low", "normal", "high"] = "normal"
    min_usd_per_hour: PositiveUsd = _USD_NUSD
    notify: tuple[Label, ...] = ()

    def options(self) -> AnomalyOptions:
        """Return it as the policy reads it."""
        return AnomalyOptions(self.sensitivity, self.min_usd_per_hour)
