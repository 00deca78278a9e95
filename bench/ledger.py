"""Print what the ledger costs: entries a second, and CPU time per entry.

Run: `.venv/bin/python bench/ledger.py [--dir DIR]`. The directory decides which disk is measured; a
temporary one is made inside it. `waits` is the time that one call spends in `record`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bursar.adapters.ledger.sqlite import LedgerReader, SqliteLedger
from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Attempt, Component, ComponentShare, CostBasis, Entry, Status, Technique
from bursar.domain.prices import CostLine, Terms
from bursar.domain.report import ReportKey
from bursar.domain.usage import Usage

START_S = 1_764_000_000.0
MODEL = "claude-sonnet-4-6"
ENTRIES = {1: 3_000, 64: 40_000}
ROUND = 64


def entry(number: int) -> Entry:
    """Return a typical call: one attempt, six components; 20 tenants of 3 agents, 10 calls a second."""
    at_s = START_S + number / 10
    usage = Usage(input=180, cache_read=8_000, cache_write_5m=420, output=210)
    lines = (
        CostLine("input", 180, 540_000),
        CostLine("cache_read", 8_000, 2_400_000),
        CostLine("cache_write_5m", 420, 1_575_000),
        CostLine("output", 210, 3_150_000),
    )
    cost_nusd = sum(line.cost_nusd for line in lines)
    operation_id = f"{number:032x}"
    prompt = {"cache_read": 1_600, "cache_write_5m": 84, "input": 36}
    return Entry(
        operation_id=operation_id,
        at_s=at_s,
        attribution=Attribution(
            tenant=f"tenant-{number % 20}",
            agent=f"agent-{number % 3}",
            conversation=f"conversation-{number % 2_000}",
            user=f"user-{number % 500}",
            tags=(("env", "prod"), ("team", "support")),
        ),
        dialect="anthropic.messages",
        model=MODEL,
        mode="optimise",
        stream=True,
        status=Status.OK,
        http_status=200,
        latency_ms=2_345,
        overhead_us=310,
        thread=f"{number % 2_000:016x}",
        turn=number // 2_000,
        attempts=(
            Attempt(
                attempt_id=f"{operation_id}/1",
                model=MODEL,
                upstream="anthropic",
                started_at_s=at_s + 0.0003,
                latency_ms=2_344,
                http_status=200,
                status=Status.OK,
                usage=usage,
                terms=Terms(),
                lines=lines,
                basis=CostBasis.MEASURED,
            ),
        ),
        usage=usage,
        components={
            **{c: ComponentShare(prompt, cost_nusd // 6) for c in list(Component)[:5]},
            Component.OUTPUT: ComponentShare({"output": 210}, cost_nusd // 6),
        },
        cost_nusd=cost_nusd,
        cost_max_nusd=cost_nusd,
        baseline_nusd=3 * cost_nusd,
        shares={Technique.PREFIX_CACHE: 2 * cost_nusd},
        basis=CostBasis.MEASURED,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """What recording cost."""

    entries_per_s: float
    cpu_us: float
    wait_ms: float
    wait_p99_ms: float


async def record(ledger: SqliteLedger, concurrency: int, first: int) -> Figures:
    """Record with so many callers, each one entry after another."""
    count = ENTRIES[concurrency]
    # Made beforehand: what an entry costs to make is not the ledger's.
    waiting: Iterator[Entry] = iter([entry(number) for number in range(first, first + count)])
    waits_s: list[float] = []

    async def caller() -> None:
        for one in waiting:
            start = time.perf_counter()
            await ledger.record(one)
            waits_s.append(time.perf_counter() - start)

    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Figures(
        entries_per_s=count / wall_s,
        cpu_us=cpu_s / count * 1e6,
        wait_ms=statistics.median(waits_s) * 1e3,
        wait_p99_ms=statistics.quantiles(waits_s, n=100)[98] * 1e3,
    )


def report_ms(data_dir: Path, by: tuple[ReportKey, ...], since_s: float | None) -> float:
    """Return how long a report takes, in milliseconds."""
    start = time.perf_counter()
    LedgerReader.open(data_dir).report(by, since_s=since_s)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the ledger.")
    parser.add_argument("--dir", type=Path, default=None, help="Where the temporary directory is made.")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().dir) as folder:
        data_dir = Path(folder)
        first = 0
        with closing(SqliteLedger.open(data_dir)) as ledger:
            for concurrency, count in ENTRIES.items():
                figures = uvloop.run(record(ledger, concurrency, first))
                first += count
                print(
                    f"concurrency {concurrency:3}: {figures.entries_per_s:9,.0f} entries/s, "
                    f"{figures.cpu_us:5.1f} µs CPU per entry, waits {figures.wait_ms:.2f} ms "
                    f"(p99 {figures.wait_p99_ms:.2f} ms)"
                )
        for by, since_s in (
            ((), None),
            ((ReportKey.TENANT, ReportKey.AGENT), None),
            ((ReportKey.TENANT,), START_S + 1_800),
            ((ReportKey.CONVERSATION,), None),
            ((ReportKey.TAG,), None),
            ((ReportKey.COMPONENT,), None),
        ):
            keys = ",".join(by) or "nothing"
            cut = "" if since_s is None else ", cut within an hour"
            print(f"report by {keys}{cut}: {report_ms(data_dir, by, since_s):.0f} ms over {first:,} entries")


if __name__ == "__main__":
    main()
