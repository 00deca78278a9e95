"""Letting a conversation go on in a gateway that runs."""

from contextlib import closing
from pathlib import Path

import pytest

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.scopes import Scope, ScopeKind
from bursar.errors import CallerMistake
from bursar.gateway.auth import Guard
from bursar.gateway.budgets import Raise
from bursar.settings import Settings
from bursar.view.loop_watch import Stop
from bursar.wiring.admin import AdminWatch, Counting
from bursar.wiring.caps import CapRaiser
from bursar.wiring.engine import build_engine
from bursar.wiring.loops import LoopKeeper
from scripted_world import ManualClock

SCOPE = Scope(ScopeKind.CONVERSATION, "acme", "c1")
STOP = Stop("acme", "c1", b"m", "it called find 4 times in a row", 5.0)
GO_ON = Raise(SCOPE, {}, force=False, by="k-1")


async def test_a_stop_of_just_now_is_forgiven_by_whoever_asks(tmp_path: Path) -> None:
    engine, clock, admin = build_engine(Settings()), ManualClock(), SqliteAdmin.open(tmp_path)
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        store = MemoryBudgets()
        counting = Counting(store, ledger, clock, is_shared=False)
        watch = AdminWatch(engine, admin, (), counting, clock, Guard())
        keeper = LoopKeeper(engine.loops, admin, clock, lambda _: None)
        let_go_on = CapRaiser(engine, store, ledger, watch, clock, keeper.save)
        engine.loops.stop(STOP)
        await let_go_on(GO_ON)
        assert engine.loops.stopped("acme", "c1") is None
        with pytest.raises(CallerMistake, match="not stopped for a loop"):
            await let_go_on(GO_ON)
    assert [change.by for change in admin.changes()] == ["k-1", "loop watch"]
