"""What a call asks of the counters it falls under, and whose each is."""

from collections.abc import Sequence

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Demand, Reservation, Unit


class Amounts(msgspec.Struct, frozen=True, gc=False):
    """What a call can take at most, or took.

    Attributes:
        nusd: In nanodollars; None where that is unknown.
        tokens: All its tokens, of every class; None likewise.
    """

    nusd: int | None
    tokens: int | None

    def of(self, unit: Unit) -> int | None:
        """Return the amount in a unit; a call is one turn, request and open call."""
        if unit is Unit.NUSD:
            return self.nusd
        return self.tokens if unit is Unit.TOKENS else 1


_ORDER = {Unit.NUSD: 0, Unit.TOKENS: 1, Unit.TURNS: 2, Unit.REQUESTS: 3, Unit.OPEN_CALLS: 4}


class Claimant(msgspec.Struct, frozen=True, gc=False):
    """A call that is about to be made.

    Attributes:
        operation_id: Its id.
        attribution: Whom it is for; its conversation recognised, if it can be.
        key_id: Id of the virtual key it came with; empty for none.
        note: As in `Reservation`.
    """

    operation_id: str
    attribution: Attribution
    key_id: str = ""
    note: str = ""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A reservation, and which budgets it comes from.

    Attributes:
        reservation: What the store is asked for.
        budgets: The budget behind each demand; None where an amount is only counted.
        throttling: The budget behind each throttle.
    """

    reservation: Reservation
    budgets: tuple[Budget | None, ...]
    throttling: tuple[Budget, ...] = ()

    def extended(self, most: Amounts) -> Reservation:
        """Return the reservation with new totals of money and tokens; no amount becomes less.

        Args:
            most: What the call can take at most with all its attempts, those already made included.
        """
        held = self.reservation
        amounts = (most.nusd or 0, most.tokens or 0, 1, 1, 1)
        demands = [
            Demand(
                demand.counter,
                max(demand.amount, amounts[_ORDER[demand.counter.unit]]),
                demand.limit,
                demand.new_limit,
            )
            for demand in held.demands
        ]
        # Written out: a call does this each time it holds, and to replace by name takes thrice as long.
        return Reservation(
            held.reservation_id,
            held.conversation,
            tuple(demands),
            held.throttles,
            held.ttl_s,
            held.note,
        )

    def taken(self, amounts: Amounts, *, answered: bool) -> tuple[int, ...]:
        """Return what a call took of each demand's counter, in order, for settling it.

        Args:
            amounts: What it really took, or is presumed to have taken; what is unknown counts as held.
            answered: Whether it was answered, which makes it a turn.
        """
        taken = (amounts.nusd, amounts.tokens, int(answered), 1, 0)
        return tuple(
            [
                demand.amount if (amount := taken[_ORDER[demand.counter.unit]]) is None else amount
                for demand in self.demands
            ]
        )

    def unbounded(self, most: Amounts) -> int | None:
        """Return the first demand that is limited and whose amount is unknown; None where there is none.

        Such a call must not be made: it was claimed with nothing, and could take anything.
        """
        if most.nusd is not None and most.tokens is not None:
            return None
        return next(
            (
                number
                for number, demand in enumerate(self.demands)
                if demand.limit is not None and most.of(demand.counter.unit) is None
            ),
            None,
        )

    @property
    def demands(self) -> Sequence[Demand]:
        """What is asked."""
        return self.reservation.demands
