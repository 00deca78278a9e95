"""What every budget store promises, whatever it keeps reservations in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from budget_cases import (
    DAY,
    HOUR,
    HOUR_BEFORE,
    MINUTE,
    MONTH,
    NOW_S,
    OPEN,
    TOTAL,
    demand,
    reservation,
    sweep,
)
from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.domain.reservations import (
    IDLE_S,
    Counter,
    End,
    Ended,
    Exceeded,
    Held,
    Level,
    Period,
    Throttle,
    Throttled,
    Unit,
)
from redis_process import RedisProcess, redis_process


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with redis_process() as started:
        yield started


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisProcess]:
    with redis_process(is_cluster=True) as started:
        yield started


@pytest.fixture(params=["memory", "redis", "cluster"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemoryBudgets()
        return
    is_cluster = request.param == "cluster"
    process: RedisProcess = request.getfixturevalue("cluster" if is_cluster else "server")
    process.cli("FLUSHALL")
    made = RedisBudgets.open(
        process.url, RedisOptions(organisation="acme {GmbH}", is_cluster=is_cluster, goes_by_caller=True)
    )
    yield made
    await made.close()


async def level(store: Any, counter: Counter = MONTH) -> tuple[int, int]:
    [found] = await store.read([counter], NOW_S)
    return found.settled, found.held


# Holding.


async def test_what_is_held_shows_in_every_counter(store: Any) -> None:
    held = await store.reserve(reservation("a", demand(MONTH, 7), demand(DAY, 5)), NOW_S)
    assert held == Held((Level(0, 7), Level(0, 5)))
    assert [await level(store, one) for one in (MONTH, DAY, TOTAL)] == [(0, 7), (0, 5), (0, 0)]


async def test_a_call_that_asks_for_nothing_is_held(store: Any) -> None:
    assert await store.reserve(reservation("a"), NOW_S) == Held(())
    assert await store.settle(reservation("a"), [], NOW_S) == Ended(End.SETTLED, is_first=True)


async def test_a_limit_can_be_reached_but_not_passed(store: Any) -> None:
    assert isinstance(await store.reserve(reservation("a", demand(MONTH, 60, 100)), NOW_S), Held)
    assert isinstance(await store.reserve(reservation("b", demand(MONTH, 40, 100)), NOW_S), Held)
    assert await store.reserve(reservation("c", demand(MONTH, 1, 100)), NOW_S) == Exceeded(
        0, 100, Level(0, 100)
    )


async def test_settled_and_held_amounts_both_count(store: Any) -> None:
    first = reservation("a", demand(MONTH, 60, 100))
    await store.reserve(first, NOW_S)
    await store.settle(first, [30], NOW_S)
    await store.reserve(reservation("b", demand(MONTH, 50, 100)), NOW_S)
    assert await store.reserve(reservation("c", demand(MONTH, 21, 100)), NOW_S) == Exceeded(
        0, 100, Level(30, 50)
    )
    assert isinstance(await store.reserve(reservation("d", demand(MONTH, 20, 100)), NOW_S), Held)


async def test_where_one_limit_is_in_the_way_nothing_is_held(store: Any) -> None:
    refused = await store.reserve(
        reservation("a", demand(MONTH, 5, 100), demand(DAY, 5, 4), demand(TOTAL, 5)), NOW_S
    )
    assert refused == Exceeded(1, 4, Level(0, 0))
    assert [await level(store, one) for one in (MONTH, DAY, TOTAL)] == [(0, 0)] * 3


@pytest.mark.parametrize(
    ("limits", "tightest"),
    [
        ((10, 5), 1),  # 2 times and 4 times as much as there may be
        ((5, 10), 0),
        ((10, 10), 0),
        ((0, 0), 0),
        ((1, 0), 1),
        ((0, 1), 0),
        ((None, 19), 1),
        ((2**62, 19), 1),
    ],
)
async def test_the_tightest_limit_is_named(store: Any, limits: tuple[int | None, int], tightest: int) -> None:
    refused = await store.reserve(
        reservation("a", demand(MONTH, 20, limits[0]), demand(DAY, 20, limits[1])), NOW_S
    )
    assert refused.demand == tightest
    assert refused.limit == limits[tightest]


@pytest.mark.parametrize("limit", [2**53 - 1, 2**53, 2**53 + 1, 10**15 - 1, 10**15, 2**62 - 1, 2**62])
async def test_amounts_are_exact_beyond_what_a_double_holds(store: Any, limit: int) -> None:
    first, second = (
        reservation("a", demand(MONTH, limit - 1, limit)),
        reservation("b", demand(MONTH, 1, limit)),
    )
    await store.reserve(first, NOW_S)
    assert await store.reserve(reservation("c", demand(MONTH, 2, limit)), NOW_S) == Exceeded(
        0, limit, Level(0, limit - 1)
    )
    assert await store.reserve(second, NOW_S) == Held((Level(0, limit),))
    assert (await store.settle(first, [limit - 1], NOW_S)).levels == (Level(limit - 1, 1),)
    assert (await store.settle(second, [2], NOW_S)).levels == (Level(limit + 1, 0),)
    assert await store.reserve(reservation("d", demand(MONTH, 0, limit)), NOW_S) == Exceeded(
        0, limit, Level(limit + 1, 0)
    )


async def test_amounts_far_beyond_any_budget_add_up(store: Any) -> None:
    for name in "abc":
        await store.reserve(reservation(name, demand(MONTH, 2**62)), NOW_S)
    assert await level(store) == (0, 3 * 2**62)
    assert await store.reserve(reservation("d", demand(MONTH, 2**62, 2**64 - 1)), NOW_S) == Exceeded(
        0, 2**64 - 1, Level(0, 3 * 2**62)
    )


async def test_many_at_once_never_pass_a_limit(store: Any) -> None:
    outcomes = await asyncio.gather(
        *(store.reserve(reservation(f"r{n}", demand(MONTH, 7, 100)), NOW_S) for n in range(50))
    )
    assert sum(isinstance(one, Held) for one in outcomes) == 14
    assert await level(store) == (0, 98)


async def test_scopes_of_any_text_are_told_apart(store: Any) -> None:
    scopes = [
        "",
        "tenant:a",
        "tenant:{a}",
        "x" * 10_000,
        "x" * 9_999 + "y",
        "ünï",
        "') return 1 --",
        "a\nb\r\n",
    ]
    counters = [Counter(scope, Unit.NUSD, Period.TOTAL) for scope in scopes]
    counters += [Counter("a", unit, period) for unit in Unit for period in Period]
    counters += [Counter("a", Unit.NUSD, Period.HOUR, 3_600, end_s) for end_s in (7_200, 7_201)]
    every = tuple(demand(counter, number) for number, counter in enumerate(counters, 1))
    await store.reserve(reservation("a", *every), NOW_S)
    assert list(await store.read(counters, NOW_S)) == [Level(0, n) for n in range(1, len(counters) + 1)]


@pytest.mark.parametrize("amount", [-1, -(2**62)])
async def test_an_amount_below_zero_is_the_callers_fault(store: Any, amount: int) -> None:
    with pytest.raises(ValueError, match="below zero"):
        await store.reserve(reservation("a", demand(MONTH, amount)), NOW_S)
    with pytest.raises(ValueError, match="below zero"):
        await store.settle(reservation("a", demand(MONTH, 1)), [amount], NOW_S)
    with pytest.raises(ValueError, match="below zero"):
        await store.correct(MONTH, amount, NOW_S)
    assert await level(store) == (0, 0)


async def test_one_counter_asked_twice_is_the_callers_fault(store: Any) -> None:
    with pytest.raises(ValueError, match="twice"):
        await store.reserve(reservation("a", demand(MONTH, 1), demand(DAY, 1), demand(MONTH, 1)), NOW_S)


# Ending.


async def test_what_was_taken_is_counted_in_the_place_of_what_was_held(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7), demand(DAY, 5))
    await store.reserve(call, NOW_S)
    assert await store.settle(call, [3, 5], NOW_S) == Ended(End.SETTLED, True, (Level(3, 0), Level(5, 0)))


async def test_more_than_was_held_is_counted_whole(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7, 10))
    await store.reserve(call, NOW_S)
    assert (await store.settle(call, [25], NOW_S)).levels == (Level(25, 0),)
    assert isinstance(await store.reserve(reservation("b", demand(MONTH, 0, 10)), NOW_S), Exceeded)


async def test_settling_what_is_not_known_counts_it(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7, 1))
    assert await store.settle(call, [3], NOW_S) == Ended(End.SETTLED, True, (Level(3, 0),))
    assert await store.settle(call, [3], NOW_S) == Ended(End.SETTLED, False)
    assert await level(store) == (3, 0)


async def test_releasing_frees_what_was_held(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7), demand(DAY, 5))
    await store.reserve(call, NOW_S)
    assert await store.release(call, NOW_S) == Ended(End.RELEASED, True, (Level(0, 0), Level(0, 0)))


@pytest.mark.parametrize("first", list(End)[:2])
async def test_an_end_happens_once_and_is_named_ever_after(store: Any, first: End) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    await (store.settle(call, [3], NOW_S) if first is End.SETTLED else store.release(call, NOW_S))
    stands = await level(store)
    for _ in range(2):
        for at_s in (NOW_S, NOW_S + 3_500):
            assert await store.settle(call, [4], at_s) == Ended(first, False)
            assert await store.release(call, at_s) == Ended(first, False)
            assert await store.reserve(call, at_s) == Ended(first, False)
            assert await store.extend(call, at_s) == Ended(first, False)
            assert await store.renew(["a"], 60, at_s) == {"a"}
    assert await level(store) == stands


async def test_holding_again_changes_nothing(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7, 10))
    for _ in range(3):
        assert await store.reserve(call, NOW_S) == Held((Level(0, 7),))
    await store.settle(call, [7], NOW_S)
    assert await level(store) == (7, 0)


async def test_what_was_released_before_it_came_is_not_held(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7))
    assert await store.release(call, NOW_S) == Ended(End.RELEASED, True, (Level(0, 0),))
    assert await store.reserve(call, NOW_S) == Ended(End.RELEASED, False)
    assert await level(store) == (0, 0)


async def test_open_calls_are_held_and_never_settled(store: Any) -> None:
    calls = [reservation(name, demand(OPEN, 1, 2)) for name in "abc"]
    outcomes = [await store.reserve(call, NOW_S) for call in calls]
    assert outcomes[2] == Exceeded(0, 2, Level(0, 2))
    assert (await store.settle(calls[0], [1], NOW_S)).levels == (Level(0, 1),)
    assert await store.reserve(reservation("d", demand(OPEN, 1, 2)), NOW_S) == Held((Level(0, 2),))
    assert len(await sweep(store, NOW_S + 120)) == 2
    assert await level(store, OPEN) == (0, 0)
    assert (await store.settle(calls[1], [1], NOW_S + 120)).levels == (Level(0, 0),)


async def test_the_wrong_number_of_amounts_is_the_callers_fault(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7), demand(DAY, 7))
    await store.reserve(call, NOW_S)
    with pytest.raises(ValueError, match="1 amounts for 2 demands"):
        await store.settle(call, [1], NOW_S)
    assert await level(store) == (0, 7)


# Extending.


async def test_more_is_held_up_to_the_new_total(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7, 20), demand(DAY, 1)), NOW_S)
    wider = reservation("a", demand(MONTH, 15, 20), demand(DAY, 1))
    for _ in range(2):
        assert await store.extend(wider, NOW_S) == Held((Level(0, 15), Level(0, 1)))
    assert (await store.settle(wider, [9, 2], NOW_S)).levels == (Level(9, 0), Level(2, 0))


async def test_where_more_does_not_fit_what_was_held_stays(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7, 20), demand(DAY, 1, 20)), NOW_S)
    refused = await store.extend(reservation("a", demand(MONTH, 21, 20), demand(DAY, 2, 20)), NOW_S)
    assert refused == Exceeded(0, 20, Level(0, 7))
    assert [await level(store, one) for one in (MONTH, DAY)] == [(0, 7), (0, 1)]


async def test_extending_gives_nothing_back(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7), demand(DAY, 1)), NOW_S)
    assert await store.extend(reservation("a", demand(MONTH, 3), demand(DAY, 4)), NOW_S) == Held(
        (Level(0, 7), Level(0, 4))
    )


async def test_a_limit_that_was_overrun_does_not_stop_what_asks_no_more_of_it(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7, 10), demand(DAY, 1, 10)), NOW_S)
    await store.settle(reservation("b", demand(DAY, 0)), [50], NOW_S)
    assert isinstance(
        await store.extend(reservation("a", demand(MONTH, 8, 10), demand(DAY, 1, 10)), NOW_S), Held
    )
    assert isinstance(
        await store.extend(reservation("a", demand(MONTH, 8, 10), demand(DAY, 2, 10)), NOW_S), Exceeded
    )


async def test_extending_what_is_not_known_holds_it_all_or_nothing(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7, 10))
    assert await store.extend(call, NOW_S) == Held((Level(0, 7),))
    assert await store.extend(reservation("b", demand(MONTH, 7, 10)), NOW_S) == Exceeded(0, 10, Level(0, 7))


# Leases.


async def test_what_was_left_behind_counts_whole_and_in_its_own_window(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7), demand(DAY, 5, 9))
    await store.reserve(call, NOW_S)
    assert list(await sweep(store, NOW_S + 119.9)) == []
    assert list(await sweep(store, NOW_S + 120)) == [call]
    assert list(await sweep(store, NOW_S + 500)) == []
    assert [await level(store, one) for one in (MONTH, DAY)] == [(7, 0), (5, 0)]


async def test_what_was_extended_is_presumed_as_extended(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7), demand(DAY, 5)), NOW_S)
    await store.extend(reservation("a", demand(MONTH, 9), demand(DAY, 5)), NOW_S)
    assert list(await sweep(store, NOW_S + 120)) == [reservation("a", demand(MONTH, 9), demand(DAY, 5))]
    assert [await level(store, one) for one in (MONTH, DAY)] == [(9, 0), (5, 0)]


async def test_what_is_renewed_is_held_for_longer(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    assert await store.renew(["a", "nobody"], 120, NOW_S + 100) == {"nobody"}
    assert list(await sweep(store, NOW_S + 219)) == []
    assert len(await sweep(store, NOW_S + 220)) == 1
    assert await store.renew(["a"], 120, NOW_S + 221) == {"a"}
    assert await store.renew([], 120, NOW_S + 221) == frozenset()


async def test_renewing_for_less_takes_nothing_away(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    await store.renew(["a"], 1, NOW_S)
    assert list(await sweep(store, NOW_S + 119)) == []


async def test_the_oldest_are_swept_first_and_no_more_than_asked(store: Any) -> None:
    for n in (3, 1, 2):
        await store.reserve(reservation(f"r{n}", demand(MONTH, n)), NOW_S)
        await store.renew([f"r{n}"], 200 + n, NOW_S)
    assert [one.reservation_id for one in await sweep(store, NOW_S + 500, most=2)] == ["r1", "r2"]
    assert [one.reservation_id for one in await sweep(store, NOW_S + 500, most=2)] == ["r3"]


async def test_what_was_left_behind_is_found_as_it_is_held_and_stays_held(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    await store.extend(reservation("a", demand(MONTH, 9)), NOW_S)
    assert list(await store.find_left(NOW_S + 119)) == []
    for _ in range(2):
        assert list(await store.find_left(NOW_S + 120)) == [reservation("a", demand(MONTH, 9))]
    assert await level(store) == (0, 9)
    await store.settle(reservation("a", demand(MONTH, 9)), [8], NOW_S + 120)
    assert list(await store.find_left(NOW_S + 500)) == []


async def test_what_may_yet_be_renewed_can_be_left_out(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    assert list(await store.find_left(NOW_S + 159, overdue_s=40)) == []
    assert list(await store.find_left(NOW_S + 160, overdue_s=40)) == [call]


@pytest.mark.parametrize("taken", [0, 3, 7, 30])
async def test_one_that_was_left_behind_is_presumed_and_corrected_by_a_late_settle(
    store: Any, taken: int
) -> None:
    call, other = reservation("a", demand(MONTH, 7)), reservation("b", demand(MONTH, 1))
    await store.reserve(reservation("a", demand(MONTH, 5)), NOW_S)
    await store.extend(call, NOW_S)
    await store.reserve(other, NOW_S)
    assert await store.presume(call, NOW_S + 119) is None
    assert await store.presume(call, NOW_S + 120) == Ended(End.PRESUMED, True, (Level(7, 1),))
    assert await store.presume(call, NOW_S + 121) is None
    assert await store.settle(call, [taken], NOW_S + 500) == Ended(End.SETTLED, True, (Level(taken, 1),))
    assert await store.presume(call, NOW_S + 501) is None
    assert list(await store.find_left(NOW_S + 501)) == [other]


async def test_what_was_renewed_meanwhile_is_not_presumed(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    [left] = await store.find_left(NOW_S + 120)
    await store.renew(["a"], 120, NOW_S + 120)
    assert await store.presume(left, NOW_S + 121) is None
    assert await level(store) == (0, 7)


@pytest.mark.parametrize("taken", [0, 3, 7, 30])
async def test_a_late_settle_corrects_what_was_presumed(store: Any, taken: int) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    await sweep(store, NOW_S + 120)
    assert await store.reserve(call, NOW_S + 121) == Ended(End.PRESUMED, False)
    assert await store.extend(call, NOW_S + 121) == Ended(End.PRESUMED, False)
    late_s = NOW_S + 20 * 3_600
    assert await store.settle(call, [taken], late_s) == Ended(End.SETTLED, True, (Level(taken, 0),))
    assert await store.settle(call, [taken], late_s) == Ended(End.SETTLED, False)
    assert await level(store) == (taken, 0)


async def test_a_late_release_takes_back_what_was_presumed(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    await sweep(store, NOW_S + 120)
    assert await store.release(call, NOW_S + 121) == Ended(End.RELEASED, True, (Level(0, 0),))
    assert await store.settle(call, [5], NOW_S + 122) == Ended(End.RELEASED, False)


async def test_a_clock_that_goes_back_frees_nothing_early_and_holds_nothing_for_ever(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    assert list(await sweep(store, NOW_S - 10_000)) == []
    await store.reserve(reservation("b", demand(MONTH, 1)), NOW_S - 10_000)
    assert list(await sweep(store, NOW_S + 119)) == []
    assert len(await sweep(store, NOW_S + 120)) == 2
    assert await level(store) == (8, 0)


# New and active conversations.


def talk(number: int, conversation: str, amount: int, limit: int = 105, new_limit: int = 100) -> Any:
    return reservation(
        f"{conversation}{number}", demand(MONTH, amount, limit, new_limit), conversation=conversation
    )


async def spend(store: Any, number: int, conversation: str, amount: int, at_s: float = NOW_S) -> None:
    call = talk(number, conversation, amount)
    await store.reserve(call, at_s)
    await store.settle(call, [amount], at_s)


async def test_new_conversations_stop_at_their_limit_and_active_ones_at_theirs(store: Any) -> None:
    await spend(store, 1, "old", 100)
    await spend(store, 2, "late", 0)
    # "old" settled one call only, the one that reached the limit.
    assert await store.reserve(talk(2, "old", 1), NOW_S) == Exceeded(0, 100, Level(100, 0), is_new=True)


async def test_a_conversation_that_settled_before_the_limit_was_reached_is_active(store: Any) -> None:
    await spend(store, 1, "old", 60)
    await spend(store, 1, "other", 40)
    assert await store.reserve(talk(2, "old", 6), NOW_S) == Exceeded(0, 105, Level(100, 0), is_new=False)
    assert isinstance(await store.reserve(talk(3, "old", 5), NOW_S), Held)
    assert await store.reserve(talk(2, "other", 1), NOW_S) == Exceeded(0, 100, Level(100, 5), is_new=True)
    assert await store.reserve(talk(1, "new", 1), NOW_S) == Exceeded(0, 100, Level(100, 5), is_new=True)


async def test_a_conversation_that_goes_on_while_settling_across_the_limit_is_active(store: Any) -> None:
    await spend(store, 1, "old", 60)
    await spend(store, 2, "old", 40)
    assert isinstance(await store.reserve(talk(3, "old", 5), NOW_S), Held)


async def test_a_conversation_that_was_idle_for_long_is_no_longer_active(store: Any) -> None:
    await spend(store, 1, "old", 60)
    await spend(store, 1, "other", 40)
    assert isinstance(await store.reserve(talk(2, "old", 1), NOW_S + IDLE_S - 1), Held)
    refused = await store.reserve(talk(3, "old", 1), NOW_S + IDLE_S)
    assert refused == Exceeded(0, 100, Level(100, 1), is_new=True)


@pytest.mark.parametrize(("pause_s", "is_new"), [(2 * IDLE_S - 1, False), (2 * IDLE_S, True)])
async def test_a_call_that_settles_late_keeps_its_conversation_active_for_an_hour(
    store: Any, pause_s: int, is_new: bool
) -> None:
    await spend(store, 1, "old", 60)
    long_call = talk(2, "old", 0)
    await store.reserve(long_call, NOW_S)
    await spend(store, 1, "other", 40)
    await store.settle(long_call, [0], NOW_S + pause_s)
    refused = await store.reserve(talk(3, "old", 6), NOW_S + pause_s)
    assert refused == Exceeded(0, 100 if is_new else 105, Level(100, 0), is_new=is_new)


async def test_below_the_limit_a_new_conversation_is_held_and_what_is_held_counts(store: Any) -> None:
    await spend(store, 1, "old", 60)
    assert isinstance(await store.reserve(talk(2, "old", 44), NOW_S), Held)
    assert await store.reserve(talk(1, "new", 1), NOW_S) == Exceeded(0, 100, Level(60, 44), is_new=True)
    assert await store.reserve(talk(3, "old", 2), NOW_S) == Exceeded(0, 105, Level(60, 44), is_new=False)


async def test_where_the_limit_is_raised_conversations_since_then_count_as_active(store: Any) -> None:
    await spend(store, 1, "first", 100)
    raised = talk(1, "second", 40, limit=210, new_limit=200)
    await store.reserve(raised, NOW_S)
    await store.settle(raised, [40], NOW_S)
    push = talk(1, "third", 60, limit=210, new_limit=200)
    await store.reserve(push, NOW_S)
    await store.settle(push, [60], NOW_S)
    assert isinstance(await store.reserve(talk(2, "second", 10, limit=210, new_limit=200), NOW_S), Held)
    refused = await store.reserve(talk(2, "third", 1, limit=210, new_limit=200), NOW_S)
    assert refused == Exceeded(0, 200, Level(200, 10), is_new=True)


async def test_a_correction_below_the_limit_lets_conversations_be_active_again(store: Any) -> None:
    await spend(store, 1, "old", 100)
    assert await store.correct(MONTH, 90, NOW_S) == Level(100, 0)
    assert isinstance(await store.reserve(talk(2, "old", 15), NOW_S), Held)


async def test_a_presumed_end_reaches_the_limit_too(store: Any) -> None:
    await spend(store, 1, "old", 60)
    await store.reserve(talk(1, "dead", 40), NOW_S)
    await sweep(store, NOW_S + 120)
    await spend(store, 1, "late", 0, NOW_S + 121)
    assert isinstance(await store.reserve(talk(2, "old", 5), NOW_S + 121), Held)
    refused = await store.reserve(talk(2, "dead", 0), NOW_S + 121)
    assert refused == Exceeded(0, 100, Level(100, 5), is_new=True)


# Throttles.


def throttled_call(name: str, from_amount: int = 50, per_mille: int = 100) -> Any:
    throttle = Throttle(MONTH, from_amount, MINUTE, (HOUR, HOUR_BEFORE), per_mille)
    return reservation(name, demand(MONTH, 0), demand(MINUTE, 1), demand(HOUR, 1), throttles=(throttle,))


async def test_below_its_amount_a_throttle_does_nothing(store: Any) -> None:
    await store.correct(MONTH, 49, NOW_S)
    outcomes = [await store.reserve(throttled_call(f"r{n}"), NOW_S) for n in range(5)]
    assert all(isinstance(one, Held) for one in outcomes)


async def test_at_least_one_call_a_minute_is_let_through(store: Any) -> None:
    await store.correct(MONTH, 50, NOW_S)
    assert isinstance(await store.reserve(throttled_call("a"), NOW_S), Held)
    assert await store.reserve(throttled_call("b"), NOW_S + 20.5) == Throttled(0, 40)
    assert await store.reserve(throttled_call("b"), NOW_S + 59.9) == Throttled(0, 1)
    assert await level(store, HOUR) == (0, 1)


@pytest.mark.parametrize(
    ("this_hour", "hour_before", "after_s", "allowed"),
    [
        (50, 0, 0, 5),
        (59, 0, 0, 5),
        (0, 80, 0, 6),  # Three quarters of the hour before lie in the last hour.
        (10, 79, 0, 6),
        (10, 80, 900, 5),
        (0, 80, 2_700, 1),
        (0, 80, 7_000, 1),
    ],
)
async def test_a_share_of_the_last_hour_is_let_through(
    store: Any, this_hour: int, hour_before: int, after_s: int, allowed: int
) -> None:
    await store.correct(MONTH, 50, NOW_S)
    await store.correct(HOUR, this_hour, NOW_S)
    await store.correct(HOUR_BEFORE, hour_before, NOW_S)
    await store.correct(MINUTE, allowed - 1, NOW_S)
    throttle = Throttle(MONTH, 50, MINUTE, (HOUR, HOUR_BEFORE))
    first, second = (reservation(n, demand(MINUTE, 1), throttles=(throttle,)) for n in "ab")
    assert isinstance(await store.reserve(first, NOW_S + after_s), Held)
    assert isinstance(await store.reserve(second, NOW_S + after_s), Throttled)


async def test_a_limit_in_the_way_is_named_before_a_throttle(store: Any) -> None:
    await store.correct(MONTH, 50, NOW_S)
    await store.correct(MINUTE, 9, NOW_S)
    throttle = Throttle(MONTH, 50, MINUTE, (HOUR, HOUR_BEFORE))
    call = reservation("a", demand(MINUTE, 1), demand(MONTH, 1, 50), throttles=(throttle,))
    assert await store.reserve(call, NOW_S) == Exceeded(1, 50, Level(50, 0))


async def test_a_throttle_whose_minute_nobody_counts_is_the_callers_fault(store: Any) -> None:
    throttle = Throttle(MONTH, 0, MINUTE, (HOUR, HOUR_BEFORE))
    with pytest.raises(ValueError, match="minute"):
        await store.reserve(reservation("a", demand(HOUR, 1), throttles=(throttle,)), NOW_S)


# Reading and correcting.


async def test_counters_are_corrected_to_what_the_ledger_says(store: Any) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    assert await store.correct(MONTH, 2**53 + 1, NOW_S) == Level(0, 7)
    assert await store.correct(MONTH, 3, NOW_S) == Level(2**53 + 1, 7)
    assert await level(store) == (3, 7)
    assert await store.correct(OPEN, 3, NOW_S) == Level(0, 0)
    assert await level(store, OPEN) == (0, 0)


@pytest.mark.parametrize("big", [0, 2**53])
async def test_a_counter_that_is_not_as_expected_is_not_corrected(store: Any, big: int) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    assert await store.correct(MONTH, big + 5, NOW_S, expected=0) == Level(0, 7)
    assert await store.correct(MONTH, 3, NOW_S, expected=big + 4) == Level(big + 5, 7)
    assert await level(store) == (big + 5, 7)
    assert await store.correct(MONTH, 3, NOW_S, expected=big + 5) == Level(big + 5, 7)
    assert await level(store) == (3, 7)
    assert await store.correct(OPEN, 3, NOW_S, expected=0) == Level(0, 0)
    assert await level(store, OPEN) == (0, 0)


async def test_a_late_correction_never_leads_below_zero(store: Any) -> None:
    call = reservation("a", demand(MONTH, 7))
    await store.reserve(call, NOW_S)
    await sweep(store, NOW_S + 120)
    await store.correct(MONTH, 2, NOW_S)
    assert (await store.settle(call, [1], NOW_S + 121)).levels == (Level(0, 0),)


async def test_reading_nothing_reads_nothing(store: Any) -> None:
    assert list(await store.read([], NOW_S)) == []
