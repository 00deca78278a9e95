"""Keys that operators make, taken up by a gateway that runs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_scene import table
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.admin import AdminItem, ItemKind
from bursar.domain.keys import VirtualKey
from bursar.errors import StoreFailed
from bursar.policy.keys.ring import Denial, Grant, key_item
from bursar.settings.stored import Act, budget_item
from bursar.wiring.admin import AdminWatch, Counting
from key_cases import made
from ledger_entries import T0_S
from scripted_world import ManualClock, make_engine


class Desk:
    """A watch, and a store that operators write to."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.clock.time_s = T0_S + 0.5
        self.ledger = SqliteLedger.open(directory)
        self.admin = SqliteAdmin.open(directory)
        store = MemoryBudgets()
        counting = Counting(store, self.ledger, self.clock, is_shared=False)
        self.watch = AdminWatch(make_engine(), self.admin, (), counting, self.clock)

    def put(self, key: VirtualKey) -> None:
        self.admin.put(key_item(key, "ann", T0_S))

    def found(self, secret: str) -> Grant | Denial:
        return self.watch.guard.ring.find(secret, self.clock.now())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    with closing(desk.ledger):
        yield desk


async def test_keys_that_were_made_before_count_from_the_start(desk: Desk) -> None:
    desk.put(made("s"))
    await desk.watch.start()
    assert isinstance(desk.found("s"), Grant)


async def test_a_key_is_taken_up_and_its_end_too(desk: Desk) -> None:
    await desk.watch.start()
    assert desk.found("s") is Denial.UNKNOWN
    desk.put(made("s"))
    await desk.watch.look()
    assert isinstance(desk.found("s"), Grant)
    desk.put(made("s").revoked(T0_S))
    await desk.watch.look()
    assert desk.found("s") is Denial.REVOKED


async def test_a_key_does_not_count_before_its_limit_does(desk: Desk) -> None:
    await desk.watch.start()
    (limit,) = table("key:k-1", "day", limit_usd="1").budgets()
    desk.admin.put(budget_item(limit, Act("ann", T0_S)))
    desk.put(made("s"))
    await desk.watch.look()
    assert desk.found("s") is Denial.UNKNOWN
    desk.clock.time_s = T0_S + 1
    assert isinstance(desk.found("s"), Grant)


async def test_while_limits_cannot_be_counted_keys_end_and_none_begins(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put(made("s"))
    await desk.watch.start()

    async def fail(*_: Any) -> int:
        raise StoreFailed("the store is down")

    monkeypatch.setattr(desk.watch.counting, "begin", fail)
    (limit,) = table("key:k-2", "day", limit_usd="1").budgets()
    desk.admin.put(budget_item(limit, Act("ann", T0_S)))
    desk.put(made("s").revoked(T0_S))
    desk.put(made("t", "k-2"))
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await desk.watch.look()
        assert desk.found("s") is Denial.REVOKED
        assert desk.found("t") is Denial.UNKNOWN


async def test_a_key_that_cannot_be_read_keeps_a_gateway_from_starting_and_changes_nothing_later(
    desk: Desk,
) -> None:
    desk.put(made("s"))
    await desk.watch.start()
    desk.admin.put(AdminItem(ItemKind.KEY, "k-2", "{}", T0_S, "ann"))
    with pytest.raises(StoreFailed, match="key 'k-2' cannot be read"):
        await desk.watch.look()
    assert isinstance(desk.found("s"), Grant)
    with pytest.raises(StoreFailed, match="key 'k-2' cannot be read"):
        await desk.watch.start()
