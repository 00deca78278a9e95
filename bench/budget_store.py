"""Print what holding and settling cost: CPU time in memory, round trips and steps a second in Redis.

Run: `.venv/bin/python -m bench.budget_store`. A call asks five counters: organisation, tenant and agent in
dollars, its conversation in dollars, and the tenant's requests of a minute. Redis is a process of its own, on
another core where there is one. Exits with 1 where a bound is missed.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from bench.servers import running_redis
from bursar.adapters.budgets.connection import RedisClient, RedisOptions, open_client
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.domain.reservations import Counter, Demand, Held, Period, Reservation, Unit
from bursar.ports import BudgetStore

NOW_S = 1_764_000_000
MEMORY_CALLS = 100_000
REDIS_CALLS = 4_000
MEMORY_CPU_US_MAX = 30
TAKEN = (3, 3, 3, 3, 1)


def reservation(number: int, *, has_ladder: bool) -> Reservation:
    """Return a typical call: one of 20 tenants, 2,000 conversations."""
    tenant, conversation = f"acme-{number % 20}", f"acme-{number % 20}/{number % 2_000}"
    counters = (
        Counter("organisation", Unit.NUSD, Period.MONTH, NOW_S, NOW_S + 30 * 86_400),
        Counter(f"tenant:{tenant}", Unit.NUSD, Period.MONTH, NOW_S, NOW_S + 30 * 86_400),
        Counter(f"agent:{tenant}/support", Unit.NUSD, Period.DAY, NOW_S, NOW_S + 86_400),
        Counter(f"conversation:{conversation}", Unit.NUSD, Period.TOTAL),
        Counter(f"tenant:{tenant}", Unit.REQUESTS, Period.MINUTE, NOW_S, NOW_S + 60),
    )
    new_limit = 10**17 if has_ladder else None
    demands = tuple(Demand(one, 10**18, new_limit) for one in counters)
    return Reservation(f"{number:032x}", conversation, demands, (5, 5, 5, 5, 1))


async def hold_and_settle(store: BudgetStore, calls: Sequence[Reservation], concurrency: int) -> None:
    """Hold and settle calls, so many at a time."""
    waiting = iter(calls)

    async def caller() -> None:
        for call in waiting:
            outcome = await store.reserve(call, NOW_S)
            if not isinstance(outcome, Held):
                raise TypeError(outcome)
            await store.settle(call, TAKEN, NOW_S)

    await asyncio.gather(*(caller() for _ in range(concurrency)))


class CountingClient:
    """A client that counts commands; each is a round trip."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self.commands = 0

    async def execute_command(self, *args: Any) -> Any:
        self.commands += 1
        return await self._client.execute_command(*args)

    async def aclose(self) -> None:
        await self._client.aclose()


def measure_memory(*, has_ladder: bool) -> bool:
    """Print, and return whether the bound is kept."""
    calls = [reservation(number, has_ladder=has_ladder) for number in range(MEMORY_CALLS)]
    store = MemoryBudgets()
    start_s = time.process_time()
    uvloop.run(hold_and_settle(store, calls, 1))
    cpu_us = (time.process_time() - start_s) / MEMORY_CALLS * 1e6
    what = "with limits for new conversations" if has_ladder else "hard limits"
    print(f"memory, {what}: {cpu_us:.1f} µs CPU for reserve + settle (at most {MEMORY_CPU_US_MAX})")
    return cpu_us <= MEMORY_CPU_US_MAX


async def measure_redis(port: int, concurrency: int) -> bool:
    """Print, and return whether each step was one round trip."""
    options = RedisOptions()
    client = CountingClient(open_client(f"redis://127.0.0.1:{port}/0", options))
    store = RedisBudgets(client, options)
    first = concurrency * REDIS_CALLS
    # Connections and steps are there before it is measured.
    warm_up = [reservation(10**9 + first + n, has_ladder=True) for n in range(2 * concurrency)]
    await hold_and_settle(store, warm_up, concurrency)
    calls = [reservation(first + n, has_ladder=True) for n in range(REDIS_CALLS)]
    steps = 2 * REDIS_CALLS
    commands = client.commands
    inside_s = await scripts_s(client)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    await hold_and_settle(store, calls, concurrency)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    # One command asked about the scripts.
    commands = client.commands - commands - 1
    inside_s = await scripts_s(client) - inside_s
    await store.close()
    print(
        f"Redis, {concurrency:3} at a time: {steps / wall_s:6,.0f} steps/s, "
        f"{wall_s * concurrency / steps * 1e3:5.2f} ms each; "
        f"CPU {cpu_s / steps * 1e6:.0f} µs here, {inside_s / steps * 1e6:.0f} µs in Redis; "
        f"{commands / steps:.2f} round trips a step"
    )
    return commands == steps


async def scripts_s(client: RedisClient) -> float:
    """Return how long Redis has been running scripts so far."""
    found = await client.execute_command("INFO", "commandstats")
    return float(found["cmdstat_evalsha"]["usec"]) / 1e6


def main() -> int:
    """Measure and print."""
    kept = [measure_memory(has_ladder=has_ladder) for has_ladder in (False, True)]
    with running_redis() as port:
        kept += [uvloop.run(measure_redis(port, concurrency)) for concurrency in (1, 16, 64)]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
