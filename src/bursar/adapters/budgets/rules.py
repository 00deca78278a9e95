"""What every budget store decides alike, and how long it keeps what."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from bursar.domain.reservations import IDLE_S, Counter, Exceeded, Level, Period, Reservation, Throttle, Unit
from bursar.domain.scopes import ScopeKind

_DAY_S = 86_400

KEPT_S: Mapping[Period, int] = MappingProxyType(
    {
        Period.MINUTE: 5 * 60,
        Period.HOUR: 2 * _DAY_S,
        Period.DAY: 30 * _DAY_S,
        Period.WEEK: 62 * _DAY_S,
        Period.MONTH: 62 * _DAY_S,
        Period.TOTAL: 90 * _DAY_S,
    }
)
"""How long a counter is kept, in seconds: after its window's end; of the whole time, after its last use.
Some last: `kept_s`."""

# Scopes of which there are ever new ones.
_PASSING = (f"{ScopeKind.CONVERSATION}:", f"{ScopeKind.USER}:")

TOMBSTONE_KEPT_S = 3_600
"""How long it is known at least how a reservation ended."""

PRESUMED_KEPT_S = _DAY_S
"""How long a presumed end can be corrected."""

CONVERSATION_KEPT_S = 2 * IDLE_S
"""A conversation that settled nothing for so long begins anew. Longer than it may be idle, since a long call
settles late."""

_HOUR_MS = 3_600_000


def kept_s(counter: Counter) -> int | None:
    """Return how long a counter is kept, as in `KEPT_S`; None for ever.

    A limit in total holds however long its scope rests, so what was spent against it is never forgotten. Of
    conversations and users there are ever new ones: theirs end. One of open calls has nothing to remember.
    """
    if (
        counter.period is Period.TOTAL
        and counter.unit is not Unit.OPEN_CALLS
        and not counter.scope.startswith(_PASSING)
    ):
        return None
    return KEPT_S[counter.period]


class Excess(msgspec.Struct, frozen=True):
    """A demand that does not fit.

    Attributes:
        demand: Its number.
        limit: The limit that applied.
        beyond: By how much it would be exceeded, at least 1.
        level: The counter as it stands.
        is_new: Whether the limit is the one for new conversations.
    """

    demand: int
    limit: int
    beyond: int
    level: Level
    is_new: bool


def refuse(excesses: Iterable[Excess]) -> Exceeded:
    """Name the tightest of the demands that do not fit: furthest beyond its limit, in proportion to it.

    Args:
        excesses: One or more, in the order of their demands.
    """
    rest = iter(excesses)
    tightest = next(rest)
    for one in rest:
        # Any excess is infinitely far beyond a limit of zero; of equals, the first stands.
        if tightest.limit and one.beyond * tightest.limit > tightest.beyond * one.limit:
            tightest = one
    return Exceeded(tightest.demand, tightest.limit, tightest.level, tightest.is_new)


def minute_allowance(throttle: Throttle, levels: tuple[int, int], now_ms: int) -> int:
    """Return how many requests may come in this minute, at least 1.

    Args:
        throttle: The throttle.
        levels: Requests of this hour and of the one before, settled and held.
        now_ms: The time, in milliseconds since the epoch.
    """
    length_ms, overlap_ms = earlier_hour(throttle.hours[1], now_ms)
    last_hour = levels[0] + levels[1] * overlap_ms // length_ms
    return max(1, last_hour * throttle.per_mille // 1000)


def earlier_hour(counter: Counter, now_ms: int) -> tuple[int, int]:
    """Return how long the hour before this one is, and how much of it is within the last hour, both in ms."""
    end_ms = bounds_end_s(counter) * 1000
    length_ms = end_ms - counter.start_s * 1000
    return length_ms, min(length_ms, max(0, end_ms + _HOUR_MS - now_ms))


def bounds_end_s(counter: Counter) -> int:
    """Return when a counter's window ends.

    Raises:
        ValueError: It has no end, or one that is not after its start: no throttle can be measured by it.
    """
    if counter.end_s is None or counter.end_s <= counter.start_s:
        raise ValueError(f"a throttle needs a window that ends after it begins, not a {counter.period}")
    return counter.end_s


def minute_demand(reservation: Reservation, throttle: Throttle) -> int:
    """Return the number of the demand that counts a throttle's minute.

    Raises:
        ValueError: No demand does.
    """
    for number, demand in enumerate(reservation.demands):
        if demand.counter == throttle.minute:
            return number
    raise ValueError("the minute that a throttle counts is not among the reservation's demands")


def with_amounts(reservation: Reservation, amounts: Sequence[int]) -> Reservation:
    """Return a reservation that asks for other amounts, in the order of its demands."""
    check_amounts(reservation, amounts)
    return msgspec.structs.replace(reservation, amounts=tuple(amounts))


def check_amounts(reservation: Reservation, amounts: Sequence[int]) -> None:
    """Make sure that there is one amount for each demand, and none below zero.

    Raises:
        ValueError: It is not so; that is a fault of the caller.
    """
    if len(amounts) != len(reservation.demands):
        raise ValueError(f"{len(amounts)} amounts for {len(reservation.demands)} demands")
    if amounts and min(amounts) < 0:
        raise ValueError("an amount is below zero")
