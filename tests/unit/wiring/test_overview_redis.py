"""Counters in Redis, looked at and mended from outside."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.cli.budget_screen import show_drifts
from bursar.domain.reservations import Counter, Demand, Level, Period, Reservation, Unit
from bursar.settings import Settings, parse
from bursar.wiring.overview import Overview
from ledger_entries import T0_S, entry
from redis_process import RedisProcess, redis_process

COST_NUSD = 450_000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    with redis_process() as server:
        yield server


@pytest.fixture
def settings(redis: RedisProcess, tmp_path: Path) -> Settings:
    redis.cli("FLUSHALL")
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(ledger.record(entry("a")))
    storage = {"dir": str(tmp_path), "redis": redis.url}
    budget = {"scope": "tenant:acme", "limit_usd": "1", "window": "total"}
    return parse({"storage": storage, "budgets": [budget]}, "test")


def test_a_drift_is_shown_and_then_mended(settings: Settings) -> None:
    overview = Overview(settings, T0_S + 1)
    (drift,) = overview.drifts(mends=False)
    assert (drift.counter.scope, drift.level.settled, drift.settled.amount) == ("tenant:acme", 0, COST_NUSD)
    assert [state.level.settled for state in overview.states()] == [0]
    assert len(overview.drifts(mends=True)) == 1
    assert overview.drifts(mends=False) == []
    assert [state.level.settled for state in overview.states()] == [COST_NUSD]


def test_a_counter_that_holds_something_is_shown_and_not_mended(
    settings: Settings, redis: RedisProcess
) -> None:
    overview = Overview(settings, T0_S + 1)
    counter = Counter("tenant:acme", Unit.NUSD, Period.TOTAL)
    call = Reservation("a", "acme/c1", (Demand(counter),), (COST_NUSD,))

    async def hold() -> None:
        store = RedisBudgets.open(redis.url, RedisOptions())
        try:
            await store.reserve(call, T0_S)
        finally:
            await store.close()

    asyncio.run(hold())
    (drift,) = overview.drifts(mends=True)
    assert drift.is_moving
    screen = Console(width=100, record=True, file=StringIO())
    show_drifts(screen, [drift], fixed=True)
    assert "Calls are under way on 1 of them" in screen.export_text()
    assert [state.level for state in overview.states()] == [Level(0, COST_NUSD)]
