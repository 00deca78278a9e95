"""Reads what the steps inside Redis answer."""

from collections.abc import Iterable, Sequence

from bursar.adapters.budgets.failures import unreadable
from bursar.adapters.budgets.rules import Excess, refuse
from bursar.domain.reservations import End, Ended, Exceeded, Held, Level, Reservation, Throttled

_ENDS = {b"s": End.SETTLED, b"r": End.RELEASED, b"p": End.PRESUMED}


def texts(reply: object) -> list[bytes]:
    """Return the texts that a reply is.

    Raises:
        StoreFailed: It is something else.
    """
    if not isinstance(reply, list):
        raise unreadable()
    found: list[bytes] = []
    for item in reply:  # pyright: ignore[reportUnknownVariableType] - a reply may hold anything
        if not isinstance(item, bytes):
            raise unreadable()
        found.append(item)
    return found


def levels(amounts: Sequence[bytes], count: int) -> tuple[Level, ...]:
    """Return how so many counters stand.

    Raises:
        StoreFailed: There are not two amounts for each.
    """
    if len(amounts) != 2 * count:
        raise unreadable()
    numbers = [_number(amount) for amount in amounts]
    return tuple([Level(settled, held) for settled, held in zip(numbers[::2], numbers[1::2], strict=True)])


def hold_outcome(reservation: Reservation, reply: object) -> Held | Exceeded | Throttled | Ended:
    """Return what came of holding a reservation.

    Raises:
        StoreFailed: The reply cannot be read.
    """
    match texts(reply):
        case [b"held", *amounts]:
            return Held(levels(amounts, len(reservation.demands)))
        case [b"exceeded", *fields] if len(fields) == 4 * len(reservation.demands):
            excesses = list(_excesses(reservation, fields))
            if excesses:
                return refuse(excesses)
        case [b"throttled", number, wait_s]:
            return Throttled(_number(number), _number(wait_s))
        case [b"ended", letter] if letter in _ENDS:
            return Ended(_ENDS[letter], is_first=False)
        case _:
            pass
    raise unreadable()


def end_outcome(reservation: Reservation, end: End, reply: object) -> Ended | None:
    """Return what came of ending a reservation; None where there was nothing to presume.

    Raises:
        StoreFailed: The reply cannot be read.
    """
    match texts(reply):
        case [b"first", *amounts]:
            return Ended(end, is_first=True, levels=levels(amounts, len(reservation.demands)))
        case [b"ended", letter] if letter in _ENDS:
            return Ended(_ENDS[letter], is_first=False)
        case [b"no"] if end is End.PRESUMED:
            return None
        case _:
            raise unreadable()


def _excesses(reservation: Reservation, fields: Sequence[bytes]) -> Iterable[Excess]:
    for number, demand in enumerate(reservation.demands):
        flag, beyond, settled, held = fields[4 * number : 4 * number + 4]
        is_new = flag == b"1"
        limit = demand.new_limit if is_new else demand.limit
        if beyond and limit is not None:
            level = Level(_number(settled), _number(held))
            yield Excess(number, limit, _number(beyond), level, is_new)


def _number(text: bytes) -> int:
    if not text.isdigit():
        raise unreadable()
    return int(text)
