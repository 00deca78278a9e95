"""What each technique does to the bill, one applied after another."""

from dataclasses import dataclass

from bursar.domain.ledger import ACTING_ORDER, Technique
from bursar.domain.report import Tally


@dataclass(frozen=True, slots=True)
class Step:
    """One technique's effect on the bill, in nusd.

    Attributes:
        technique: Which one.
        before_nusd: The bill before it: as sent, less what the techniques above saved.
        after_nusd: The bill with it.
    """

    technique: Technique
    before_nusd: int
    after_nusd: int

    @property
    def saved_nusd(self) -> int:
        """What it saves; negative where it costs more."""
        return self.before_nusd - self.after_nusd


def impact(total: Tally, *, watched: bool) -> tuple[Step, ...]:
    """List the techniques that changed the bill, from the bill as sent to the final one.

    Args:
        total: A replay's sums.
        watched: Whether calls were only observed: then, what the techniques would have done.
    """
    bill_nusd = total.cost_nusd if watched else total.baseline_nusd
    steps: list[Step] = []
    saved = total.would_save if watched else total.techniques
    # As they act, so that each step is from one stage of the calls to the next.
    for technique in ACTING_ORDER:
        saved_nusd = saved[technique]
        if saved_nusd:
            steps.append(Step(technique, bill_nusd, bill_nusd - saved_nusd))
            bill_nusd -= saved_nusd
    return tuple(steps)
