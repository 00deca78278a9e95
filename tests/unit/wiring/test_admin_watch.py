"""What operators set, taken up by a gateway that runs."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from budget_scene import table
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.admin import AdminState, ItemKind
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Demand, Level, Reservation
from bursar.domain.scopes import read_pattern, read_scope
from bursar.errors import StoreFailed
from bursar.policy.budgets.book import BudgetBook
from bursar.settings.stored import Act, budget_item, stop_item
from bursar.wiring.admin import AdminWatch, Counting, counts_alike
from ledger_entries import T0_S, entry
from scripted_world import ManualClock, make_engine

ACT = Act("test", T0_S)
COST_NUSD = 450_000


def budget(scope: str, limit_usd: str = "1", window: str = "day", **more: Any) -> Budget:
    (made,) = table(scope, window, limit_usd=limit_usd, **more).budgets()
    return made


class Desk:
    """A watch, and all that it looks at."""

    def __init__(
        self, directory: Path, *own: Budget, is_shared: bool = False, store: MemoryBudgets | None = None
    ) -> None:
        self.clock = ManualClock()
        self.clock.time_s = T0_S + 0.5
        self.engine = make_engine()
        self.ledger = SqliteLedger.open(directory)
        self.admin = SqliteAdmin.open(directory)
        self.store = store or MemoryBudgets()
        counting = Counting(self.store, self.ledger, self.clock, is_shared=is_shared)
        self.watch = AdminWatch(self.engine, self.admin, own, counting, self.clock)

    def counter(self, limited: Budget, scope: str) -> Counter:
        return BudgetBook((limited,)).counter(limited, read_scope(scope), T0_S)

    async def settled(self, limited: Budget, scope: str = "tenant:acme") -> int:
        (level,) = await self.store.read([self.counter(limited, scope)], self.clock.now())
        return level.settled


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with closing(made.ledger):
        yield made


async def test_a_new_limit_begins_with_what_the_ledger_has(desk: Desk) -> None:
    await desk.watch.start()
    await desk.ledger.record(entry("a"))
    limited = budget("tenant:acme")
    desk.admin.put(budget_item(limited, ACT))
    await desk.watch.look()
    assert desk.engine.budgets.budgets == (limited,)
    assert await desk.settled(limited) == COST_NUSD


async def test_a_call_goes_by_the_budgets_of_its_arrival(desk: Desk) -> None:
    await desk.watch.start()
    desk.admin.put(budget_item(budget("tenant:acme"), ACT))
    await desk.watch.look()
    from_s = T0_S + 1
    assert desk.engine.budgets_at(from_s - 0.1).budgets == ()
    assert desk.engine.budgets_at(from_s).budgets == desk.engine.budgets.budgets


async def test_what_earlier_calls_take_is_added_once_they_have_ended(desk: Desk) -> None:
    await desk.watch.start()
    await desk.ledger.record(entry("a"))
    limited = budget("tenant:acme")
    desk.admin.put(budget_item(limited, ACT))
    await desk.watch.look()
    await desk.ledger.record(entry("late"))
    # This one arrived later, so that its own hold counts it.
    await desk.ledger.record(entry("new", at_s=T0_S + 5))
    desk.clock.time_s = T0_S + 10
    for _ in range(3):
        await desk.watch.counting.add_late()
    assert await desk.settled(limited) == 2 * COST_NUSD


@pytest.mark.parametrize("window", ["day", "total"])
async def test_a_limit_that_is_removed_and_set_again_counts_every_call_once(desk: Desk, window: str) -> None:
    limited = budget("tenant:acme", window=window)
    item = budget_item(limited, ACT)
    desk.admin.put(item)
    await desk.watch.start()
    counter = desk.counter(limited, "tenant:acme")
    held = Reservation("old", "acme/c1", (Demand(counter),), (COST_NUSD,))
    await desk.store.reserve(held, desk.clock.now())
    desk.admin.remove(item.kind, item.name, "test", T0_S)
    await desk.watch.look()
    desk.clock.time_s = T0_S + 10
    # Of two calls that no limit counts, one ends before it is set again.
    await desk.ledger.record(entry("between", at_s=T0_S + 5))
    desk.admin.put(item)
    await desk.watch.look()
    assert await desk.settled(limited) == COST_NUSD
    await desk.ledger.record(entry("between and late", at_s=T0_S + 6))
    await desk.ledger.record(entry("old"))
    await desk.store.settle(held, [COST_NUSD], desk.clock.now())
    desk.clock.time_s = T0_S + 20
    for _ in range(3):
        await desk.watch.counting.add_late()
    assert await desk.settled(limited) == 3 * COST_NUSD


async def test_a_limit_that_is_set_again_long_after_begins_with_what_the_ledger_has(desk: Desk) -> None:
    limited = budget("tenant:acme", window="month")
    item = budget_item(limited, ACT)
    desk.admin.put(item)
    await desk.watch.start()
    desk.admin.remove(item.kind, item.name, "test", T0_S)
    await desk.watch.look()
    await desk.ledger.record(entry("a"))
    await desk.ledger.record(entry("b", at_s=T0_S + 5))
    desk.clock.time_s = T0_S + 4 * 3_600
    desk.admin.put(item)
    await desk.watch.look()
    assert await desk.settled(limited) == 2 * COST_NUSD


async def test_a_counter_that_was_counted_already_is_left_alone(desk: Desk) -> None:
    desk.admin.put(budget_item(budget("tenant:*"), ACT))
    await desk.watch.start()
    await desk.ledger.record(entry("a"))
    lower = budget("tenant:acme", "0.5")
    desk.admin.put(budget_item(lower, ACT))
    await desk.watch.look()
    # Its call is about to be settled by whoever held it.
    assert await desk.settled(lower) == 0
    # And since it is counted where it was, the new limit need not wait.
    assert lower in desk.engine.budgets_at(T0_S).budgets


async def test_what_others_have_counted_in_a_shared_store_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, is_shared=True)
    with closing(desk.ledger):
        await desk.watch.start()
        await desk.ledger.record(entry("a"))
        limited = budget("tenant:acme")
        await desk.store.correct(desk.counter(limited, "tenant:acme"), 2 * COST_NUSD, T0_S)
        desk.admin.put(budget_item(limited, ACT))
        await desk.watch.look()
        assert await desk.settled(limited) == 2 * COST_NUSD


class BusyBudgets(MemoryBudgets):
    """Another process counts something right after counters were first read."""

    others: tuple[Counter, int] | None = None

    async def read(self, counters: Sequence[Counter], now_s: float) -> Sequence[Level]:
        levels = await super().read(counters, now_s)
        if self.others is not None and self.others[0] in counters:
            counter, amount = self.others
            self.others = None
            await self.correct(counter, amount, now_s)
        return levels


@pytest.mark.parametrize(("others_count", "stands_at"), [(3, 3), (0, 1)])
async def test_what_others_count_while_a_limit_is_taken_up_stays(
    tmp_path: Path, others_count: int, stands_at: int
) -> None:
    store = BusyBudgets()
    desk = Desk(tmp_path, is_shared=True, store=store)
    with closing(desk.ledger):
        await desk.watch.start()
        await desk.ledger.record(entry("a"))
        limited = budget("tenant:acme")
        # Of all counters that are brought up, in whatever order, this one changes between its being read
        # and being set.
        store.others = (desk.counter(limited, "tenant:acme"), others_count * COST_NUSD)
        desk.admin.put(budget_item(limited, ACT))
        await desk.watch.look()
        assert store.others is None
        assert await desk.settled(limited) == stands_at * COST_NUSD


async def test_stops_count_at_once(desk: Desk) -> None:
    await desk.watch.start()
    desk.admin.put(stop_item(read_pattern("tenant:acme"), "loop", ACT))
    await desk.watch.look()
    assert desk.engine.stops == {read_pattern("tenant:acme")}


async def test_what_the_file_says_goes_before_what_is_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = budget("tenant:acme", "2")
    desk = Desk(tmp_path, own)
    with closing(desk.ledger):
        desk.admin.put(budget_item(budget("tenant:acme", "99"), ACT))
        await desk.watch.start()
        assert desk.engine.budgets.budgets == (own,)
        assert "does not count" in caplog.text


class FailingAdmin(SqliteAdmin):
    """A store that cannot be read for a while."""

    is_down = False

    def version(self) -> int:
        if self.is_down:
            raise StoreFailed("the disk is gone")
        return super().version()


async def test_while_the_store_fails_what_is_known_goes_on_and_is_logged_once(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin = FailingAdmin(tmp_path / "admin.db")
    desk.watch.store = admin
    admin.put(budget_item(budget("tenant:acme"), ACT))
    await desk.watch.start()
    admin.is_down = True
    monkeypatch.setattr("bursar.wiring.admin._LOOK_EVERY_S", 0.001)
    with caplog.at_level(logging.WARNING):
        looking = asyncio.create_task(desk.watch.keep_looking())
        await asyncio.sleep(0.05)
        admin.is_down = False
        kind, name = _named(admin.read())
        admin.remove(kind, name, "test", T0_S)
        await until_gone(desk)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    assert caplog.text.count("the disk is gone") == 1


def _named(state: AdminState) -> tuple[ItemKind, str]:
    (item,) = [item for items in state.items.values() for item in items.values()]
    return item.kind, item.name


async def until_gone(desk: Desk) -> None:
    for _ in range(1_000):
        if not desk.engine.budgets.budgets:
            return
        await asyncio.sleep(0.005)
    raise AssertionError


async def test_a_ledger_that_fails_lets_no_new_limit_hold_to_wrong_counters(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.watch.start()
    desk.admin.put(budget_item(budget("tenant:acme"), ACT))

    def fail(*_: object) -> None:
        raise StoreFailed("no ledger")

    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger, "settled", fail)
        with pytest.raises(StoreFailed):
            await desk.watch.look()
    assert desk.engine.budgets.budgets == ()
    await desk.watch.look()
    assert len(desk.engine.budgets.budgets) == 1


def monthly(scope: str, limit_usd: str = "1", **more: Any) -> Budget:
    return budget(scope, limit_usd, "month", **more)


@pytest.mark.parametrize(
    ("before", "after", "alike"),
    [
        ((monthly("tenant:acme"),), (monthly("tenant:acme", "2"),), True),
        ((monthly("tenant:*"),), (monthly("tenant:*"), monthly("tenant:acme", "2")), True),
        ((monthly("tenant:*"), monthly("tenant:acme", "2")), (monthly("tenant:*"),), True),
        ((), (monthly("tenant:acme"),), False),
        ((monthly("tenant:a"),), (monthly("tenant:a"), monthly("tenant:b")), False),
        ((monthly("tenant:a"),), (monthly("tenant:*"),), False),
        ((monthly("tenant:a"),), (monthly("tenant:a", timezone="Asia/Tokyo"),), False),
        # What every tenant's calls are counted in anyway.
        ((budget("tenant:a"),), (budget("tenant:a"), budget("tenant:b")), True),
        (
            (monthly("tenant:*"), monthly("tenant:a", timezone="Asia/Tokyo")),
            (monthly("tenant:*"),),
            False,
        ),
    ],
)
def test_only_limits_may_change_at_once(
    before: tuple[Budget, ...], after: tuple[Budget, ...], *, alike: bool
) -> None:
    assert counts_alike(BudgetBook(before), BudgetBook(after), T0_S) is alike


async def test_what_others_took_is_not_counted_against_a_tenant(desk: Desk) -> None:
    await desk.watch.start()
    other = replace(entry().attribution, tenant="other")
    await desk.ledger.record(entry("a", attribution=other))
    limited = budget("tenant:acme")
    desk.admin.put(budget_item(limited, ACT))
    await desk.watch.look()
    assert await desk.settled(limited) == 0
