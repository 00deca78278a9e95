"""What budgets cost: throughput on one core with and without them, and how much of a limit can be used.

- Throughput: two gateways on the same core, in turn: one with limits on organisation, tenant, agent, user and
  conversation, in memory, and one without any. Load and upstream run on the other core. Medians of several
  rounds; the processor time per request beside them hardly depends on what else the machine does.
- A limit of one dollar before 64 callers at once, who play recorded conversations: what is spent when the
  first of them is refused, and in the end. What is held for calls under way cannot be spent.

    python -m bench.budgets_overhead [--rounds 7] [--requests 6000] [--data DIR]
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median

import aiohttp
import uvloop

from bench.conversations import bodies
from bench.load import http_post, run_load
from bench.overhead import CONVERSATIONS, HEADERS, processor_s
from bench.player import Play, plays, read_conversations
from bench.servers import GATEWAY_CORE, STUB_CORE, bursar, free_port, running, stub
from bursar.domain.money import NUSD_PER_USD, nusd_from_usd
from bursar.replay.transcripts import Asking

_CONNECTIONS = 64
_CALLERS = 64
_RATIO_LEAST = 0.85
_SCOPES = ("organisation", "tenant:*", "agent:*", "user:*", "conversation:*")


@dataclass(slots=True)
class _Side:
    """A gateway that is measured, and what was measured of it.

    Attributes:
        port: Where it listens.
        pid: Its process.
        a_second: Requests a second, by round,
        processor_us: and microseconds of processor time per request.
    """

    port: int
    pid: int
    a_second: list[float] = field(default_factory=list[float])
    processor_us: list[float] = field(default_factory=list[float])


def _start(stack: ExitStack, upstream: str, budgets: str, *, core: int | None) -> _Side:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    config = folder / "bursar.toml"
    config.write_text(
        f'[storage]\ndir = "{folder}"\n[providers.anthropic]\nbase_url = "{upstream}"\n{budgets}'
    )
    port = free_port()
    command = bursar("serve", "--config", str(config), "--port", str(port))
    return _Side(port, stack.enter_context(running(command, port=port, core=core)))


def _requests(size_bytes: int) -> list[bytes]:
    """Return calls of 20 tenants, three agents and 200 users each."""
    return [
        http_post(
            "/v1/messages",
            body,
            {
                **HEADERS,
                "x-bursar-tenant": f"tenant-{number % 20}",
                "x-bursar-agent": f"agent-{number % 3}",
                "x-bursar-user": f"user-{number % 200}",
            },
        )
        for number, body in enumerate(bodies(size_bytes, CONVERSATIONS))
    ]


def _measure(side: _Side, requests: Iterator[bytes], total: int) -> int:
    """Load a gateway for one round; returns failures."""
    before_s = processor_s(side.pid)
    load = uvloop.run(run_load(side.port, requests, total=total, connections=_CONNECTIONS))
    side.processor_us.append((processor_s(side.pid) - before_s) / total * 1e6)
    side.a_second.append(load.a_second)
    return load.failures


def measure_throughput(size_bytes: int, rounds: int, total: int) -> bool:
    """Print the throughput with and without budgets; returns whether it is as it must be."""
    budgets = "".join(
        f'[[budgets]]\nscope = "{scope}"\nwindow = "day"\nlimit_usd = "1000000"\n' for scope in _SCOPES
    )
    with ExitStack() as stack:
        stub_port = free_port()
        stack.enter_context(running(stub(stub_port), port=stub_port, core=STUB_CORE, ready="/open"))
        upstream = f"http://127.0.0.1:{stub_port}"
        off, on = (_start(stack, upstream, text, core=GATEWAY_CORE) for text in ("", budgets))
        requests = _requests(size_bytes)
        for side in (off, on):
            _measure(side, cycle(requests), CONVERSATIONS)
            side.a_second.clear()
            side.processor_us.clear()
        failures = 0
        for _ in range(rounds):
            failures += _measure(off, cycle(requests), total) + _measure(on, cycle(requests), total)
    ratio = median(with_ / without for with_, without in zip(on.a_second, off.a_second, strict=True))
    off_us, on_us = median(off.processor_us), median(on.processor_us)
    print(
        f"{size_bytes:6,} bytes: {median(off.a_second):7,.0f} requests/s without, "
        f"{median(on.a_second):7,.0f} with budgets, ratio {ratio:.3f} (at least {_RATIO_LEAST}); "
        f"processor {off_us:5.0f} and {on_us:5.0f} µs, ratio {off_us / on_us:.3f}"
        + (f"; {failures} FAILED" if failures else "")
    )
    return ratio >= _RATIO_LEAST and not failures


class _Purse:
    """A limit that callers spend together."""

    def __init__(self, conversations: list[Play], url: str) -> None:
        self._waiting = iter(conversations)
        self._url = url
        self.spent_nusd = self.calls = self.refused = 0
        self.first: tuple[int, int] | None = None

    async def spend(self) -> None:
        async with aiohttp.ClientSession(self._url) as session:
            await asyncio.gather(*[self._play(session) for _ in range(_CALLERS)])

    async def _play(self, session: aiohttp.ClientSession) -> None:
        """Play one conversation after another; one that is refused goes no further."""
        for play in self._waiting:
            for _, body in play.calls:
                async with session.post(play.path, data=body, headers=play.headers) as response:
                    await response.read()
                if response.status != 200:
                    self.refused += 1
                    self.first = self.first or (self.spent_nusd, self.calls)
                    break
                self.calls += 1
                self.spent_nusd += nusd_from_usd(response.headers["x-bursar-cost-usd"])


def measure_use(data: Path, output_tokens_max: int) -> None:
    """Print how much of a dollar callers at once can spend."""
    trace = data / "airline.jsonl"
    tools = json.loads((data / "airline-tools.json").read_bytes())
    with ExitStack() as stack:
        port = free_port()
        double = bursar("double", "--port", str(port), "--transcripts", str(trace))
        stack.enter_context(running(double, port=port))
        budget = '[[budgets]]\nscope = "organisation"\nwindow = "total"\nlimit_usd = "1"\n'
        side = _start(stack, f"http://127.0.0.1:{port}", budget, core=None)
        asking = Asking("claude-sonnet-4-6", tools, max_tokens=output_tokens_max)
        conversations = plays(read_conversations(trace), asking, careful=False)
        purse = _Purse(conversations, f"http://127.0.0.1:{side.port}")
        asyncio.run(purse.spend())
    spent_nusd, calls = purse.first or (purse.spent_nusd, purse.calls)
    print(
        f"airline, a limit of $1, {_CALLERS} callers at once, max_tokens {output_tokens_max}: "
        f"{spent_nusd / NUSD_PER_USD:.1%} spent by {calls} calls when the first is refused, "
        f"{purse.spent_nusd / NUSD_PER_USD:.1%} in the end "
        f"({purse.calls} calls, {purse.refused} refused)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    options = parser.parse_args()
    for output_tokens_max in (4_096, 500):
        measure_use(options.data, output_tokens_max)
    os.sched_setaffinity(0, {STUB_CORE})
    sizes = (1_000, 30_000)
    kept = [measure_throughput(size, options.rounds, options.requests) for size in sizes]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
