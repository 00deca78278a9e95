"""Counters and reservations of the budget tests."""

from collections.abc import Sequence

from bursar.domain.reservations import Counter, Demand, Period, Reservation, Throttle, Unit
from bursar.ports import BudgetStore

HOUR_S = 3_600
# A quarter past the hour, at the start of a minute.
NOW_S = 1_764_000_000 - 1_764_000_000 % 86_400 + 10 * HOUR_S + 900

_DAY_S = NOW_S - NOW_S % 86_400
_HOUR_S = NOW_S - NOW_S % HOUR_S

MONTH = Counter("organisation", Unit.NUSD, Period.MONTH, _DAY_S, _DAY_S + 30 * 86_400)
DAY = Counter("tenant:acme", Unit.NUSD, Period.DAY, _DAY_S, _DAY_S + 86_400)
TOTAL = Counter("conversation:acme/one", Unit.NUSD, Period.TOTAL)
OPEN = Counter("tenant:acme", Unit.OPEN_CALLS, Period.TOTAL)
MINUTE = Counter("tenant:acme", Unit.REQUESTS, Period.MINUTE, NOW_S, NOW_S + 60)
HOUR = Counter("tenant:acme", Unit.REQUESTS, Period.HOUR, _HOUR_S, _HOUR_S + HOUR_S)
HOUR_BEFORE = Counter("tenant:acme", Unit.REQUESTS, Period.HOUR, _HOUR_S - HOUR_S, _HOUR_S)


Ask = tuple[Demand, int]
"""What is asked of a counter, and how much."""


def demand(counter: Counter, amount: int, limit: int | None = None, new_limit: int | None = None) -> Ask:
    """Ask so much of a counter."""
    return Demand(counter, limit, new_limit), amount


def reservation(
    name: str,
    *asks: Ask,
    conversation: str = "one",
    throttles: tuple[Throttle, ...] = (),
    ttl_s: int = 120,
) -> Reservation:
    """Ask all that at once."""
    demands, amounts = tuple(one for one, _ in asks), tuple(amount for _, amount in asks)
    return Reservation(name, conversation, demands, amounts, throttles, ttl_s)


async def sweep(store: BudgetStore, now_s: float, most: int = 256) -> Sequence[Reservation]:
    """End what was left behind, as presumed; return what ended so."""
    left = await store.find_left(now_s, most)
    return [held for held in left if await store.presume(held, now_s) is not None]
