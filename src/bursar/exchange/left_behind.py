"""Calls whose process died under way: what is noted of each, and the entry that stands for it afterwards.

Nobody knows what such a call cost. It counts as all that was held for it, so that no limit is ever passed
unseen, and its entry says that this was presumed.
"""

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Component, ComponentShare, CostBasis, Entry, Status
from bursar.domain.reservations import Reservation, Unit
from bursar.domain.usage import Usage
from bursar.exchange.call import Call
from bursar.policy.budgets.claims import Amounts, held_of, taken_of

PRESUMED = "presumed"
"""Fault of an entry that stands for a call whose end nobody saw."""

_GATEWAY_FAILED = 502


class Note(msgspec.Struct, frozen=True, gc=False):
    """What is known of a call when it is sent; fields as in `domain.ledger.Entry`."""

    at_s: float
    attribution: Attribution
    dialect: str
    model: str
    mode: str
    stream: bool
    thread: str
    turn: int


_READER = msgspec.json.Decoder(Note)


def write_note(call: Call) -> str:
    """Note what is known of a call, in JSON, for `Reservation.note`."""
    arrival, request, place = call.arrival, call.request, call.place
    note = Note(
        arrival.at_s,
        call.attribution,
        arrival.dialect,
        request.model,
        call.mode,
        request.stream,
        place.thread.thread_id,
        place.turn,
    )
    return msgspec.json.encode(note).decode()


def presume(reservation: Reservation) -> Entry | None:
    """Write the entry of a call that was left behind; None where nothing is known of it.

    Args:
        reservation: What was held for it.
    """
    try:
        note = _READER.decode(reservation.note)
    except msgspec.DecodeError:
        return None
    # Where no money was held, nobody knew what the call can cost.
    nusd = held_of(reservation, Unit.NUSD) or None
    tokens = held_of(reservation, Unit.TOKENS)
    return Entry(
        operation_id=reservation.reservation_id,
        at_s=note.at_s,
        attribution=note.attribution,
        dialect=note.dialect,
        model=note.model,
        mode=note.mode,
        stream=note.stream,
        status=Status.ABORTED,
        http_status=_GATEWAY_FAILED,
        latency_ms=0,
        overhead_us=0,
        thread=note.thread,
        turn=note.turn,
        attempts=(),
        usage=None if tokens is None else Usage(output=tokens),
        # The answer is the part of which the least is known.
        components={Component.OUTPUT: ComponentShare({} if not tokens else {"output": tokens}, nusd)},
        cost_nusd=nusd,
        cost_max_nusd=nusd,
        baseline_nusd=None,
        shares={},
        basis=CostBasis.UNKNOWN if nusd is None else CostBasis.ESTIMATED,
        faults=(PRESUMED,),
    )


def amounts_of(entry: Entry, reservation: Reservation) -> tuple[int, ...]:
    """Return what a recorded call took of each of a reservation's counters, in order.

    What is not known of it counts as held.
    """
    usage = entry.usage
    if usage is not None:
        tokens = usage.total_tokens
    else:
        # Without any usage, what a provider refused took nothing.
        tokens = 0 if entry.attempts and entry.cost_nusd == 0 else None
    taken = Amounts(entry.cost_nusd, tokens)
    answered = entry.status is Status.OK or PRESUMED in entry.faults
    return taken_of(reservation, taken, answered=answered)
