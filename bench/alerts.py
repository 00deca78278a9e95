"""Alerts of each scope, window and threshold, from four gateways, to a notifier that fails twice each time.

Callers press on budgets of an hour, which runs through in seconds. Every alert is refused by its notifier
twice and taken at the third attempt: it must have been asked three times for each, and have taken each once.
First the gateways share a data folder only, so that each counts for itself; then a Redis, too, and each
threshold that the ledger says was reached must have had its alert. Before that: what it costs a call to look
for crossings.

    python -m bench.alerts [--quick]

Exits with 1 where an alert is missing, or came more than once.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import threading
import time
import timeit
from collections import Counter as Tally
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp

from bench.fleet import Fleet
from bench.servers import bursar, free_port, running, running_redis
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.alerts.recording import Recorder, Sources
from bursar.adapters.clock import WallClock
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.alerts import Outcome
from bursar.domain.attribution import Attribution
from bursar.domain.budgets import DEFAULT_LADDER, Budget, Step
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Level, Period, Unit
from bursar.domain.scopes import read_pattern
from bursar.policy.alerts.crossings import amount_at, notifying_steps
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.claims import Amounts, Claimant
from bursar.settings import load
from bursar.settings.budgets import budgets_of

_GATEWAYS = 4
_WINDOWS = 3
_FAILURES = 2
_CALLERS = 16
_PATIENCE_S = 40.0
_HOUR_S = 3600
_LOOKS = 20_000

_HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01", "x-bursar-mode": "passthrough"}

# A call takes $0.000327, so that no call passes two steps.
_CONFIG = """
[notify.pager]
url_env = "BENCH_ALERTS_PAGER"
[providers.anthropic]
base_url = "http://127.0.0.1:{double}"
[[budgets]]
scope = "organisation"
limit_turns = 60
window = "hour"
ladder = [{{ at = 0.5, actions = ["notify:pager"] }}, {{ at = 0.8, actions = ["notify:pager"] }},
          {{ at = 0.95, actions = ["notify:pager"] }}, {{ at = 1.0, actions = ["notify:pager"] }}]
[[budgets]]
scope = "tenant:*"
limit_usd = "0.01"
window = "hour"
ladder = [{{ at = 0.25, actions = ["notify:pager"] }}, {{ at = 0.75, actions = ["notify:pager"] }}]
[storage]
dir = "{data}"
"""

Told = tuple[str, str, str]
"""What an alert says of itself: scope, threshold and the start of its window."""


@dataclass
class Pager:
    """A notifier that fails twice for each alert, and then takes it.

    Attributes:
        asked: How often it was asked to take each alert,
        took: and how often it took it.
        port: Where it listens.
    """

    asked: Tally[Told] = field(default_factory=Tally[Told])
    took: Tally[Told] = field(default_factory=Tally[Told])
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, message: dict[str, Any]) -> int:
        """Return the status with which a message is answered."""
        head = re.match(r"Bursar: (\S+) has used (\S+) %", message["title"])
        window = re.search(r"The window: (\S+)", message["message"])
        if head is None or window is None:
            raise ValueError(message)
        told = (head[1], head[2], window[1])
        with self._lock:
            self.asked[told] += 1
            if self.asked[told] <= _FAILURES:
                return 500
            self.took[told] += 1
            return 200


@contextmanager
def paging() -> Generator[Pager]:
    """Listen until the block ends."""
    pager = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(pager.take(json.loads(body)))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so the base names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pager.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield pager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def call_for(fleet: Fleet, seconds: float) -> None:
    """Press on the budgets for a while."""
    end_s = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:

        async def keep_calling(number: int) -> None:
            while time.monotonic() < end_s:
                headers = {**_HEADERS, "x-bursar-tenant": f"t{number % 2}"}
                body = {
                    "model": "claude-sonnet-4-6",
                    "max_tokens": 20,
                    "messages": [{"role": "user", "content": "hello"}],
                }
                async with session.post(f"{fleet.pick()}/v1/messages", headers=headers, json=body) as answer:
                    await answer.read()
                await asyncio.sleep(0.1)

        await asyncio.gather(*(keep_calling(number) for number in range(_CALLERS)))


def reached(config: Path, data: Path) -> Iterator[Told]:
    """Yield the thresholds that were reached in each window, by the ledger."""
    ledger = LedgerReader.open(data)
    hours = {int(entry.at_s) // _HOUR_S for entry in ledger.entries()}
    for budget in budgets_of(load(str(config)).budgets):
        for hour in hours:
            window = CountedWindow(
                budget.pattern.kind, budget.unit, Period.HOUR, hour * _HOUR_S, (hour + 1) * _HOUR_S
            )
            for counter, settled in ledger.settled([window]).items():
                for step in notifying_steps(budget):
                    if settled.amount >= amount_at(budget, step):
                        yield counter.scope, f"{step.at_per_mille / 10:g}", Calendar().text(counter.start_s)


def rest(data: Path) -> bool:
    """Wait until nobody is still to be told of anything."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        outbox = Outbox.open_existing(data)
        found = () if outbox is None else outbox.newest()
        if found and all(d.outcome is not Outcome.PENDING for each in found for d in each.deliveries):
            return True
        time.sleep(0.2)
    return False


