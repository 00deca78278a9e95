"""Print what working content and the response cache cost: µs a look, and memory.

Run: `.venv/bin/python bench/content.py [--dir DIR]`. The directory decides which disk is measured; a
temporary one is made inside it.
"""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path

import uvloop

from bursar.adapters.content.file import Room
from bursar.adapters.content.sqlite import ContentOptions, SqliteContent
from bursar.drivers.joining import InFlight, Lead
from bursar.policy.response_cache import (
    KeptAnswer,
    ResponseCacheOptions,
    Space,
    Wish,
    judge_call,
    request_key,
)
from bursar.ports import ContentKey, ContentKind
from bursar.wire.dialect import Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

NOW_S = 1_764_000_000.0
CONTENT = b"x" * 4_000
ITEMS = 20_000
BURST = 1_000
DIALECT = DIALECTS["anthropic.messages"]
SPACE = Space("acme", bytes(16), "anthropic", "/v1/messages", {"anthropic-version": "2023-06-01"})


def key(number: int, tenant: str = "acme") -> ContentKey:
    """Return the key of a piece of content."""
    return ContentKey(tenant, ContentKind.RESPONSE, number.to_bytes(32))


def best_us(act: Callable[[], object], count: int = 200) -> float:
    """Return the time of one call, in µs: the best of several rounds, since others share the machine."""
    rounds: list[float] = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(count):
            act()
        rounds.append(time.perf_counter() - start)
    return min(rounds) / count * 1e6


async def mean_us(steps: Iterable[Awaitable[object]]) -> float:
    """Return the mean time of awaiting something, in µs."""
    count = 0
    start = time.perf_counter()
    for step in steps:
        await step
        count += 1
    return (time.perf_counter() - start) / count * 1e6


def memory_mib() -> float:
    """Return the most memory that this process has taken, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def request(size_bytes: int, *, marked: bool = False) -> Request:
    """Return a call of about a size, in 20 messages."""
    text = "The passenger asks whether the ticket can be changed. " * (size_bytes // 20 // 54 + 1)
    block = {"type": "text", "text": text[: size_bytes // 20]}
    mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
    messages = [
        {"role": ("user", "assistant")[number % 2], "content": [block | (mark if number == 18 else {})]}
        for number in range(19)
    ]
    body = {"model": "claude-sonnet-4-6", "max_tokens": 99, "temperature": 0, "messages": messages}
    reading = DIALECT.read(json.dumps(body, separators=(",", ":")).encode(), PieceMemo())
    return reading.finish([len(text) // 4 for text in reading.texts])


def measure_policy() -> None:
    """Print what the pure part costs."""
    options = ResponseCacheOptions()
    for size_bytes in (1_000, 30_000):
        asked = request(size_bytes)
        print(
            f"{size_bytes // 1_000:3} KB call: judged in "
            f"{best_us(lambda asked=asked: judge_call(asked, '', Wish.UNSAID, options)):.1f} µs, key in "
            f"{best_us(lambda asked=asked: request_key(asked, DIALECT, SPACE)):.1f} µs"
        )
    marked = request(30_000, marked=True)
    print(
        f" 30 KB call with a cache mark: key in {best_us(lambda: request_key(marked, DIALECT, SPACE)):.1f} µs"
    )
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": CONTENT.decode()}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7_000, "output_tokens": 900},
    }
    whole = KeptAnswer(DIALECT.name, streamed=False, content=json.dumps(message).encode(), kept_at_s=NOW_S)
    stream = KeptAnswer(
        DIALECT.name, streamed=True, content=whole.told(streamed=True) or b"", kept_at_s=NOW_S
    )
    print(
        f"  4 KB answer told as a stream in {best_us(lambda: whole.told(streamed=True)):.1f} µs, "
        f"as a whole in {best_us(lambda: stream.told(streamed=False)):.1f} µs"
    )


async def measure_store(data_dir: Path) -> None:
    """Print what the store costs."""
    options = ContentOptions(Room(), front_bytes_max=8 << 20)
    gc.collect()
    before_mib = memory_mib()
    with closing(SqliteContent.open(data_dir, options)) as store:
        puts_us: list[float] = []
        write_s = 0.0
        for first in range(0, ITEMS, BURST):
            burst = range(first, first + BURST)
            puts_us.append(await mean_us(store.put(key(n), CONTENT, 3_600, NOW_S) for n in burst))
            start = time.perf_counter()
            await store.purge(0.0)
            write_s += time.perf_counter() - start
        miss_us = await mean_us(store.get(key(n, "other"), NOW_S) for n in range(ITEMS))
        front_us = await mean_us(store.get(key(n), NOW_S) for n in range(ITEMS - 1_000, ITEMS))
        file_us = await mean_us(store.get(key(n), NOW_S) for n in range(0, 4_000, 2))
        print(
            f"{ITEMS:,} pieces of {len(CONTENT) / 1_000:g} KB: put {statistics.median(puts_us):.1f} µs "
            f"(the file follows in {write_s / ITEMS * 1e6:.0f} µs each), miss {miss_us:.1f} µs, "
            f"hit in front {front_us:.1f} µs, in the file {file_us:.0f} µs"
        )
        start = time.perf_counter()
        deleted = await store.delete_tenant("acme")
        print(f"deleting a tenant of {deleted:,} pieces: {(time.perf_counter() - start) * 1e3:.0f} ms")
    more_mib, front_mib = memory_mib() - before_mib, options.front_bytes_max >> 20
    print(f"memory: {more_mib:.0f} MiB more at most, {front_mib} of it for the front")


async def measure_joining() -> None:
    """Print what joining costs, alone and for a thousand at once."""
    in_flight = InFlight[bytes]()
    calls = 0

    async def call() -> bytes:
        nonlocal calls
        joined = await in_flight.join(b"key")
        if not isinstance(joined, Lead):
            return joined
        with joined as lead:
            calls += 1
            await asyncio.sleep(0.01)
            lead.share(CONTENT)
            return CONTENT

    async def alone() -> None:
        lead = await in_flight.join(b"key")
        if isinstance(lead, Lead):
            lead.give_up()

    alone_us = await mean_us(alone() for _ in range(20_000))
    start = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(1_000)))
    print(
        f"joining: {alone_us:.1f} µs alone; 1,000 at once made {calls} call and took "
        f"{(time.perf_counter() - start) * 1e3:.0f} ms, 10 of them upstream"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure working content.")
    parser.add_argument("--dir", type=Path, default=None, help="Where the temporary directory is made.")
    measure_policy()
    with tempfile.TemporaryDirectory(dir=parser.parse_args().dir) as folder:
        uvloop.run(measure_store(Path(folder)))
    uvloop.run(measure_joining())


if __name__ == "__main__":
    main()
