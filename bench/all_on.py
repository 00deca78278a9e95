"""Throughput with every technique on against prefix caching only, one core each, ledger on.

    python -m bench.all_on [--requests N] [--rounds N]

Gateways with different settings take turns on one core, the constant-byte upstream and the load are on the
other. The best round of each counts, since whatever else the machine does can only slow one down; so does the
processor time per request, which hardly depends on it. With everything on, tool results are re-encoded,
history and output have their limits, and the response cache takes the calls that it takes unasked. That is
judged. Printed beside it is what calls come to that ask for the response cache: each looked up, made and kept
(`misses`), or all found there (`hits`).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path

import uvloop

from bench.conversations import bodies
from bench.load import http_post, run_load
from bench.overhead import CONVERSATIONS, HEADERS, processor_s
from bench.servers import GATEWAY_CORE, STUB_CORE, bursar, free_port, running, stub

_CONNECTIONS = 64
_LEAST = 0.8

_PREFIX_ONLY = """
[defaults]
tool_results.mode = "off"
response_cache.enabled = false
"""
_EVERYTHING = """
[defaults]
history_tokens = 4_000
history_limit = 100_000
max_output_tokens = 400
tool_results = { mode = "truncate", max_tokens = 1_000 }
"""

# `top_k` counts as a part of the call, so that each one with another is another call.
_NUMBER = b'"top_k": 10000000'
_PARTS_TAKEN = {**HEADERS, "x-bursar-cache": "on"}


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of running the gateway.

    Attributes:
        name: For a person.
        settings: Its bursar.toml.
        requests: Makes the requests from bodies.
        is_judged: Whether it must reach the least ratio.
    """

    name: str
    settings: str
    requests: Callable[[list[bytes]], Iterator[bytes]]
    is_judged: bool = True


@dataclass(slots=True)
class Best:
    """The best that was measured of a mode: requests a second, and processor time per request."""

    a_second: float = 0.0
    processor_us: float = float("inf")
    failures: int = 0


def _unasked(given: list[bytes]) -> Iterator[bytes]:
    return cycle([http_post("/v1/messages", body, HEADERS) for body in given])


def _hits(given: list[bytes]) -> Iterator[bytes]:
    return cycle([http_post("/v1/messages", body, _PARTS_TAKEN) for body in given])


def _misses(given: list[bytes]) -> Iterator[bytes]:
    numbered = [http_post("/v1/messages", b"{" + _NUMBER + b", " + body[1:], _PARTS_TAKEN) for body in given]
    for number, request in zip(count(), cycle(numbered), strict=False):
        yield request.replace(_NUMBER, b'"top_k": %d' % (10_000_001 + number), 1)


MODES = (
    Mode("prefix caching only", _PREFIX_ONLY, _unasked),
    Mode("defaults", "", _unasked),
    Mode("everything", _EVERYTHING, _unasked),
    Mode("everything, response cache: misses", _EVERYTHING, _misses, is_judged=False),
    Mode("everything, response cache: hits", _EVERYTHING, _hits, is_judged=False),
)


class Gateways:
    """A gateway for each mode, all on one core."""

    def __init__(self, stack: ExitStack, stub_port: int) -> None:
        self._ports: dict[str, tuple[int, int]] = {}
        for mode in MODES:
            folder, port = stack.enter_context(tempfile.TemporaryDirectory()), free_port()
            config = Path(folder) / "bursar.toml"
            config.write_text(mode.settings)
            serve = bursar("serve", "--config", str(config), "--port", str(port), "--data-dir", folder)
            serve += ["--upstream", f"anthropic=http://127.0.0.1:{stub_port}"]
            pid = stack.enter_context(running(serve, port=port, core=GATEWAY_CORE))
            self._ports[mode.name] = port, pid

    def measure(self, mode: Mode, requests: Iterator[bytes], total: int, best: Best) -> None:
        """Load one of them, and keep what is better than before."""
        port, pid = self._ports[mode.name]
        before_s = processor_s(pid)
        load = uvloop.run(run_load(port, requests, total=total, connections=_CONNECTIONS))
        best.a_second = max(best.a_second, load.a_second)
        best.processor_us = min(best.processor_us, (processor_s(pid) - before_s) / total * 1e6)
        best.failures += load.failures


def _compare(gateways: Gateways, size_bytes: int, total: int, rounds: int) -> float:
    """Measure all modes on bodies of a size, print them, and return the worst ratio to the first."""
    given = bodies(size_bytes, CONVERSATIONS)
    requests = {mode.name: mode.requests(given) for mode in MODES}
    found = {mode.name: Best() for mode in MODES}
    for mode in MODES:
        gateways.measure(mode, requests[mode.name], CONVERSATIONS, Best())
    for _ in range(rounds):
        for mode in MODES:
            gateways.measure(mode, requests[mode.name], total, found[mode.name])
    plain = found[MODES[0].name]
    worst = 1.0
    for mode in MODES:
        best = found[mode.name]
        ratio = best.a_second / plain.a_second
        if mode.is_judged:
            worst = min(worst, ratio)
        print(
            f"{size_bytes:6,} {mode.name:36} {best.a_second:7,.0f} {ratio:6.2f} {best.processor_us:8.0f} "
            f"{plain.processor_us / best.processor_us:6.2f}"
            + (f"   {best.failures} failed" if best.failures else ""),
            flush=True,
        )
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {STUB_CORE})
    print(f"{'bytes':>6} {'mode':36} {'req/s':>7} {'ratio':>6} {'CPU µs':>8} {'ratio':>6}")
    with ExitStack() as stack:
        stub_port = free_port()
        stack.enter_context(running(stub(stub_port), port=stub_port, core=STUB_CORE, ready="/open"))
        gateways = Gateways(stack, stub_port)
        worst = min(
            [
                _compare(gateways, size_bytes, options.requests, options.rounds)
                for size_bytes in (1_000, 30_000)
            ]
        )
    print(f"\nEverything over prefix caching only must be at least {_LEAST}; the worst is {worst:.2f}.")
    sys.exit(worst < _LEAST)


if __name__ == "__main__":
    main()
