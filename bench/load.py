"""A load generator that costs little itself: raw HTTP over asyncio, requests prepared beforehand."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What a run measured.

    Attributes:
        requests: Requests answered with 200.
        failures: Others.
        seconds: How long it took.
        latencies_ms: Each request's, sorted.
    """

    requests: int
    failures: int
    seconds: float
    latencies_ms: tuple[float, ...]

    @property
    def a_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Return a latency percentile."""
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(len(self.latencies_ms) * percent / 100))]


class _Caller(asyncio.Protocol):
    """One connection that sends the next request as soon as the last is answered."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        self._run.answered(ok=self._buffer[9:12] == b"200", sent_at=self._sent_at)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._run.left()

    def _next(self) -> None:
        request = self._run.take()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]


class _Run:
    def __init__(self, requests: Iterator[bytes], total: int, connections: int) -> None:
        self._requests = requests
        self._left = total
        self._open = connections
        self.latencies: list[float] = []
        self.ok = 0
        self.done = asyncio.Event()

    def take(self) -> bytes | None:
        if self._left <= 0:
            return None
        self._left -= 1
        return next(self._requests)

    def answered(self, *, ok: bool, sent_at: float) -> None:
        self.latencies.append((time.perf_counter() - sent_at) * 1000)
        self.ok += ok

    def left(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.done.set()


async def run_load(port: int, requests: Iterator[bytes], *, total: int, connections: int) -> Load:
    """Send requests over a number of connections, each as fast as it is answered.

    Args:
        port: Of a server on loopback.
        requests: Whole HTTP requests, as many as are sent at least.
        total: How many are sent in all.
        connections: How many are open at once.
    """
    run = _Run(requests, total, connections)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Caller(run), "127.0.0.1", port)
    await run.done.wait()
    seconds = time.perf_counter() - started
    return Load(run.ok, len(run.latencies) - run.ok, seconds, tuple(sorted(run.latencies)))


def http_post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Write a whole POST request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"content-length: {len(body)}",
        "content-type: application/json",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
