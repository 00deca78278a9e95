"""What a gateway makes of its Redis before it takes the first call."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from bursar.settings import parse
from bursar.wiring.gateway import build_gateway
from redis_process import redis_process


def started(data_dir: Path, url: str) -> list[dict[str, Any]]:
    """Start a gateway and stop it again; returns what it told its server."""
    gateway = build_gateway(parse({"storage": {"dir": str(data_dir), "redis": url}}, "test"))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan"}

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(gateway({"type": "lifespan"}, receive, send))
    return sent


def test_a_redis_that_may_drop_what_was_spent_is_not_begun_with(tmp_path: Path) -> None:
    with redis_process("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        (failed,) = started(tmp_path, server.url)
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"].startswith("storage.redis: ")
    assert "maxmemory-policy to noeviction" in failed["message"]


def test_a_redis_that_keeps_what_was_spent_is_begun_with(tmp_path: Path) -> None:
    with redis_process("--maxmemory", "100mb", "--maxmemory-policy", "noeviction") as server:
        sent = started(tmp_path, server.url)
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_redis_that_cannot_be_reached_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "bursar.budgets"):
        sent = started(tmp_path, "redis://127.0.0.1:1/0")
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert any("storage.redis" in record.message for record in caplog.records)
