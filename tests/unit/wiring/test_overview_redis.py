"""Counters in Redis, looked at and mended from outside."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bursar.adapters.ledger.sqlite import SqliteLedger
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
    (drift,) = overview.drifts(mend=False)
    assert (drift.counter.scope, drift.level.settled, drift.settled.amount) == ("tenant:acme", 0, COST_NUSD)
    assert [state.level.settled for state in overview.states()] == [0]
    assert len(overview.drifts(mend=True)) == 1
    assert overview.drifts(mend=False) == []
    assert [state.level.settled for state in overview.states()] == [COST_NUSD]
