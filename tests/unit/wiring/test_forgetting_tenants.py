"""What a gateway that runs forgets of a tenant that is being erased."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from budget_cases import DAY, MONTH, NOW_S, TOTAL, demand, reservation
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.alerts.recording import Recorder, Sources
from bursar.adapters.budget_journal import BudgetJournal, read_open
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.content.memory import MemoryContent
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.attribution import ERASED, Attribution
from bursar.domain.reservations import End, Level, Reservation
from bursar.errors import StoreFailed
from bursar.exchange.history_memo import HistoryMemo, Key
from bursar.ports import ContentKey, ContentKind
from bursar.settings.stored import Act
from bursar.settings.stored_tenants import Erasure, erasure_item
from bursar.view.loop_watch import Stop
from bursar.wiring.admin import AdminWatch, Counting
from bursar.wiring.forgetting import ForgetfulLedger, Forgetting, Memory
from ledger_entries import T0_S, entry
from scripted_world import ListLedger, ManualClock, make_engine

ACT = Act("cli", T0_S)


class Gateway:
    """All that a gateway remembers."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.engine = make_engine()
        self.ledger = ListLedger()
        self.budgets = MemoryBudgets()
        self.journal = BudgetJournal.open(directory)
        sources = Sources(lambda: self.engine.budgets, lambda _budgets, _at_s: {})
        self.memory = Memory(
            self.engine,
            MemoryContent(1 << 20),
            ForgetfulLedger(self.ledger),
            Recorder(sources, Outbox.open(directory), self.clock, ()),
            budgets=self.budgets,
            journal=self.journal,
        )
        self.forget = Forgetting(self.memory, self.clock)
        self.admin = SqliteAdmin.open(directory)

    async def hold(self, held: Reservation) -> None:
        await self.budgets.reserve(held, NOW_S)
        self.journal.opened(held, NOW_S)

    async def settle(self, held: Reservation, *amounts: int) -> None:
        await self.budgets.settle(held, amounts, NOW_S)
        self.journal.closed(held.reservation_id, End.SETTLED, amounts)

    async def levels(self) -> Sequence[Level]:
        return await self.budgets.read([MONTH, DAY, TOTAL], NOW_S)

    def watch(self, ledger: SqliteLedger) -> AdminWatch:
        counting = Counting(self.budgets, ledger, self.clock, is_shared=False)
        return AdminWatch(self.engine, self.admin, (), counting, self.clock, forget=self.forget)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    with closing(made.journal):
        yield made


async def test_counters_of_the_tenant_begin_anew_and_all_others_go_on(gateway: Gateway) -> None:
    ended, open_ = (
        reservation(name, *(demand(counter, 50) for counter in (MONTH, DAY, TOTAL))) for name in ("a", "b")
    )
    await gateway.hold(ended)
    await gateway.settle(ended, 9, 9, 9)
    await gateway.hold(open_)
    await gateway.forget("acme", frozenset())
    assert await gateway.levels() == [Level(9, 50), Level(0, 50), Level(0, 50)]
    await gateway.settle(open_, 7, 7, 7)
    assert await gateway.levels() == [Level(16, 0), Level(7, 0), Level(7, 0)]
    await gateway.forget("acme", frozenset())
    assert await gateway.levels() == [Level(16, 0), Level(0, 0), Level(0, 0)]


async def test_the_journal_names_only_calls_that_are_open(gateway: Gateway, tmp_path: Path) -> None:
    for name in ("ended-call", "open-call"):
        await gateway.hold(reservation(name, demand(DAY, 50)))
    await gateway.settle(reservation("ended-call", demand(DAY, 50)), 5)
    await gateway.forget("acme", frozenset())
    written = gateway.journal.path.read_bytes()
    assert b"ended-call" not in written
    assert b"open-call" in written
    assert [held.reservation_id for held in read_open(tmp_path)] == ["open-call"]


