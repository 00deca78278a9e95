"""What a call asks of the counters it falls under, and whose each is."""

from collections.abc import Iterable, Sequence

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Demand, Reservation, Throttle, Unit


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


MONEY, TOKENS = 0, 1
"""The numbers of two units; see `number_units`."""

_ORDER = {Unit.NUSD: MONEY, Unit.TOKENS: TOKENS, Unit.TURNS: 2, Unit.REQUESTS: 3, Unit.OPEN_CALLS: 4}


class Form(msgspec.Struct, frozen=True, gc=False):
    """What calls alike ask while none of the windows ends; how much of it is each call's own.

    Attributes:
        conversation: As in `Reservation`; empty where each call is a conversation of its own.
        demands: As in `Reservation`.
        units: Numbers of the demands' units (`number_units`).
        limited: Number, unit's number and limit of each demand that is limited; of a new conversation's
            where that is lower.
        unasked: What a call asks before it is known what it can take: it is one call.
        budgets: The budget behind each demand; None where an amount is only counted.
        throttles: As in `Reservation`.
        throttling: The budget behind each throttle.
        has_ladders: Whether a budget has steps that depend on what is spent.
        from_s: When the latest of the windows began,
        until_s: and when the first of them ends.
    """

    conversation: str
    demands: tuple[Demand, ...]
    units: tuple[int, ...]
    unasked: tuple[int, ...]
    limited: tuple[tuple[int, int, int], ...]
    budgets: tuple[Budget | None, ...]
    throttles: tuple[Throttle, ...]
    throttling: tuple[Budget, ...]
    has_ladders: bool
    from_s: float
    until_s: float


def number_units(counters: Iterable[Counter]) -> tuple[int, ...]:
    """Return the numbers of counters' units: `MONEY`, `TOKENS`, and those of what one call is one of."""
    return tuple([_ORDER[counter.unit] for counter in counters])


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
        form: What calls alike ask.
        whose: Names whom it is for, by `BudgetBook.whose`.
    """

    reservation: Reservation
    form: Form
    whose: tuple[str, ...]

    def extended(self, most: Amounts) -> "Claim":
        """Return the claim with new totals of money and tokens; no amount becomes less.

        Args:
            most: What the call can take at most with all its attempts, those already made included.
        """
        held = self.reservation
        asked = (most.nusd or 0, most.tokens or 0, 1, 1, 1)
        amounts = [
            before if before > (amount := asked[unit]) else amount
            for unit, before in zip(self.form.units, held.amounts, strict=True)
        ]
        # Written out: a call does this each time it holds, and to replace by name takes thrice as long.
        reservation = Reservation(
            held.reservation_id,
            held.conversation,
            held.demands,
            tuple(amounts),
            held.throttles,
            held.ttl_s,
            held.note,
        )
        return Claim(reservation, self.form, self.whose)

    @property
    def held_nusd(self) -> int:
        """The money that is held, the same in all its counters; 0 where no counter is asked for any."""
        return self._held(MONEY)

    @property
    def held_tokens(self) -> int:
        """The tokens that are held, likewise."""
        return self._held(TOKENS)

    def _held(self, unit: int) -> int:
        units = self.form.units
        return self.reservation.amounts[units.index(unit)] if unit in units else 0

    def taken(self, amounts: Amounts, *, answered: bool) -> tuple[int, ...]:
        """Return what a call took of each demand's counter, in order, for settling it.

        Args:
            amounts: What it really took, or is presumed to have taken; what is unknown counts as held.
            answered: Whether it was answered, which makes it a turn.
        """
        return _taken(self.reservation, self.form.units, amounts, answered=answered)

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

    @property
    def budgets(self) -> Sequence[Budget | None]:
        """The budget behind each demand; None where an amount is only counted."""
        return self.form.budgets


def taken_of(reservation: Reservation, amounts: Amounts, *, answered: bool) -> tuple[int, ...]:
    """Return what a call took of each of a reservation's counters; see `Claim.taken`."""
    return _taken(
        reservation,
        number_units(demand.counter for demand in reservation.demands),
        amounts,
        answered=answered,
    )


def held_of(reservation: Reservation, unit: Unit) -> int | None:
    """Return what is held of a unit, in whichever counter; None where no counter is asked for any."""
    return max(
        [
            amount
            for demand, amount in zip(reservation.demands, reservation.amounts, strict=True)
            if demand.counter.unit is unit
        ],
        default=None,
    )


def _taken(
    reservation: Reservation, units: Iterable[int], amounts: Amounts, *, answered: bool
) -> tuple[int, ...]:
    taken = (amounts.nusd, amounts.tokens, int(answered), 1, 0)
    return tuple(
        [
            held if (amount := taken[unit]) is None else amount
            for unit, held in zip(units, reservation.amounts, strict=True)
        ]
    )
