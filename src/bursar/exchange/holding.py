"""What a call holds against its budgets while it lives.

Before each attempt that may cost something, the most that it can take is held: the first reserves, further
ones extend. When the call has ended, what it really took is counted in the place of it. Every way out in
between ends the hold: a refusal holds nothing, and what a driver cannot bring to an end it gives up itself.
"""

from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from bursar.domain.budgets import ActionKind
from bursar.domain.ledger import Entry
from bursar.domain.reservations import Ended, Exceeded, Held, Level, Throttled
from bursar.effects import Effect, Extend, Left, Reserve, Settle
from bursar.exchange.bills import Bill
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.left_behind import write_note
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claim, Claimant
from bursar.policy.budgets.refusals import Refusal, refuse, refuse_unbounded
from bursar.policy.budgets.standing import Room, prefers_cheaper, room_left
from bursar.policy.budgets.worst_case import Bounds, WorstCase
from bursar.wire.dialect import Fault

_Answer = Held | Exceeded | Throttled | Ended | Left | None

LEFT = Fault(499, "api_error", "the client closed the connection")
"""Why an attempt is not made whose client has left."""


class Hold:
    """What one call holds.

    Args:
        engine: The budgets in force.
        call: The call.
    """

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._call = call
        # Where nothing is limited, nothing is asked.
        book = engine.budgets_at(call.arrival.at_s)
        self._book: BudgetBook | None = book if book.budgets else None
        self._claim: Claim | None = None
        self._is_unknown = False
        self._taken_nusd = self._taken_tokens = 0
        self._levels: Sequence[Level] = ()
        self._room: Room | None = None

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be held before an attempt."""
        return self._book is not None

    def left_after(self, total: Bill) -> int | None:
        """Return what a call leaves of the tightest limit on money; None where there is none.

        It goes by what the counters held when the call's last hold was made.
        """
        claim, room = self._claim, self._room
        if claim is None or room is None or room.nusd is None:
            return None
        held_nusd = claim.held_nusd
        return max(0, room.nusd + held_nusd - (held_nusd if total.cost_nusd is None else total.cost_nusd))

    @property
    def decisions(self) -> tuple[str, ...]:
        """What the budgets' ladders decide about the call, for its entry."""
        if self._claim is None or not self._levels:
            return ()
        scope = prefers_cheaper(self._claim, self._levels)
        return () if scope is None else (f"{ActionKind.PREFER_CHEAPER.value}:{scope}",)

    def bound(self, entry: Entry) -> Entry:
        """Put into an entry of unknown cost what was held for the call, as which the counters have it."""
        claim = self._claim
        if claim is None or entry.cost_nusd is not None:
            return entry
        held_nusd = claim.held_nusd
        return msgspec.structs.replace(entry, cost_max_nusd=held_nusd) if held_nusd else entry

    def cover(self, bounds: Bounds) -> Generator[Effect, Any, Refusal | Fault | None]:
        """Hold what a further attempt can take at most.

        Returns:
            Why the attempt must not be made: a refusal, or `LEFT`. None where it may.
        """
        book = self._book
        if book is None:
            return None
        if self._is_unknown:
            # To ask again under the same name could meet the end of the first time.
            return _STORE_FAILED
        claim = self._claim
        if claim is None:
            claim = self._begin(book)
        worst = bounds.for_room(self._engine.rooms.get(claim.whose))
        while True:
            refusal = _refuse_unbounded(claim, worst)
            if refusal is not None:
                return refusal
            asked = claim.extended(self._beyond(worst))
            answer: _Answer = yield (Reserve if self._claim is None else Extend)(asked.reservation)
            if isinstance(answer, Exceeded) and worst is bounds.far and bounds.price_near:
                # What was known of the counters was too old; next to a limit, the nearer bound may still fit.
                worst = bounds.near
                continue
            return (yield from self._judge(asked, answer))

    def took(self, bill: Bill) -> None:
        """Take note of what an attempt took that was covered, before another one is."""
        claim, taken = self._claim, _amounts(bill)
        if claim is not None:
            # What is not known counts as all that is held, which has what was taken before in it.
            self._taken_nusd = claim.held_nusd if taken.nusd is None else self._taken_nusd + taken.nusd
            self._taken_tokens = (
                claim.held_tokens if taken.tokens is None else self._taken_tokens + taken.tokens
            )

    def settle(self, total: Bill, *, answered: bool, recorded: bool) -> Generator[Effect, Any, None]:
        """Count what the call took, all its attempts together, in the place of what is held.

        What is not known counts as all that is held: unknown is never zero.

        Args:
            total: What it took.
            answered: Whether it was answered.
            recorded: Whether the ledger has it.
        """
        claim = self._claim
        if claim is None:
            return
        taken = claim.taken(_amounts(total), answered=answered)
        ended: Ended | None = yield Settle(claim.reservation, taken, recorded)
        if ended is not None and ended.levels:
            self._levels = ended.levels

    def _begin(self, book: BudgetBook) -> Claim:
        call = self._call
        arrival, whose = call.arrival, call.attribution
        claimant = Claimant(arrival.operation_id, whose, whose.key, write_note(call))
        return book.claim(claimant, Amounts(0, 0), arrival.at_s)

    def _beyond(self, worst: WorstCase) -> Amounts:
        """Return the most that the call can have taken after a further attempt."""
        return Amounts(self._taken_nusd + (worst.nusd or 0), self._taken_tokens + (worst.tokens or 0))

    def _judge(self, asked: Claim, answer: _Answer) -> Generator[Effect, Any, Refusal | Fault | None]:
        match answer:
            case Held():
                self._claim, self._levels = asked, answer.levels
                self._room = room_left(asked, answer.levels)
                self._engine.rooms.keep(asked.whose, self._room)
                return None
            case Exceeded():
                self._engine.rooms.pop(asked.whose, None)
                return refuse(asked, self._without_own(answer), self._call.arrival.at_s)
            case Throttled():
                return refuse(asked, answer, self._call.arrival.at_s)
            case Left():
                return LEFT
            case Ended():
                return Refusal(503, "api_error", "a call of this id has ended already", {})
            case None:
                if self._engine.options.admit_unheld:
                    # What it takes is counted once the store can be asked again.
                    self._claim, self._levels, self._room = asked, (), None
                    return None
                if self._claim is None:
                    # Whether it is held is not known.
                    self._is_unknown = True
                    yield Settle(asked.reservation, None)
                return _STORE_FAILED

    def _without_own(self, answer: Exceeded) -> Exceeded:
        """Leave out of what is held what the call itself holds: what it may need has that in it."""
        if self._claim is None:
            return answer
        own = self._claim.reservation.amounts[answer.demand]
        level = Level(answer.level.settled, answer.level.held - own)
        return msgspec.structs.replace(answer, level=level)


_STORE_FAILED = Refusal(
    503,
    "api_error",
    "the budget store cannot be asked, and no calls are made until it can (storage.on_store_failure)",
    {},
    retry_after_s=1,
)


def _amounts(bill: Bill) -> Amounts:
    """Return what a bill took. Where nothing was billed, there is no usage, and it took nothing."""
    usage = bill.usage
    if usage is None:
        return Amounts(bill.cost_nusd, None if bill.cost_nusd is None else 0)
    return Amounts(bill.cost_nusd, usage.total_tokens)


def _refuse_unbounded(claim: Claim, worst: WorstCase) -> Refusal | None:
    """Refuse an attempt of which nobody knows what it can take of something that is limited."""
    number = claim.unbounded(Amounts(worst.nusd, worst.tokens))
    return None if number is None else refuse_unbounded(claim, number, worst.reason)
