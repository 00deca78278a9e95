"""kill -9 under load: calls that were answered but are not in the ledger.

Callers send calls, whole and streaming, as fast as they are answered, until the gateway is killed. Then
the ledger is read, and the gateway is started on it again.

    python -m bench.kill [--seconds 3] [--connections 32]
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from bench.conversations import bodies
from bench.load import http_post
from bench.servers import bursar, free_port, running, stub
from bursar.adapters.ledger.sqlite import LedgerReader

_HEADERS = {"x-api-key": "bench", "anthropic-version": "2023-06-01"}
_START_S = 15.0
_ID_HEADER = b"x-bursar-operation-id: "


async def _call(port: int, requests: list[bytes], answered: set[str]) -> None:
    """Send one call after another; take note of those whose answer arrived whole."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in cycle(requests):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b"transfer-encoding: chunked" in head.lower():
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                length = head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
                await reader.readexactly(int(length))
            answered.add(head.split(_ID_HEADER, 1)[1].split(b"\r\n", 1)[0].decode())
    except (OSError, asyncio.IncompleteReadError):
        return


def _requests() -> list[list[bytes]]:
    """Return each caller's requests: one caller sends whole ones, the next one streams, and so on."""
    made: list[list[bytes]] = []
    for number, body in enumerate(bodies(1_000, 64)):
        asked = json.dumps(json.loads(body) | {"stream": number % 2 == 1}).encode()
        made.append([http_post("/v1/messages", asked, _HEADERS)])
    return made


async def _kill_under_load(port: int, process_id: int, seconds: float, connections: int) -> set[str]:
    """Return the ids of all calls that were answered before the gateway was killed."""
    answered: set[str] = set()
    requests = cycle(_requests())
    callers = [asyncio.create_task(_call(port, next(requests), answered)) for _ in range(connections)]
    async with asyncio.timeout(_START_S):
        while len(answered) < connections:  # noqa: ASYNC110 - The callers have no event to set.
            await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    os.kill(process_id, signal.SIGKILL)
    await asyncio.gather(*callers)
    return answered


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    stub_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as data:
        serve = bursar(
            "serve",
            "--port",
            str(port),
            "--data-dir",
            data,
            "--upstream",
            f"anthropic=http://127.0.0.1:{stub_port}",
        )
        with running(stub(stub_port, "--stream-events", "5"), port=stub_port, ready="/open"):
            with running(serve, port=port) as process_id:
                killing = _kill_under_load(port, process_id, options.seconds, options.connections)
                answered = asyncio.run(killing)
            recorded = {entry.operation_id for entry in LedgerReader.open(Path(data)).entries()}
            with running(serve, port=port):
                again = len(list(LedgerReader.open(Path(data)).entries()))
    lost = answered - recorded
    print(f"calls answered before kill -9:          {len(answered)}")
    print(f"calls in the ledger:                    {len(recorded)}")
    print(f"calls answered but not in the ledger:   {len(lost)}")
    print(f"calls in the ledger after a new start:  {again}")
    return int(bool(lost) or not answered or again != len(recorded))


if __name__ == "__main__":
    sys.exit(main())
