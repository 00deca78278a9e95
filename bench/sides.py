"""Two gateways that differ in one thing, measured in turn on one core: what that thing costs.

Load and upstream run on the other core. Of several rounds the medians count; the processor time per request
beside them hardly depends on what else the machine does.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median

import uvloop

from bench.load import http_post, run_load
from bench.overhead import CONVERSATIONS, HEADERS, processor_s
from bench.servers import bursar, free_port, running

_CONNECTIONS = 64


@dataclass(slots=True)
class Side:
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

    def measure(self, requests: Iterator[bytes], total: int) -> int:
        """Load the gateway for one round; returns failures."""
        before_s = processor_s(self.pid)
        load = uvloop.run(run_load(self.port, requests, total=total, connections=_CONNECTIONS))
        self.processor_us.append((processor_s(self.pid) - before_s) / total * 1e6)
        self.a_second.append(load.a_second)
        return load.failures

    def warm_up(self, requests: Iterator[bytes]) -> None:
        """Load it once with every conversation, and forget how that went."""
        self.measure(requests, CONVERSATIONS)
        self.a_second.clear()
        self.processor_us.clear()


def start_side(
    stack: ExitStack,
    upstream: str,
    settings: str,
    *,
    core: int | None,
    prepare: Callable[[Path], None] | None = None,
) -> Side:
    """Start a gateway with a data directory of its own.

    Args:
        stack: Ends it.
        upstream: URL of its provider.
        settings: Its bursar.toml, beside storage and provider.
        core: The core to pin it to.
        prepare: Fills its data directory first.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    if prepare is not None:
        prepare(folder)
    config = folder / "bursar.toml"
    config.write_text(
        f'[storage]\ndir = "{folder}"\n[providers.anthropic]\nbase_url = "{upstream}"\n{settings}'
    )
    port = free_port()
    command = bursar("serve", "--config", str(config), "--port", str(port))
    return Side(port, stack.enter_context(running(command, port=port, core=core)))


def requests_of(given: Sequence[bytes], keys: Sequence[str] = ()) -> list[bytes]:
    """Return calls of 20 tenants, three agents and 200 users each.

    Args:
        given: Their bodies.
        keys: A virtual key for each tenant; none where calls come without.
    """
    return [
        http_post(
            "/v1/messages",
            body,
            {
                **HEADERS,
                "x-bursar-tenant": f"tenant-{number % TENANTS}",
                "x-bursar-agent": f"agent-{number % 3}",
                "x-bursar-user": f"user-{number % 200}",
                **({"x-bursar-key": keys[number % TENANTS]} if keys else {}),
            },
        )
        for number, body in enumerate(given)
    ]


TENANTS = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared.

    Attributes:
        name: What one side has and the other has not.
        off: The side without,
        on: and the side with it.
        least: What throughput with it must be, as a share of that without.
    """

    name: str
    off: Side
    on: Side
    least: float

    def run(
        self, size_bytes: int, off: Sequence[bytes], on: Sequence[bytes], *, rounds: int, total: int
    ) -> bool:
        """Measure both sides in turn and print what comes of it; returns whether it is as it must be.

        Args:
            size_bytes: How long bodies are.
            off: Requests for the side without,
            on: and for the side with it.
            rounds: How many rounds.
            total: How many requests in each.
        """
        self.off.warm_up(cycle(off))
        self.on.warm_up(cycle(on))
        failures = 0
        for _ in range(rounds):
            failures += self.off.measure(cycle(off), total) + self.on.measure(cycle(on), total)
        pairs = zip(self.on.a_second, self.off.a_second, strict=True)
        ratio = median(with_ / without for with_, without in pairs)
        off_us, on_us = median(self.off.processor_us), median(self.on.processor_us)
        print(
            f"{size_bytes:6,} bytes: {median(self.off.a_second):7,.0f} requests/s without, "
            f"{median(self.on.a_second):7,.0f} with {self.name}, ratio {ratio:.3f} (at least {self.least}); "
            f"processor {off_us:5.0f} and {on_us:5.0f} µs, ratio {off_us / on_us:.3f}"
            + (f"; {failures} FAILED" if failures else ""),
            flush=True,
        )
        return ratio >= self.least and not failures
