"""What a batch has cost so far, and what it saved."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Sums over a batch's calls.

    Attributes:
        calls: Answered calls.
        spent_nusd: What those cost of which the cost is known.
        unknown_costs: Calls of which it is not.
        alone_nusd: What the answered items would have cost one by one, as far as that is known.
        unknown_alone: Calls of which it is not.
        extras: Answers to nothing that was asked.
    """

    calls: int = 0
    spent_nusd: int = 0
    unknown_costs: int = 0
    alone_nusd: int = 0
    unknown_alone: int = 0
    extras: int = 0

    def add(self, cost_nusd: int | None, alone_nusd: int | None, *, extras: int) -> None:
        """Take an answered call in."""
        self.calls += 1
        self.extras += extras
        if cost_nusd is None:
            self.unknown_costs += 1
        else:
            self.spent_nusd += cost_nusd
        if alone_nusd is None:
            self.unknown_alone += 1
        else:
            self.alone_nusd += alone_nusd

    @property
    def saved_nusd(self) -> int | None:
        """What was saved against one call an item, an estimate; None where a part of it is unknown."""
        if self.unknown_costs or self.unknown_alone:
            return None
        return self.alone_nusd - self.spent_nusd
