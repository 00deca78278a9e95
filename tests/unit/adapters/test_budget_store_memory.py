import pytest

from budget_cases import DAY, MINUTE, MONTH, NOW_S, TOTAL, demand, reservation, sweep
from bursar.adapters.budgets.counters import Cell, Counters
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.budgets.recent import Recent
from bursar.domain.reservations import Counter, End, Ended, Held, Level, Period, Unit

DAY_S = 86_400


def conversation(number: int) -> Counter:
    return Counter(f"conversation:acme/{number}", Unit.NUSD, Period.TOTAL)


def hour(number: int) -> Counter:
    return Counter("tenant:acme", Unit.NUSD, Period.HOUR, number * 3_600, (number + 1) * 3_600)


async def test_what_is_held_already_is_not_held_twice() -> None:
    store = MemoryBudgets()
    call = reservation("a", demand(MONTH, 7, 9), demand(TOTAL, 1))
    for each in (call, reservation("b", demand(MONTH, 2, 9)), call):
        await store.reserve(each, NOW_S)
    assert await store.read([MONTH, TOTAL], NOW_S) == [Level(0, 9), Level(0, 1)]
    assert await store.settle(call, [3, 0], NOW_S + 5) == Ended(End.SETTLED, True, (Level(3, 2), Level(0, 0)))
    assert [one.reservation_id for one in await sweep(store, NOW_S + 120)] == ["b"]


async def test_what_has_ended_is_not_held_again() -> None:
    store = MemoryBudgets()
    call = reservation("a", demand(MONTH, 7))
    await store.settle(call, [3], NOW_S)
    await store.reserve(call, NOW_S)
    assert await store.read([MONTH], NOW_S) == [Level(3, 0)]


async def test_a_refused_call_leaves_nothing_behind() -> None:
    store = MemoryBudgets()
    for number in range(100):
        await store.reserve(reservation(f"r{number}", demand(conversation(number), 7, 5)), NOW_S)
    assert len(store._counters) == 0
    assert not store._leases


def test_a_counter_is_kept_for_its_time_after_its_window() -> None:
    counters = Counters()
    for number in range(10):
        counters.add(hour(number), Cell(), number * 3_600.0)
    for number in range(10, 20):
        counters.add(conversation(number), Cell(used_s=10 * 3_600 + 2 * DAY_S), 10 * 3_600 + 2 * DAY_S - 0.1)
    # Ten looked at two others each, and the hour that ended last is just within its time.
    assert len(counters) == 11
    assert counters.get(hour(9)) is not None


def test_a_counter_of_the_whole_time_is_kept_after_its_last_use() -> None:
    counters = Counters()
    counters.add(conversation(1), Cell(used_s=5.0), 5.0)
    used = Cell(used_s=5.0)
    counters.add(conversation(2), used, 5.0)
    used.used_s = 10.0
    counters.add(conversation(3), Cell(), 5.0 + 90 * DAY_S)
    assert counters.get(conversation(1)) is None
    assert counters.get(conversation(2)) is used


@pytest.mark.parametrize("scope", ["organisation", "tenant:acme", "agent:acme/user:", "key:k1"])
def test_what_was_spent_of_a_limit_in_total_is_never_forgotten(scope: str) -> None:
    counters, spent = Counters(), Cell(settled=7, used_s=NOW_S)
    counter = Counter(scope, Unit.NUSD, Period.TOTAL)
    counters.add(counter, spent, NOW_S)
    for number in range(10):
        counters.add(conversation(number), Cell(), NOW_S + 1_000.0 * DAY_S)
    assert counters.get(counter) is spent


def test_a_counter_that_holds_something_never_leaves() -> None:
    counters = Counters()
    counters.add(MINUTE, Cell(held=1), NOW_S)
    for number in range(10):
        counters.add(conversation(number), Cell(), NOW_S + 1_000.0 * DAY_S)
    assert counters.get(MINUTE) is not None


async def test_counters_are_bounded_by_what_must_be_kept() -> None:
    store = MemoryBudgets()
    for number in range(2_000):
        minute = Counter("a", Unit.REQUESTS, Period.MINUTE, number * 60, (number + 1) * 60)
        call = reservation(f"r{number}", demand(minute, 1), demand(DAY, 1))
        assert isinstance(await store.reserve(call, number * 60), Held)
        await store.settle(call, [1, 1], number * 60)
    assert len(store._counters) < 20
    assert await store.read([DAY], NOW_S) == [Level(2_000, 0)]


def test_what_is_recent_is_kept_for_its_span_and_not_for_ever() -> None:
    recent: Recent[str, int] = Recent(10.0, 1_000)
    recent.put("a", 1, 0.0)
    recent.put("b", 2, 9.9)
    recent.put("c", 3, 19.8)
    assert [recent.get(key) for key in "abc"] == [1, 2, 3]
    recent.put("b", 4, 19.9)
    recent.put("d", 5, 30.0)
    assert [recent.get(key) for key in "abcd"] == [None, 4, 3, 5]
    recent.remove("b")
    assert recent.get("b") is None


def test_what_is_recent_is_bounded() -> None:
    recent: Recent[int, int] = Recent(1e9, 100)
    for number in range(10_000):
        recent.put(number, number, 0.0)
        assert len(recent) <= 100
    assert recent.get(9_950) == 9_950
