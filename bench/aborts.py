"""Clients that abort their streams: how many streams stay open at the provider.

Twenty clients ask for a stream of a provider that takes its time, and close their connections once the
first words have come. The provider must see all of its streams closed within 1.5 s, since it bills what
it generates, and the ledger must have each call once.

    python -m bench.aborts [--clients 20]
"""

import argparse
import asyncio
import json
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench.conversations import bodies
from bench.load import http_post
from bench.servers import bursar, free_port, running, stub
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.ledger import Status

_HEADERS = {"x-api-key": "bench", "anthropic-version": "2023-06-01"}
_PATIENCE_S = 1.5


async def _abort_streams(port: int, clients: int) -> None:
    """Open streams, wait until each has brought something, and close them all."""
    requests = [json.dumps(json.loads(body) | {"stream": True}).encode() for body in bodies(1_000, clients)]
    writers = await asyncio.gather(*[_open_stream(port, request) for request in requests])
    for writer in writers:
        writer.transport.abort()


async def _open_stream(port: int, body: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(http_post("/v1/messages", body, _HEADERS))
    async with asyncio.timeout(5):
        await reader.readuntil(b"content_block_delta")
    return writer


def _open_at(stub_port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{stub_port}/open", timeout=2) as answer:
        return int(answer.read())


async def _measure(port: int, stub_port: int, clients: int) -> int:
    """Return how many streams are open at the provider some time after the abort."""
    await _abort_streams(port, clients)
    await asyncio.sleep(_PATIENCE_S)
    return await asyncio.to_thread(_open_at, stub_port)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    clients: int = parser.parse_args().clients
    stub_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as data:
        slowly = stub(stub_port, "--stream-events", "2000", "--event-gap-ms", "20")
        serve = bursar(
            "serve",
            "--port",
            str(port),
            "--data-dir",
            data,
            "--upstream",
            f"anthropic=http://127.0.0.1:{stub_port}",
        )
        with running(slowly, port=stub_port, ready="/open"), running(serve, port=port):
            still_open = asyncio.run(_measure(port, stub_port, clients))
        entries = list(LedgerReader.open(Path(data)).entries())
    aborted = sum(entry.status is Status.ABORTED for entry in entries)
    print(f"clients that aborted their streams:              {clients}")
    print(f"streams still open at the provider {_PATIENCE_S} s later: {still_open}")
    print(f"calls in the ledger, of them aborted:            {len(entries)}, {aborted}")
    return int(still_open != 0 or aborted != clients or len(entries) != clients)


if __name__ == "__main__":
    sys.exit(main())