def run(name: str, window_s: float, redis: int | None) -> bool:
    """Run one arrangement and print what came of it. Returns whether all was as it must be."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pager, double = stack.enter_context(paging()), free_port()
        os.environ["BENCH_ALERTS_PAGER"] = f"json://127.0.0.1:{pager.port}"
        stack.enter_context(running(bursar("double", "--port", str(double)), port=double, ready="/bill"))
        data, config = Path(folder) / "data", Path(folder) / "bursar.toml"
        text = _CONFIG.format(double=double, data=data)
        config.write_text(text if redis is None else f'{text}redis = "redis://127.0.0.1:{redis}/0"\n')

        async def press() -> bool:
            async with Fleet(config, _GATEWAYS, _HOUR_S / window_s, seed=1) as fleet:
                # The first and the last window are parts.
                await call_for(fleet, (_WINDOWS + 1.2) * window_s)
                return await asyncio.to_thread(rest, data)

        is_done = asyncio.run(press())
        wanted = Tally(set(reached(config, data))) if redis is not None else Tally(set(pager.asked))
    windows = {told[2] for told in wanted}
    missing, extra = wanted - pager.took, pager.took - wanted
    tries = Tally(pager.asked.values())
    print(
        f"{name}: {len(wanted)} alerts in {len(windows)} windows from {_GATEWAYS} gateways; taken once: "
        f"{sum(1 for count in pager.took.values() if count == 1)}, missing {sum(missing.values())}, "
        f"too many {sum(extra.values())}; tries for each: "
        f"{', '.join(f'{count} ({times} alerts)' for count, times in sorted(tries.items()))}"
    )
    if missing or extra:
        print(f"  missing: {dict(missing)}\n  too many: {dict(extra)}")
    return (
        is_done and not missing and not extra and set(tries) == {_FAILURES + 1} and len(windows) >= _WINDOWS
    )


def show_overhead(name: str, ladder: tuple[Step, ...]) -> None:
    """Print how long a call's settling is looked at, where budgets of four scopes have a ladder."""
    book = BudgetBook(
        Budget(read_pattern(scope), Unit.NUSD, 10**12, Period.MONTH, ladder=ladder)
        for scope in ("organisation", "tenant:*", "agent:*", "conversation:*")
    )
    claimant = Claimant("op", Attribution("acme", "desk", conversation="c"))
    reservation = book.claim(claimant, Amounts(0, 0), time.time()).reservation
    amounts = [10**6 for _ in reservation.demands]
    levels = [Level(10**9, 0) for _ in amounts]
    sources = Sources(lambda: book, lambda _budgets, _at_s: {})
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(sources, Outbox.open(Path(folder)), WallClock(), ())
        spent_s = timeit.repeat(
            lambda: recorder.observe(reservation, amounts, levels), number=_LOOKS, repeat=5
        )
    print(f"{name}: {min(spent_s) / _LOOKS * 1e6:.2f} µs a call ({len(levels)} counters)")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="shorter windows, and with Redis only")
    is_quick = parser.parse_args().quick
    window_s = 2.5 if is_quick else 6.0
    show_overhead("ladders that tell somebody", DEFAULT_LADDER)
    show_overhead("ladders that tell nobody", ())
    is_well = is_quick or run("each counts for itself", window_s, None)
    with running_redis() as port:
        is_well &= run("counted in Redis", window_s, port)
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
