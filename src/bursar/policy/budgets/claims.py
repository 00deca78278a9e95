"""What a call asks of the counters it falls under, and whose each is."""

from collections.abc import Sequence

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Demand, Reservation, Unit


class Amounts(msgspec.Struct, frozen=True, gc=False):
    """What a call can take at most, or took.

    Attributes:
        nusd: In nanodollars.
        tokens: All its tokens, of every class.
    """

    nusd: int
    tokens: int


class Claimant(msgspec.Struct, frozen=True):
    """A call that is about to be made.

    Attributes:
        operation_id: Its id.
        attribution: Whom it is for; its conversation recognised, if it can be.
        key_id: Id of the virtual key it came with; empty for none.
    """

    operation_id: str
    attribution: Attribution
    key_id: str = ""


class Claim(msgspec.Struct, frozen=True):
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
        totals = {Unit.NUSD: most.nusd, Unit.TOKENS: most.tokens}
        demands = tuple(_raised(demand, totals.get(demand.counter.unit, 0)) for demand in self.demands)
        return msgspec.structs.replace(self.reservation, demands=demands)

    def taken(self, amounts: Amounts, *, answered: bool) -> tuple[int, ...]:
        """Return what a call took of each demand's counter, in order, for settling it.

        Args:
            amounts: What it really took, or is presumed to have taken.
            answered: Whether it was answered, which makes it a turn.
        """
        by_unit = {
            Unit.NUSD: amounts.nusd,
            Unit.TOKENS: amounts.tokens,
            Unit.TURNS: int(answered),
            Unit.REQUESTS: 1,
            Unit.OPEN_CALLS: 0,
        }
        return tuple([by_unit[demand.counter.unit] for demand in self.demands])

    @property
    def demands(self) -> Sequence[Demand]:
        """What is asked."""
        return self.reservation.demands


def _raised(demand: Demand, amount: int) -> Demand:
    return msgspec.structs.replace(demand, amount=max(demand.amount, amount))
