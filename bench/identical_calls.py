"""Identical calls through the gateway: how many of them reach the provider.

    python -m bench.identical_calls [--calls N] [--at-once N]

Real servers on loopback. Each call asks for the response cache (`x-bursar-cache: on`). Distinct calls are
made once, then again: by the same tenant, for a stream, with another key, and by another tenant, who must
get nothing of it. Then one call is made many times at once, while its answer takes half a second.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

import aiohttp

from bench.conversations import bodies
from bench.servers import bursar, free_port, running

_PATH = "/v1/messages"
_LATENCY_MS = 500
_BODY_BYTES = 3_000


class Caller:
    """Makes calls and counts what became of them."""

    def __init__(self, session: aiohttp.ClientSession, provider_url: str) -> None:
        self._session = session
        self._provider_url = provider_url

    async def call(self, calls: Iterable[bytes], tenant: str, key: str = "bench") -> tuple[Counter[str], int]:
        """Make calls side by side.

        Returns:
            How many there were of each `x-bursar-cache`, or status if that was not 200; and how many reached
            the provider.
        """
        before = self._billed()
        headers = {
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "x-api-key": key,
            "x-bursar-tenant": tenant,
            "x-bursar-cache": "on",
        }
        found = await asyncio.gather(*[self._one(body, headers) for body in calls])
        return Counter(found), self._billed() - before

    async def _one(self, body: bytes, headers: Mapping[str, str]) -> str:
        async with self._session.post(_PATH, data=body, headers=headers) as response:
            await response.read()
            return (
                response.headers.get("x-bursar-cache", "off")
                if response.status == 200
                else str(response.status)
            )

    def _billed(self) -> int:
        with urllib.request.urlopen(f"{self._provider_url}/bill", timeout=30) as response:  # noqa: S310 - loopback
            return int(json.loads(response.read())["calls"])


def _streamed(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "stream": True}).encode()


class _Table:
    """Prints a row for each round, and remembers which were wrong."""

    def __init__(self) -> None:
        self.wrong = 0
        print(
            f"{'round':42} {'calls':>6} {'hit':>6} {'joined':>6} {'miss':>6} {'other':>6} "
            f"{'upstream':>8} {'s':>6}"
        )

    def add(self, name: str, counts: Counter[str], upstream: int, expected: int, seconds: float) -> None:
        """Print a round, of which so many calls should have reached the provider."""
        known = ("hit", "joined", "miss")
        other = counts.total() - sum(counts[kind] for kind in known)
        wrong = upstream != expected or other > 0
        self.wrong += wrong
        numbers = " ".join(f"{counts[kind]:6,}" for kind in known)
        print(
            f"{name:42} {counts.total():6,} {numbers} {other:6,} {upstream:8,} {seconds:6.2f}"
            + (f"  must be {expected}" if wrong else ""),
            flush=True,
        )


async def measure(gateway_url: str, provider_url: str, calls: int, at_once: int) -> int:
    """Play all rounds, and return how many were wrong."""
    distinct = bodies(_BODY_BYTES, calls)
    streams = [_streamed(body) for body in distinct]
    one, stream = bodies(_BODY_BYTES + 1, 2)
    rounds = (
        ("distinct calls, for the first time", distinct, "acme", "bench", calls),
        ("the same again, same tenant", distinct, "acme", "bench", 0),
        ("the same, asked for as streams", streams, "acme", "bench", 0),
        ("the same, same tenant, another key", distinct, "acme", "other", calls),
        ("the same, another tenant", distinct, "globex", "bench", calls),
        ("one call at once", [one] * at_once, "acme", "bench", 1),
        ("one stream at once", [_streamed(stream)] * at_once, "acme", "bench", 1),
        (
            "one call at once, half of them streams",
            [one, _streamed(one)] * (at_once // 2),
            "initech",
            "bench",
            1,
        ),
    )
    table = _Table()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(gateway_url, connector=connector) as session:
        caller = Caller(session, provider_url)
        for name, chosen, tenant, key, expected in rounds:
            started = time.perf_counter()
            counts, upstream = await caller.call(chosen, tenant, key)
            table.add(name, counts, upstream, expected, time.perf_counter() - started)
    return table.wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=1_000)
    options = parser.parse_args()
    port, provider_port = free_port(), free_port()
    provider_url = f"http://127.0.0.1:{provider_port}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        double = bursar("double", "--port", str(provider_port), "--latency-ms", str(_LATENCY_MS))
        stack.enter_context(running(double, port=provider_port))
        serve = bursar("serve", "--port", str(port), "--data-dir", folder)
        stack.enter_context(running([*serve, "--upstream", f"anthropic={provider_url}"], port=port))
        wrong = asyncio.run(measure(f"http://127.0.0.1:{port}", provider_url, options.calls, options.at_once))
    print("\nMust be: same tenant 100 % hits, another tenant 0; at once, one upstream call.")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
