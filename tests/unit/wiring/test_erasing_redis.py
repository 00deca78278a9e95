"""Erasing a tenant whose counters are in Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_cases import NOW_S, demand, reservation
from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.attribution import Attribution
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.errors import CallerMistake, StoreFailed
from bursar.settings import Settings, parse
from bursar.settings.stored import Act
from bursar.settings.stored_tenants import Belongings
from bursar.wiring.erasing import Eraser
from bursar.wiring.overview import Overview
from ledger_entries import T0_S, entry
from redis_process import RedisProcess, redis_process

# Redis names long or foreign names by digests.
USER = "ü" * 60
SCOPES = (
    "organisation",
    "tenant:acme",
    "agent:acme/desk",
    f"user:acme/{USER}",
    "conversation:acme/c1",
    "key:k-1",
    "tenant:acme2",
    "agent:rival/acme",
    "conversation:rival/c1",
    "key:k-2",
)
ACME = Belongings("acme", frozenset({"k-1"}))


@pytest.fixture(scope="module", params=[False, True], ids=["single", "cluster"])
def redis(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    with redis_process(is_cluster=request.param) as server:
        yield server


def with_store(
    redis: RedisProcess, act: Callable[[RedisBudgets], Awaitable[None]], name: str = "a[b*]"
) -> None:
    is_cluster = redis.cli("INFO", "cluster").endswith(":1")

    async def run() -> None:
        store = RedisBudgets.open(redis.url, RedisOptions(organisation=name, is_cluster=is_cluster))
        try:
            await act(store)
        finally:
            await store.close()

    redis.cli("FLUSHALL")
    asyncio.run(run())


def counters() -> list[Counter]:
    return [Counter(scope, Unit.NUSD, Period.TOTAL) for scope in SCOPES]


def test_a_tenants_counters_are_forgotten_and_no_others(redis: RedisProcess) -> None:
    async def forget(store: RedisBudgets) -> None:
        for number in range(2):
            talk = f"conversation:{('acme', 'rival')[number]}/c1"
            held = reservation(f"op-{number}", *(demand(one, 9) for one in counters()), conversation=talk)
            await store.reserve(held, NOW_S)
            await store.settle(held, [5] * len(SCOPES), NOW_S)
        known = {scope for scope in SCOPES if ACME.holds(scope)}
        assert len(known) == 5
        # Five counters, and one conversation.
        assert await store.forget(ACME.holds, known, is_dry_run=True) == (6, 0)
        assert [level.settled for level in await store.read(counters(), NOW_S)] == [10] * len(SCOPES)
        assert await store.forget(ACME.holds, known) == (6, 0)
        left = {
            scope: level.settled
            for scope, level in zip(SCOPES, await store.read(counters(), NOW_S), strict=True)
        }
        assert left == {scope: 0 if scope in known else 10 for scope in SCOPES}
        assert await store.forget(ACME.holds, known) == (0, 0)

    with_store(redis, forget)
    assert "acme/" not in redis.cli("KEYS", "*")


def test_what_is_held_stays_held(redis: RedisProcess) -> None:
    async def forget(store: RedisBudgets) -> None:
        counter = Counter("tenant:acme", Unit.NUSD, Period.TOTAL)
        for name in ("ended", "open"):
            await store.reserve(reservation(name, demand(counter, 9)), NOW_S)
        await store.settle(reservation("ended", demand(counter, 9)), [5], NOW_S)
        assert await store.forget(ACME.holds, ()) == (1, 1)
        assert list(await store.read([counter], NOW_S)) == [Level(0, 9)]

    with_store(redis, forget)


@pytest.fixture
def settings(redis: RedisProcess, tmp_path: Path) -> Settings:
    redis.cli("FLUSHALL")
    calls = [
        entry(f"op-{number}", attribution=Attribution(tenant, "desk", "", "c1", USER))
        for number, tenant in enumerate(("acme", "rival", "acme"))
    ]

    async def record(ledger: SqliteLedger) -> None:
        for call in calls:
            await ledger.record(call)

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(record(ledger))
    scopes = ("organisation", "tenant:acme", "tenant:*", "agent:*", "user:*", "conversation:*")
    storage: dict[str, Any] = {"dir": str(tmp_path), "redis": redis.url}
    storage["redis_cluster"] = redis.cli("INFO", "cluster").endswith(":1")
    budgets = [{"scope": scope, "limit_usd": "1", "window": "total"} for scope in scopes]
    return parse({"storage": storage, "budgets": budgets}, "test")


def eraser(settings: Settings, tenant: str = "acme") -> Eraser:
    return Eraser(settings, tenant, Act("cli", T0_S), taken_up_s=0.0)


def test_counters_and_ledger_say_the_same_afterwards(settings: Settings) -> None:
    def states() -> dict[str, int]:
        return {state.counter.scope: state.level.settled for state in Overview(settings, T0_S).states()}

    assert Overview(settings, T0_S).drifts(mends=True)
    before = states()
    assert before["organisation"] == 3 * 450_000
    erased = eraser(settings).erase()
    assert (erased.counts["ledger"], erased.counts["counters"]) == (2, 4)
    assert erased.left == ("[[budgets]] no. 2, scope tenant:acme",)
    assert Overview(settings, T0_S).drifts(mends=False) == []
    # That of the file is still there, with nothing spent of it.
    assert states() == {scope: settled for scope, settled in before.items() if "acme" not in scope} | {
        "tenant:acme": 0
    }


def test_nothing_is_erased_while_calls_hold_something(settings: Settings, redis: RedisProcess) -> None:
    async def hold() -> None:
        options = RedisOptions(is_cluster=settings.storage.redis_cluster)
        store = RedisBudgets.open(redis.url, options)
        try:
            counter = Counter("agent:acme/desk", Unit.NUSD, Period.TOTAL)
            await store.reserve(reservation("open", demand(counter, 9)), NOW_S)
        finally:
            await store.close()

    asyncio.run(hold())
    with pytest.raises(CallerMistake, match="under way; stop it"):
        eraser(settings).erase()
    assert eraser(settings).find().counts["ledger"] == 2


def test_redis_that_is_down_is_told_before_anything_is_erased(settings: Settings) -> None:
    down = settings.storage.model_copy(update={"redis": "redis://127.0.0.1:1/0", "redis_cluster": False})
    one = eraser(settings.model_copy(update={"storage": down}))
    with pytest.raises(StoreFailed, match="the budget store cannot be reached"):
        one.erase()
    assert eraser(settings).find().counts["ledger"] == 2
