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
from contextlib import ExitStack
from pathlib import Path

import aiohttp

from bench.conversations import bodies
from bench.overhead import CONVERSATIONS
from bench.player import Play, plays, read_conversations
from bench.servers import GATEWAY_CORE, STUB_CORE, bursar, free_port, running, stub
from bench.sides import Comparison, requests_of, start_side
from bursar.domain.money import NUSD_PER_USD, nusd_from_usd
from bursar.replay.transcripts import Asking

_CALLERS = 64
_RATIO_LEAST = 0.85
_SCOPES = ("organisation", "tenant:*", "agent:*", "user:*", "conversation:*")


def measure_throughput(size_bytes: int, rounds: int, total: int) -> bool:
    """Print the throughput with and without budgets; returns whether it is as it must be."""
    budgets = "".join(
        f'[[budgets]]\nscope = "{scope}"\nwindow = "day"\nlimit_usd = "1000000"\n' for scope in _SCOPES
    )
    with ExitStack() as stack:
        stub_port = free_port()
        stack.enter_context(running(stub(stub_port), port=stub_port, core=STUB_CORE, ready="/open"))
        upstream = f"http://127.0.0.1:{stub_port}"
        off, on = (start_side(stack, upstream, text, core=GATEWAY_CORE) for text in ("", budgets))
        requests = requests_of(bodies(size_bytes, CONVERSATIONS))
        comparison = Comparison("budgets", off, on, _RATIO_LEAST)
        return comparison.run(size_bytes, requests, requests, rounds=rounds, total=total)


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
        side = start_side(stack, f"http://127.0.0.1:{port}", budget, core=None)
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
