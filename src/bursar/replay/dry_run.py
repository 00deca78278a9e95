"""What a limit would have refused, by the calls of the ledger.

The calls are made again in the order in which they came, against the limit alone and by the same store that
holds for live calls. A call that is refused takes nothing, so that later ones may fit.

Each call is judged by what it really took. A live limit holds what a call may take at most, and so refuses
somewhat earlier, by as much as the calls under way hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.domain.budgets import Budget
from bursar.domain.ledger import Entry, Status
from bursar.domain.money import usd_text
from bursar.domain.reservations import Held, Unit
from bursar.domain.scopes import patterns_of, scopes_of
from bursar.exchange.left_behind import PRESUMED
from bursar.policy.budgets.amount_texts import exact, suffix_of
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claimant


@dataclass(slots=True)
class Refused:
    """Calls that would have been refused.

    Attributes:
        calls: How many,
        cost_nusd: and what they cost.
        first_at_s: When the first came; None where there is none.
    """

    calls: int = 0
    cost_nusd: int = 0
    first_at_s: float | None = None

    def add(self, entry: Entry) -> None:
        """Add a call; they come in the order of time."""
        self.calls += 1
        self.cost_nusd += entry.cost_nusd or 0
        if self.first_at_s is None:
            self.first_at_s = entry.at_s


@dataclass(slots=True)
class DryRun:
    """Makes the ledger's calls again against one limit.

    Attributes:
        budget: The limit.
        since_s: From when on calls are reported; those before only count.
        calls: Calls of its scopes since then,
        cost_nusd: what they cost,
        unknown_calls: and those among them of which nobody knows it: they take nothing here.
        refused_live: Calls of its scopes since then that were refused before they were sent, whatever refused
            them; they are in none of the sums.
        refused: What would have been refused of them,
        by_agent: and of each tenant's agents.
    """

    budget: Budget
    since_s: float
    calls: int = 0
    cost_nusd: int = 0
    unknown_calls: int = 0
    refused_live: int = 0
    refused: Refused = field(default_factory=Refused)
    by_agent: dict[tuple[str, str], Refused] = field(default_factory=dict[tuple[str, str], Refused])
    _store: MemoryBudgets = field(default_factory=MemoryBudgets)
    _book: BudgetBook = field(init=False)

    def __post_init__(self) -> None:
        """Make a book of the limit alone."""
        self._book = BudgetBook((self.budget,))

    @property
    def begins_s(self) -> int:
        """From when on calls are to be looked at: the beginning of the window in which reports begin."""
        return self.budget.calendar.window(self.budget.period, self.since_s)[0]

    async def look(self, entry: Entry) -> None:
        """Make a call again. They come in the order of time; one that was never sent counts for nothing."""
        if not self._is_meant(entry):
            return
        if not entry.attempts and PRESUMED not in entry.faults:
            self.refused_live += entry.status is Status.REFUSED and entry.at_s >= self.since_s
            return
        fits = await self._fits(entry)
        if entry.at_s < self.since_s:
            return
        self.calls += 1
        self.cost_nusd += entry.cost_nusd or 0
        self.unknown_calls += entry.cost_nusd is None
        if not fits:
            self.refused.add(entry)
            who = entry.attribution
            self.by_agent.setdefault((who.tenant, who.agent), Refused()).add(entry)

    def _is_meant(self, entry: Entry) -> bool:
        """Whether a call falls under the limit."""
        who = entry.attribution
        return any(self.budget.pattern in patterns_of(scope) for scope in scopes_of(who, who.key))

    async def _fits(self, entry: Entry) -> bool:
        usage = entry.usage
        took = Amounts(entry.cost_nusd, None if usage is None else usage.total_tokens)
        claimant = Claimant(entry.operation_id, entry.attribution, entry.attribution.key)
        claim = self._book.claim(claimant, took, entry.at_s)
        held = await self._store.reserve(claim.reservation, entry.at_s)
        if not isinstance(held, Held):
            return False
        await self._store.settle(claim.reservation, claim.reservation.amounts, entry.at_s)
        return True

    def agents(self) -> Iterator[tuple[str, str, Refused]]:
        """Yield tenants' agents and what would have been refused of each, the dearest first."""
        for (tenant, agent), refused in sorted(self.by_agent.items(), key=lambda item: -item[1].cost_nusd):
            yield tenant, agent, refused

    def as_object(self) -> dict[str, Any]:
        """Return it as `--json` gives it; amounts of money as decimal USD with nine places."""
        unit = self.budget.unit
        return {
            "scope": str(self.budget.pattern),
            "window": self.budget.period.value,
            f"limit_{suffix_of(unit)}": exact(unit, self.budget.limit),
            "since": _moment(self.budget, self.since_s),
            "calls": self.calls,
            "cost_usd": usd_text(self.cost_nusd),
            "unknown_calls": self.unknown_calls if unit is Unit.NUSD else 0,
            "refused_live_calls": self.refused_live,
            **self._refused_object(self.refused),
            "rows": [
                {"tenant": tenant, "agent": agent, **self._refused_object(refused)}
                for tenant, agent, refused in self.agents()
            ],
        }

    def _refused_object(self, refused: Refused) -> dict[str, Any]:
        first_at_s = refused.first_at_s
        return {
            "refused_calls": refused.calls,
            "refused_usd": usd_text(refused.cost_nusd),
            "first_refused_at": None if first_at_s is None else _moment(self.budget, first_at_s),
        }


def _moment(budget: Budget, at_s: float) -> str:
    return budget.calendar.text(int(at_s))
