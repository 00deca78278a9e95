"""What guards cost: throughput on one core with keys, alerts, loops and anomalies, and without any of them.

Budgets of organisation, tenant, agent, user and conversation are on in both. With guards, calls come with
some of a thousand virtual keys; the ladders of three budgets tell a notifier, of which some steps are reached
while it is measured; and loops and anomalies are watched for.

    python -m bench.guards [--rounds 7] [--requests 6000]
"""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench.conversations import bodies
from bench.overhead import CONVERSATIONS
from bench.servers import GATEWAY_CORE, STUB_CORE, free_port, running, stub
from bench.sides import TENANTS, Comparison, requests_of, start_side
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.settings.stored import Act
from bursar.wiring.keys import KeyDesk

_RATIO_LEAST = 0.9
_KEYS = 1_000
_URL_VARIABLE = "BURSAR_BENCH_NOTIFIER"

_SCOPES = ("organisation", "tenant:*", "agent:*", "user:*", "conversation:*")
_TELLING = ("organisation", "tenant:*", "agent:*")

# A call costs a tenth of a cent: of the first steps some are reached, no limit ever is.
_LADDER = (
    "ladder = [" + ", ".join(f'{{ at = {at}, actions = ["notify:bench"] }}' for at in (0.001, 0.5)) + "]"
)

_OFF = '[anomalies]\nenabled = false\n[defaults]\nloops = { mode = "off" }\n'
_ON = (
    f'[anomalies]\nnotify = ["bench"]\n[defaults]\nloops = {{ notify = ["bench"] }}\n'
    f'[notify.bench]\nurl_env = "{_URL_VARIABLE}"\n'
)


def _budgets(*telling: str) -> str:
    return "".join(
        f'[[budgets]]\nscope = "{scope}"\nwindow = "day"\nlimit_usd = "1000"\n'
        + (f"{_LADDER}\n" if scope in telling else "")
        for scope in _SCOPES
    )


def _make_keys(folder: Path) -> list[str]:
    """Make keys; returns one for each tenant."""
    desk = KeyDesk(SqliteAdmin.open(folder), Act("bench", time.time()))
    made = [desk.create({"tenant": f"tenant-{number % TENANTS}"})["key"] for number in range(_KEYS)]
    return made[:TENANTS]


def measure(size_bytes: int, rounds: int, total: int) -> bool:
    """Print the throughput with and without guards; returns whether it is as it must be."""
    keys: list[str] = []
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(running(stub(port), port=port, core=STUB_CORE, ready="/open"))
        # What answers calls takes messages, too.
        os.environ[_URL_VARIABLE] = f"json://127.0.0.1:{port}/"
        upstream = f"http://127.0.0.1:{port}"
        off = start_side(stack, upstream, _OFF + _budgets(), core=GATEWAY_CORE)
        on = start_side(
            stack,
            upstream,
            _ON + _budgets(*_TELLING),
            core=GATEWAY_CORE,
            prepare=lambda folder: keys.extend(_make_keys(folder)),
        )
        given = bodies(size_bytes, CONVERSATIONS)
        comparison = Comparison("guards", off, on, _RATIO_LEAST)
        return comparison.run(
            size_bytes, requests_of(given), requests_of(given, keys), rounds=rounds, total=total
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=6_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {STUB_CORE})
    kept = [measure(size, options.rounds, options.requests) for size in (1_000, 30_000)]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
