"""The bill with Bursar over the bill as sent, real servers on loopback, and whether the ledger equals it.

    python -m bench.bill [--data DIR] [--quick]

Each row plays a trace directly to a provider double and then, from a fresh start, through the gateway to
the same double. "careful" is a client that sets its own cache marks, on system and last message.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.player import Pace, Play, play_all, plays, read_conversations
from bench.servers import bursar, free_port, running
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.money import NUSD_PER_USD, nusd_from_usd
from bursar.domain.report import Tally
from bursar.replay.transcripts import Asking

_TIME_SCALE = 20.0


@dataclass(frozen=True, slots=True)
class Trace:
    """A recording, and the most that its bill may be, over its bill as sent (claude-sonnet-4-6)."""

    name: str
    tools: str
    most: float


TRACES = (
    Trace("airline.jsonl", "airline-tools.json", 0.20),
    Trace("software-engineer.jsonl", "", 0.24),
)


@dataclass(frozen=True, slots=True)
class Bills:
    """What one way of playing cost, in nusd: the double's bill, and the ledger's sums where there is one."""

    bill_nusd: int
    calls: int
    failures: int
    ledger: Tally | None = None


class Bench:
    """A provider double that knows all traces, and gateways in front of it, one for each run."""

    def __init__(self, data: Path, stack: ExitStack, time_scale: float) -> None:
        self._port = free_port()
        self._scale = ("--time-scale", str(time_scale))
        arguments = ["double", "--port", str(self._port), *self._scale]
        for trace in TRACES:
            arguments += ["--transcripts", str(data / trace.name)]
        stack.enter_context(running(bursar(*arguments), port=self._port))

    @property
    def url(self) -> str:
        """The double's."""
        return f"http://127.0.0.1:{self._port}"

    def direct(self, conversations: Sequence[Play], pace: Pace) -> Bills:
        """Play without a gateway."""
        return self._bill(asyncio.run(play_all(self.url, conversations, pace)))

    def through(self, conversations: Sequence[Play], pace: Pace) -> Bills:
        """Play through a gateway that knows nothing yet."""
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            serve = bursar("serve", "--port", str(port), "--data-dir", folder, *self._scale)
            serve += ["--upstream", f"anthropic={self.url}", "--upstream", f"openai={self.url}/v1"]
            with running(serve, port=port):
                failures = asyncio.run(play_all(f"http://127.0.0.1:{port}", conversations, pace))
            ledger = LedgerReader.open(Path(folder)).report(()).total
        return self._bill(failures, ledger)

    def _bill(self, failures: int, ledger: Tally | None = None) -> Bills:
        bill: dict[str, Any] = _get(f"{self.url}/bill")
        _get(f"{self.url}/reset", b"")
        return Bills(nusd_from_usd(bill["cost_usd"]), bill["calls"], failures, ledger)


def _get(url: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as response:  # noqa: S310 - loopback
        return json.loads(response.read())


def _row(what: Sequence[str], direct: Bills, ours: Bills, seconds: float) -> str:
    ledger = ours.ledger
    assert ledger is not None  # noqa: S101 - it was played through a gateway
    return (
        f"{what[0]:18.18} {what[1]:17.17} {what[2]:6} {what[3]:14} "
        f"{ours.calls:5d} {_usd(direct.bill_nusd):>9} {_usd(ours.bill_nusd):>9} "
        f"{ours.bill_nusd / direct.bill_nusd:7.4f} {ledger.cost_nusd - ours.bill_nusd:6d} "
        f"{ledger.baseline_nusd / direct.bill_nusd:8.4f} {direct.failures + ours.failures:5d} {seconds:5.1f}"
    )


def _usd(nusd: int) -> str:
    return f"${nusd / NUSD_PER_USD:.4f}"


def run(bench: Bench, data: Path, models: Sequence[str], streams: Sequence[bool]) -> None:
    """Play every combination and print a row for each."""
    print(
        f"{'trace':18} {'model':17} {'stream':6} {'client':14} {'calls':>5} {'direct':>9} {'bursar':>9} "
        f"{'ratio':>7} {'ledger':>6} {'baseline':>8} {'fails':>5} {'s':>5}"
    )
    for trace in TRACES:
        conversations = read_conversations(data / trace.name)
        tools = json.loads((data / trace.tools).read_bytes()) if trace.tools else ()
        for model in models:
            for stream in streams:
                asking = Asking(model, tools, stream=stream)
                unmarked = plays(conversations, asking, careful=False)
                ways = [("one by one", unmarked, 1), ("16 at a time", unmarked, 16)]
                if asking.dialect == "anthropic.messages":
                    ways.append(("careful", plays(conversations, asking, careful=True), 1))
                for name, prepared, together in ways:
                    started = time.perf_counter()
                    pace = Pace(together, _TIME_SCALE)
                    direct, ours = bench.direct(prepared, pace), bench.through(prepared, pace)
                    what = (trace.name, model, "yes" if stream else "no", name)
                    print(_row(what, direct, ours, time.perf_counter() - started), flush=True)
    limits = ", ".join(f"{trace.name} ≤ {trace.most:.2f}" for trace in TRACES)
    print(
        f"\nMust be: claude-sonnet-4-6, one by one: {limits}; careful ≤ 1.000.\n"
        "ledger: the gateway's ledger − the double's bill, in nanodollars: must be 0.\n"
        "baseline: what the ledger says it would have cost as sent, over what it did cost as sent."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--models", default="claude-sonnet-4-6,gpt-4o")
    parser.add_argument("--quick", action="store_true", help="without streams")
    options = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(options.data, stack, _TIME_SCALE)
        run(bench, options.data, options.models.split(","), (False,) if options.quick else (False, True))


if __name__ == "__main__":
    main()
