"""Reservations in memory, for one process."""

from collections.abc import Callable, Sequence

import msgspec

from bursar.adapters.budgets.conversations import Conversations
from bursar.adapters.budgets.counters import Cell, Counters
from bursar.adapters.budgets.rules import (
    Excess,
    bounds_end_s,
    check_amounts,
    minute_allowance,
    minute_demand,
    refuse,
    with_amounts,
)
from bursar.adapters.budgets.tombstones import Tombstones
from bursar.domain.reservations import (
    Counter,
    Demand,
    End,
    Ended,
    Exceeded,
    Held,
    Level,
    Reservation,
    Throttled,
    Unit,
)

_ZERO = Level(0, 0)


class _Lease(msgspec.Struct):
    """A reservation that is held: by these amounts, in these cells, in the order of its demands."""

    reservation: Reservation
    cells: list[Cell]
    amounts: tuple[int, ...]
    expires_s: float


class MemoryBudgets:
    """A `ports.BudgetStore` in memory, lost with the process; `correct` fills it again.

    For one event loop: no method waits for anything, so each is one step. The time that it is told may go
    back, its own does not: what is held is then held longer, by as much.

    Args:
        ended_max: How many ended reservations it knows; see `Tombstones`.
        conversations_max: How many active conversations it knows; see `Conversations`.
    """

    def __init__(self, *, ended_max: int = 1_000_000, conversations_max: int = 1_000_000) -> None:
        self._counters = Counters()
        self._leases: dict[str, _Lease] = {}
        self._tombstones = Tombstones(ended_max)
        self._conversations = Conversations(conversations_max)
        self._now_s = float("-inf")

    async def reserve(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Throttled | Ended:
        """Hold all or nothing; see `ports.BudgetStore`."""
        now_s = self._advance(now_s)
        known = self._known(reservation.reservation_id)
        if known is not None:
            return known if isinstance(known, Ended) else Held(tuple([cell.level for cell in known.cells]))
        cells = self._cells(reservation.demands)
        refused = self._refusal(reservation, cells, None) or self._throttled(reservation, cells, now_s)
        return refused or self._hold(reservation, cells, now_s)

    async def extend(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Ended:
        """Hold more; see `ports.BudgetStore`."""
        now_s = self._advance(now_s)
        known = self._known(reservation.reservation_id)
        if isinstance(known, Ended):
            return known
        if known is None:
            cells = self._cells(reservation.demands)
            return self._refusal(reservation, cells, None) or self._hold(reservation, cells, now_s)
        check_amounts(reservation, known.amounts)
        exceeded = self._refusal(reservation, known.cells, known.amounts)
        if exceeded is not None:
            return exceeded
        totals: list[int] = []
        for amount, cell, before in zip(reservation.amounts, known.cells, known.amounts, strict=True):
            total = max(amount, before)
            cell.held += total - before
            cell.used_s = now_s
            totals.append(total)
        known.reservation = reservation
        known.amounts = tuple(totals)
        known.expires_s = max(known.expires_s, now_s + reservation.ttl_s)
        return Held(tuple([cell.level for cell in known.cells]))

    async def settle(self, reservation: Reservation, amounts: Sequence[int], now_s: float) -> Ended:
        """Count what was really taken; see `ports.BudgetStore`."""
        now_s = self._advance(now_s)
        check_amounts(reservation, amounts)
        ended = self._end(reservation, End.SETTLED, amounts, now_s)
        if ended.is_first:
            self._conversations.settled(reservation.conversation, now_s)
        return ended

    async def release(self, reservation: Reservation, now_s: float) -> Ended:
        """End what took nothing; see `ports.BudgetStore`."""
        nothing = (0,) * len(reservation.demands)
        return self._end(reservation, End.RELEASED, nothing, self._advance(now_s))

    async def renew(self, reservation_ids: Sequence[str], ttl_s: int, now_s: float) -> frozenset[str]:
        """Hold for longer; see `ports.BudgetStore`."""
        expires_s = self._advance(now_s) + ttl_s
        lost: set[str] = set()
        for reservation_id in reservation_ids:
            lease = self._leases.get(reservation_id)
            if lease is None:
                lost.add(reservation_id)
            else:
                lease.expires_s = max(lease.expires_s, expires_s)
        return frozenset(lost)

    async def find_left(self, now_s: float, most: int = 256, overdue_s: float = 0) -> Sequence[Reservation]:
        """Return what was left behind; see `ports.BudgetStore`."""
        now_s = self._advance(now_s)
        due = [lease for lease in self._leases.values() if lease.expires_s + overdue_s <= now_s]
        due.sort(key=lambda lease: lease.expires_s)
        return [with_amounts(lease.reservation, lease.amounts) for lease in due[:most]]

    async def presume(self, reservation: Reservation, now_s: float) -> Ended | None:
        """End what was left behind, as presumed; see `ports.BudgetStore`."""
        now_s = self._advance(now_s)
        lease = self._leases.get(reservation.reservation_id)
        if lease is None or lease.expires_s > now_s:
            return None
        return self._end(reservation, End.PRESUMED, lease.amounts, now_s)

    async def read(self, counters: Sequence[Counter], now_s: float) -> Sequence[Level]:
        """Return how counters stand; see `ports.BudgetStore`."""
        self._advance(now_s)
        return [self._level(counter) for counter in counters]

    async def correct(
        self, counter: Counter, settled: int, now_s: float, *, expected: int | None = None
    ) -> Level:
        """Set what is settled; see `ports.BudgetStore`."""
        if settled < 0:
            raise ValueError("an amount is below zero")
        now_s, before = self._advance(now_s), self._level(counter)
        if expected is not None and before.settled != expected:
            return before
        cell = self._kept_cell(counter, now_s)
        if counter.unit is not Unit.OPEN_CALLS:
            cell.settled = settled
            cell.cross(None, self._conversations.next_order)
        return before

    def forget(self, belongs: Callable[[str], bool]) -> None:
        """Forget what scopes have settled, as if they had begun now; what they hold stays held.

        Args:
            belongs: Whether a scope, as `str(Scope)`, is one of them.
        """
        self._counters.forget(belongs)
        self._conversations.forget(belongs)

    def _advance(self, now_s: float) -> float:
        """Return the time, which never goes back."""
        self._now_s = max(self._now_s, now_s)
        return self._now_s

    def _known(self, reservation_id: str) -> _Lease | Ended | None:
        """Return the lease of a reservation, or how it ended."""
        lease = self._leases.get(reservation_id)
        if lease is not None:
            return lease
        end = self._tombstones.find(reservation_id)
        return None if end is None else Ended(end, is_first=False)

    def _cells(self, demands: Sequence[Demand]) -> list[Cell]:
        """Return the demands' cells; those of new counters are kept only once something is held in them."""
        counters = [demand.counter for demand in demands]
        if len(set(counters)) != len(counters):
            raise ValueError("a reservation asks something of one counter twice")
        found = list(map(self._counters.get, counters))
        return [cell or Cell() for cell in found]

    def _kept_cell(self, counter: Counter, now_s: float) -> Cell:
        """Return a counter's cell, to be written to."""
        cell = self._counters.get(counter)
        if cell is None:
            cell = Cell()
            self._counters.add(counter, cell, now_s)
        cell.used_s = now_s
        return cell

    def _refusal(
        self, reservation: Reservation, cells: list[Cell], held: tuple[int, ...] | None
    ) -> Exceeded | None:
        """Say which limit is in the way of holding a reservation, if one is.

        Args:
            reservation: What is asked.
            cells: Its cells.
            held: What is held for it already; what asks for no more than that is not judged again.
        """
        check_amounts(reservation, reservation.amounts)
        excesses: list[Excess] | None = None
        for number, (demand, amount, cell) in enumerate(
            zip(reservation.demands, reservation.amounts, cells, strict=True)
        ):
            limit = demand.limit
            is_new = False
            if demand.new_limit is not None:
                is_new = self._conversations.is_new(
                    reservation.conversation, cell, demand.new_limit, self._now_s
                )
                limit = demand.new_limit if is_new else limit
            if limit is None:
                continue
            more = amount if held is None else amount - held[number]
            if held is not None and more <= 0:
                continue
            beyond = cell.settled + cell.held + more - limit
            if beyond > 0:
                excesses = excesses or []
                excesses.append(Excess(number, limit, beyond, cell.level, is_new))
        return None if excesses is None else refuse(excesses)

    def _throttled(self, reservation: Reservation, cells: list[Cell], now_s: float) -> Throttled | None:
        """Say which throttle is in the way of holding a reservation, if one is."""
        for number, throttle in enumerate(reservation.throttles):
            minute = minute_demand(reservation, throttle)
            if self._level(throttle.budget).settled < throttle.from_amount:
                continue
            this, before = (self._level(counter) for counter in throttle.hours)
            hours = this.settled + this.held, before.settled + before.held
            used = cells[minute].settled + cells[minute].held + reservation.amounts[minute]
            if used > minute_allowance(throttle, hours, int(now_s * 1000)):
                wait_s = -int((now_s - bounds_end_s(throttle.minute)) // 1)
                return Throttled(number, max(1, wait_s))
        return None

    def _hold(self, reservation: Reservation, cells: list[Cell], now_s: float) -> Held:
        """Hold a reservation's amounts."""
        levels: list[Level] = []
        for demand, amount, cell in zip(reservation.demands, reservation.amounts, cells, strict=True):
            if not cell.used_s and self._counters.get(demand.counter) is not cell:
                self._counters.add(demand.counter, cell, now_s)
            cell.held += amount
            cell.used_s = now_s
            levels.append(Level(cell.settled, cell.held))
        expires_s = now_s + reservation.ttl_s
        self._leases[reservation.reservation_id] = _Lease(reservation, cells, reservation.amounts, expires_s)
        return Held(tuple(levels))

    def _end(self, reservation: Reservation, end: End, amounts: Sequence[int], now_s: float) -> Ended:
        """End a reservation, so that its amounts are counted in the place of what was held or presumed."""
        lease = self._leases.get(reservation.reservation_id)
        if lease is None:
            return self._end_unheld(reservation, end, amounts, now_s)
        check_amounts(reservation, lease.amounts)
        del self._leases[reservation.reservation_id]
        levels: list[Level] = []
        order = self._conversations.next_order
        for demand, cell, held, amount in zip(
            reservation.demands, lease.cells, lease.amounts, amounts, strict=True
        ):
            cell.held -= held
            if amount and demand.counter.unit is not Unit.OPEN_CALLS:
                cell.settled += amount
            if demand.new_limit is not None or cell.new_limit is not None:
                cell.cross(demand.new_limit, order)
            cell.used_s = now_s
            levels.append(Level(cell.settled, cell.held))
        self._tombstones.put(reservation.reservation_id, end, amounts, now_s)
        return Ended(end, is_first=True, levels=tuple(levels))

    def _end_unheld(self, reservation: Reservation, end: End, amounts: Sequence[int], now_s: float) -> Ended:
        """End a reservation that is not held: it was presumed, or is not known, or has ended."""
        before = self._tombstones.find(reservation.reservation_id)
        if before is not None and before is not End.PRESUMED:
            return Ended(before, is_first=False)
        presumed = self._tombstones.presumed(reservation.reservation_id) or (0,) * len(amounts)
        check_amounts(reservation, presumed)
        levels: list[Level] = []
        for demand, counted, amount in zip(reservation.demands, presumed, amounts, strict=True):
            if amount != counted and demand.counter.unit is not Unit.OPEN_CALLS:
                cell = self._kept_cell(demand.counter, now_s)
                # A correction by the ledger may have come between.
                cell.settled = max(0, cell.settled + amount - counted)
                cell.cross(demand.new_limit, self._conversations.next_order)
                levels.append(cell.level)
            else:
                levels.append(self._level(demand.counter))
        self._tombstones.put(reservation.reservation_id, end, amounts, now_s)
        return Ended(end, is_first=True, levels=tuple(levels))

    def _level(self, counter: Counter) -> Level:
        cell = self._counters.get(counter)
        return _ZERO if cell is None else cell.level
