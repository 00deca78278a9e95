"""Raising a conversation's caps, and letting it go on after a loop, in a gateway that runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.admin import AdminItem, AdminState
from bursar.domain.ledger import Entry, Status
from bursar.domain.scopes import Scope
from bursar.errors import CallerMistake, ChangedMeanwhile
from bursar.exchange.engine import Engine
from bursar.gateway.budgets import Raise
from bursar.policy.budgets.caps import raise_caps
from bursar.policy.budgets.states import BudgetState, states_of
from bursar.ports import BudgetStore, Clock
from bursar.settings.stored import Act, cap_item, in_force
from bursar.settings.stored_loops import resumed_item
from bursar.wiring.admin import AdminWatch

_BY = "api"
_OVER_BUDGET = 402


def was_refused(last: Entry | None) -> bool:
    """Whether a conversation's last call was refused by a budget."""
    return last is not None and last.status is Status.REFUSED and last.http_status == _OVER_BUDGET


def _content(state: AdminState, item: AdminItem) -> str | None:
    """Return what is set under an item's name."""
    known = state.items.get(item.kind, {}).get(item.name)
    return None if known is None else known.content


@dataclass(frozen=True, slots=True)
class CapRaiser:
    """Raises caps for `gateway.budgets.BudgetPages`.

    Attributes:
        engine: The budgets in force.
        store: Where their counters are.
        ledger: Knows whether a conversation's last call was refused.
        watch: Puts what is set in force.
        clock: The time.
        save_stops: Stores what was stopped for its loop, in this process, just now.
    """

    engine: Engine
    store: BudgetStore
    ledger: LedgerReader
    watch: AdminWatch
    clock: Clock
    save_stops: Callable[[], Awaitable[None]]

    async def __call__(self, asked: Raise) -> Sequence[BudgetState]:
        """Raise them; see `gateway.budgets.RaiseCaps`."""
        scope = asked.scope
        await self.save_stops()
        if await asyncio.to_thread(self._let_go_on, asked):
            await self.watch.look()
            if not asked.limits:
                return await self._states(scope)
        elif not asked.limits:
            raise CallerMistake(f"{scope} was not stopped for a loop; name a limit to raise its cap")
        try:
            await self._raise(asked)
        except ChangedMeanwhile:
            await self._raise(asked)
        await self.watch.look()
        return await self._states(scope)

    async def _raise(self, asked: Raise) -> None:
        """Set what is asked for beside what is set.

        Raises:
            ChangedMeanwhile: Somebody else set something for the same conversation; nothing changed.
        """
        scope = asked.scope
        last = await asyncio.to_thread(self.ledger.last_call, scope.tenant, scope.name)
        caps = raise_caps(
            scope, await self._states(scope), asked.limits, was_refused=was_refused(last), force=asked.force
        )
        admin = self.watch.store
        state = await asyncio.to_thread(admin.read)
        act = Act(asked.by or _BY, self.clock.now())
        item = cap_item(in_force(self.watch.own, state), state, scope, caps, act)
        await asyncio.to_thread(admin.put, item, _content(state, item))

    def _let_go_on(self, asked: Raise) -> bool:
        """Let the conversation go on if it was stopped for a loop. Blocks."""
        try:
            return self._try_to_let_go_on(asked)
        except ChangedMeanwhile:
            return self._try_to_let_go_on(asked)

    def _try_to_let_go_on(self, asked: Raise) -> bool:
        admin = self.watch.store
        state = admin.read()
        item = resumed_item(state, asked.scope, Act(asked.by or _BY, self.clock.now()))
        return item is not None and admin.put(item, _content(state, item)) is not None

    async def _states(self, scope: Scope) -> Sequence[BudgetState]:
        now_s = self.clock.now()
        budgets = self.engine.budgets.for_scopes((scope,), now_s)
        levels = await self.store.read([counter for _, _, counter in budgets], now_s)
        return states_of(budgets, levels, self.engine.stops, now_s)
