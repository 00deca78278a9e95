"""Amounts held against limits before a call is sent, and how holding them ends.

A *counter* is where one scope's amounts of one unit add up over one window: what is settled, and what is
held. A call asks of each counter that it falls under as much as it can take at most, and gets all of it or
nothing, in one atomic step. What it really took is settled in the place of what was held. Every end of a
reservation happens once; ending it again changes nothing and says how it ended.
"""

from enum import StrEnum

import msgspec


class Unit(StrEnum):
    """What a counter counts."""

    NUSD = "nusd"
    TOKENS = "tokens"
    TURNS = "turns"  # Calls that were answered.
    REQUESTS = "requests"  # Calls, answered or not.
    OPEN_CALLS = "open_calls"  # Calls under way: nothing is ever settled.


class Period(StrEnum):
    """How long a window is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class Counter(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """Names a counter.

    Attributes:
        scope: Whose amounts it holds, as `str(Scope)`; any text.
        unit: What it counts.
        period: How long its window is.
        start_s: When the window begins, in whole seconds since the epoch; 0 where the period is total.
        end_s: When it ends, exclusive; None where the period is total.
    """

    scope: str
    unit: Unit
    period: Period
    start_s: int = 0
    end_s: int | None = None


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What limits a call in one counter. How much the call asks of it, its reservation says.

    Attributes:
        counter: The counter.
        limit: What settled and held amounts may come to; None where they are only counted.
        new_limit: Where new conversations are refused before active ones: what settled and held amounts may
            come to for the call of a new conversation; `limit` is then for active ones, grace included.
            None where there is no such difference. A conversation is active iff it settled a call before
            the counter's settled amount first reached `new_limit`, and settled its last one less than
            `IDLE_S` ago.
    """

    counter: Counter
    limit: int | None = None
    new_limit: int | None = None


IDLE_S = 30 * 60
"""A conversation that settled nothing for so long is no longer active."""


class Throttle(msgspec.Struct, frozen=True, gc=False):
    """Slows a scope down once a budget is nearly spent.

    Attributes:
        budget: The counter of that budget,
        from_amount: and the settled amount from which on it applies.
        minute: Counts the scope's requests in this minute; a demand of the same reservation.
        hours: Count its requests in this hour, and in the one before. The last hour is all of the former, and
            as much of the latter as still lies within it.
        per_mille: Share of the last hour's requests that may come in one minute; at least one may.
    """

    budget: Counter
    from_amount: int
    minute: Counter
    hours: tuple[Counter, Counter]
    per_mille: int = 100


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """All that a call asks of the counters.

    Attributes:
        reservation_id: The call's operation id.
        conversation: Names its conversation among all tenants'.
        demands: Which counters it asks, and what limits it there; no counter twice. Calls alike may share
            them: the same ones make for a short journal.
        amounts: The most that it can take of each, in order, at least 0.
        throttles: What may slow it down.
        ttl_s: How long it is held unless it is renewed.
        note: What whoever finds it left behind needs to know of the call, in JSON. The store keeps it as it
            is, and gives it back when it sweeps.
    """

    reservation_id: str
    conversation: str
    demands: tuple[Demand, ...]
    amounts: tuple[int, ...]
    throttles: tuple[Throttle, ...] = ()
    ttl_s: int = 120
    note: str = ""


class Level(msgspec.Struct, frozen=True, gc=False):
    """How a counter stands.

    Attributes:
        settled: What was really taken.
        held: What is held for calls under way.
    """

    settled: int
    held: int


class Held(msgspec.Struct, frozen=True, gc=False):
    """All was held, now or by the same reservation before.

    Attributes:
        levels: The demands' counters afterwards, in order.
    """

    levels: tuple[Level, ...]


class Exceeded(msgspec.Struct, frozen=True):
    """Nothing was held: a limit is in the way.

    Attributes:
        demand: Number of the tightest demand: of those that do not fit, the one that is furthest beyond its
            limit in proportion to it; of equals, the first.
        limit: The limit that applied to it: for a new conversation, `new_limit`.
        level: Its counter.
        is_new: Whether the conversation counted as new.
    """

    demand: int
    limit: int
    level: Level
    is_new: bool = False


class Throttled(msgspec.Struct, frozen=True):
    """Nothing was held: the scope's share of this minute is used up.

    Attributes:
        throttle: Number of the throttle.
        retry_after_s: When the minute is over, in whole seconds from now, at least 1.
    """

    throttle: int
    retry_after_s: int


class End(StrEnum):
    """How a reservation ended."""

    SETTLED = "settled"
    RELEASED = "released"  # Nothing was taken.
    PRESUMED = "presumed"  # It was left behind, and the whole of what was held counts as taken.


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A reservation has ended.

    Attributes:
        end: How.
        is_first: Whether it ended now, or its presumed end was corrected now; False where it had ended
            before, and nothing changed.
        levels: The demands' counters afterwards, in order; empty where nothing changed.
    """

    end: End
    is_first: bool
    levels: tuple[Level, ...] = ()
