"""What a gateway that runs forgets of a tenant that is being erased.

Whoever erases says so in the admin store first. What was in memory then, and what calls that had begun bring
later, is the tenant's no more; what is in files is taken out of them by the one who erases.
"""

import logging
from dataclasses import dataclass, field

from bursar.adapters.alerts.recording import Recorder
from bursar.adapters.anomalies import AnomalyFeed
from bursar.adapters.budget_journal import BudgetJournal
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.ledger.erasing import draw_operation_id, nobodys
from bursar.domain.ledger import Entry
from bursar.exchange.engine import Engine
from bursar.ports import Clock, ContentStore, Ledger
from bursar.settings.stored_tenants import Belongings

LOG = logging.getLogger("bursar.erasing")


@dataclass(slots=True)
class ForgetfulLedger:
    """A `ports.Ledger` that records calls of erased tenants as nobody's, if they began before that.

    Attributes:
        ledger: Where entries go.
        erased_at_s: Tenants that were erased while this process ran, and when.
    """

    ledger: Ledger
    erased_at_s: dict[str, float] = field(default_factory=dict[str, float])

    async def record(self, entry: Entry) -> None:
        """Return once the entry is durable; see `ports.Ledger`."""
        if self.erased_at_s and entry.at_s < self.erased_at_s.get(entry.attribution.tenant, 0.0):
            entry = nobodys(entry, draw_operation_id())
        await self.ledger.record(entry)


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a gateway may hold of a tenant.

    Attributes:
        engine: The engine.
        content: The working content.
        ledger: Takes what calls under way bring.
        recorder: Records alerts.
        anomalies: Looks for anomalies; None where nobody does.
        budgets: The counters; None where they are not in this process.
        journal: What is held is written down there; None where it is not.
    """

    engine: Engine
    content: ContentStore
    ledger: ForgetfulLedger
    recorder: Recorder
    anomalies: AnomalyFeed | None = None
    budgets: MemoryBudgets | None = None
    journal: BudgetJournal | None = None


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Forgets tenants.

    Attributes:
        memory: What is held of them.
        clock: The time that calls go by.
    """

    memory: Memory
    clock: Clock

    async def __call__(self, tenant: str, key_ids: frozenset[str]) -> None:
        """Forget all of a tenant.

        Args:
            tenant: The tenant.
            key_ids: Its virtual keys'.

        Raises:
            StoreFailed: Something could not be forgotten; trying again is safe.
        """
        memory, belongs = self.memory, Belongings(tenant, key_ids).holds
        memory.ledger.erased_at_s[tenant] = self.clock.now()
        memory.engine.forget(tenant)
        memory.recorder.forget(belongs)
        if memory.anomalies is not None:
            memory.anomalies.forget(tenant)
        if memory.budgets is not None:
            memory.budgets.forget(belongs)
        if memory.journal is not None:
            memory.journal.forget_ended()
        await memory.content.delete_tenant(tenant)
        LOG.info("a tenant is erased: what was in memory of it is forgotten")
