"""What is set for an agent about routing."""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.policy.routing.tiers import Tier

# Where nothing is said, the scores up to here are divided evenly among the tiers; beyond it, a call is as
# hard as the last one's. By judgement: hardly any call shows more signs (`signals.score_signals`).
_SPREAD = 0.6


class RoutingOptions(msgspec.Struct, frozen=True):
    """How an agent's calls are routed.

    Attributes:
        enabled: Whether they are; where not, an alias stands for the baseline.
        tier: The tier of all that have no task of their own; empty for what the score says.
        thresholds: The score from which on a tier is taken, by its name.
        learns: Whether the learned model's score is used, where there is one.
        prefers_cheaper: Whether a budget's ladder may move them one tier down.
    """

    enabled: bool = True
    tier: str = ""
    thresholds: Mapping[str, float] = msgspec.field(default_factory=dict[str, float])
    learns: bool = True
    prefers_cheaper: bool = True

    def tier_for(self, score: float, tiers: Sequence[Tier]) -> Tier:
        """Return the dearest tier whose threshold a score reaches; the first one needs none.

        Args:
            score: How hard a call looks, from 0 to 1.
            tiers: A dialect's, from the cheapest to the dearest; at least one.
        """
        chosen = tiers[0]
        for number, tier in enumerate(tiers[1:], 1):
            if score >= self.thresholds.get(tier.name, _SPREAD * number / len(tiers)):
                chosen = tier
        return chosen
