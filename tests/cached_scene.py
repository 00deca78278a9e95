"""What scenarios of the response cache share."""

import asyncio
from typing import Any

from bursar.domain.ledger import Entry
from bursar.drivers.asynchronous import CallDriver
from bursar.effects import Reply
from bursar.exchange.life import live
from scripted_world import Scene, WaitingClient, check_sums

# Calls at temperature 0 take part unasked.
COLD = {"temperature": 0}


def entries(scene: Scene) -> list[Entry]:
    for entry in scene.ledger.entries:
        check_sums(entry)
    return scene.ledger.entries


def cache_of(reply: Reply) -> str:
    return reply.headers.get("x-bursar-cache", "")


def without_comments(events: bytes) -> bytes:
    return b"".join(
        part + b"\n\n" for part in events.split(b"\n\n") if part and not part.startswith(b": bursar")
    )


async def broken(*_: object) -> None:
    raise RuntimeError("the store is broken")


async def start(scene: Scene, body: Any, headers: Any = None) -> tuple[WaitingClient, "asyncio.Task[Reply]"]:
    """Begin a call of a client of its own."""
    client = WaitingClient()
    driver = CallDriver(scene.world, client)
    task = asyncio.create_task(driver.run(live(scene.engine, scene.arrival(body, headers))))
    for _ in range(5):
        await asyncio.sleep(0)
    return client, task