async def test_a_call_that_ends_after_the_erasure_is_nobodys_and_a_later_one_is_not(gateway: Gateway) -> None:
    gateway.clock.time_s = T0_S + 10
    await gateway.forget("acme", frozenset())
    before, after = entry("before", at_s=T0_S + 9), entry("after", at_s=T0_S + 10)
    other = entry("other", at_s=T0_S + 9, attribution=Attribution("rival"))
    for each in (before, after, other):
        await gateway.memory.ledger.record(each)
    first, *rest = gateway.ledger.entries
    assert first.attribution == Attribution(ERASED, ERASED)
    assert first.operation_id != "before"
    assert first.cost_nusd == before.cost_nusd
    assert rest == [after, other]


async def test_words_of_the_tenant_are_forgotten(gateway: Gateway) -> None:
    engine, content = gateway.engine, gateway.memory.content
    for tenant in ("acme", "rival"):
        engine.loops.stop(Stop(tenant, "c1", b"m", "it called a tool again", T0_S))
        key = ContentKey(tenant, ContentKind.MEMO, b"d")
        await content.put(key, b"what was said", 60.0, gateway.clock.now())
    await gateway.forget("acme", frozenset())
    assert engine.loops.stopped("acme", "c1") is None
    assert engine.loops.stopped("rival", "c1") is not None
    assert [stop.tenant for stop in engine.loops.unsaved] == ["rival"]
    kept = [
        await content.get(ContentKey(tenant, ContentKind.MEMO, b"d"), gateway.clock.now())
        for tenant in ("acme", "rival")
    ]
    assert kept == [None, b"what was said"]


def test_steps_of_histories_are_forgotten_with_their_tenant() -> None:
    memo = HistoryMemo()
    for tenant in ("acme", "rival"):
        memo.remember(Key(tenant, b"start"), ())
        memo.failed(Key(tenant, b"start"), 5.0)
    memo.forget("acme")
    assert [memo.knows(Key(tenant, b"start")) for tenant in ("acme", "rival")] == [False, True]
    assert [memo.failed_at_s(Key(tenant, b"start")) for tenant in ("acme", "rival")] == [None, 5.0]


async def test_the_watch_lets_forget_once_and_again_when_a_tenant_is_erased_again(
    gateway: Gateway, tmp_path: Path
) -> None:
    forgotten: list[tuple[str, frozenset[str]]] = []

    async def forget(tenant: str, key_ids: frozenset[str]) -> None:
        forgotten.append((tenant, key_ids))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        watch = gateway.watch(ledger)
        watch.forget = forget
        await watch.start()
        for number in range(2):
            gateway.admin.put(erasure_item("hash", Erasure("acme"), ACT))
            await watch.look()
            gateway.admin.put(erasure_item("other", Erasure(erased_at_s=float(number)), ACT))
            await watch.look()
            assert len(forgotten) == number + 1
            gateway.admin.put(erasure_item("hash", Erasure(erased_at_s=T0_S), ACT))
            await watch.look()
    assert forgotten == [("acme", frozenset())] * 2


async def test_what_fails_to_be_forgotten_is_tried_again(gateway: Gateway, tmp_path: Path) -> None:
    failures = [StoreFailed("the disk is full")]

    async def forget(_tenant: str, _key_ids: frozenset[str]) -> None:
        if failures:
            raise failures.pop()

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        watch = gateway.watch(ledger)
        watch.forget = forget
        await watch.start()
        gateway.admin.put(erasure_item("hash", Erasure("acme"), ACT))
        with pytest.raises(StoreFailed, match="full"):
            await watch.look()
        await watch.look()
        assert failures == []


async def test_a_start_amid_an_erasure_forgets_what_it_read(gateway: Gateway, tmp_path: Path) -> None:
    gateway.admin.put(erasure_item("hash", Erasure("acme"), ACT))
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        watch = gateway.watch(ledger)
        await watch.start()
        assert gateway.memory.ledger.erased_at_s == {}
        await watch.look()
    assert list(gateway.memory.ledger.erased_at_s) == ["acme"]
