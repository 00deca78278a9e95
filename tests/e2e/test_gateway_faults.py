"""The real gateway on real sockets: bad requests, bad providers, and signals."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bursar.domain.ledger import CostBasis, Status
from provider_answers import message, message_events
from scripted_world import ask
from served_processes import Served, serving

ROOT = Path(__file__).parents[2]
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}

HTML = b"<html>Bad gateway</html>"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def whole(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)


# What the provider does, by the user that a request names.
ANSWERS: dict[str, tuple[bytes, ...]] = {
    "well": (whole(json.dumps(message()).encode()),),
    "garbage": (whole(b"\x00\xff{{{"),),
    "html": (whole(HTML, kind="text/html"),),
    "html error": (whole(HTML, "404 Not Found", "text/html"),),
    "no http": (b"220 smtp.example ESMTP\r\n",),
    "hangs up": (),
    "cut": (whole(json.dumps(message()).encode())[:-30],),
    "stream": (STREAM_HEAD, chunked(*message_events()) + b"0\r\n\r\n"),
    "cut stream": (STREAM_HEAD, chunked(*message_events()[:3])),
    "bad chunk": (STREAM_HEAD, chunked(*message_events()[:3]), b"pause", b"zz\r\n"),
    "silent": (STREAM_HEAD, chunked(*message_events()[:3]), b"wait"),
}


async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        body = json.loads(await reader.readexactly(length))
        for part in ANSWERS[body["metadata"]["user_id"]]:
            if part == b"wait":
                await reader.read()
            if part == b"pause":
                await asyncio.sleep(0.1)
                continue
            writer.write(part)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def provider_at(port: int) -> AsyncIterator[None]:
    server = await asyncio.start_server(misbehave, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@pytest.fixture(scope="module")
def provider_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CONFIG = """
[server]
body_limit_bytes = 65536
shutdown_grace_s = 1
[providers.anthropic]
base_url = "http://127.0.0.1:{port}"
deadline_s = 5
timeout_s = 1
"""


@pytest.fixture(scope="module")
def gateway(provider_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "bursar.toml").write_text(CONFIG.format(port=provider_port))
    with serving("serve", directory, "--config", "bursar.toml") as served:
        yield served
        # Nothing of all this is worth a stack trace in the log either.
        assert "Traceback" not in served.log.read_text()


async def posted(
    gateway: Served, body: Any, path: str = "/v1/messages", **options: Any
) -> tuple[int, bytes, Any]:
    content = body if isinstance(body, bytes) or hasattr(body, "__anext__") else json.dumps(body).encode()
    headers = {**HEADERS, **options.pop("headers", {})}
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(10),
        session.request(
            options.pop("method", "POST"), gateway.url + path, data=content, headers=headers
        ) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


def check_refusal(answered: tuple[int, bytes, Any], status: int, kind: str) -> str:
    """Check that a refusal is in Anthropic's form, with an operation id; return its message."""
    found, body, headers = answered
    error = json.loads(body)
    assert found == status
    assert (error["type"], error["error"]["type"]) == ("error", kind)
    assert headers["x-bursar-operation-id"] == error["request_id"]
    assert "Traceback" not in error["error"]["message"]
    return str(error["error"]["message"])


def told(case: str, **fields: Any) -> dict[str, Any]:
    return ask(metadata={"user_id": case}, **fields)


@pytest.mark.parametrize(
    ("case", "streaming", "status"),
    [
        ("garbage", False, Status.ERROR),
        ("html", False, Status.ERROR),
        ("html", True, Status.ERROR),
        ("no http", False, Status.ERROR),
        ("hangs up", True, Status.ERROR),
        ("cut", False, Status.CUT),
    ],
)
async def test_a_provider_that_makes_no_sense_is_told_as_502_and_recorded_once(
    gateway: Served, provider_port: int, case: str, streaming: bool, status: Status
) -> None:
    before = len(gateway.entries())
    async with provider_at(provider_port):
        answered = await posted(gateway, told(case, stream=streaming))
    check_refusal(answered, 502, "api_error")
    entries = gateway.entries()[before:]
    assert [(entry.status, entry.basis, entry.http_status) for entry in entries] == [
        (status, CostBasis.ESTIMATED, 502)
    ]


async def test_an_error_page_is_told_in_json_with_its_status(gateway: Served, provider_port: int) -> None:
    async with provider_at(provider_port):
        answered = await posted(gateway, told("html error"))
    assert "404" in check_refusal(answered, 404, "api_error")


@pytest.mark.parametrize("case", ["cut stream", "bad chunk", "silent"])
async def test_a_stream_that_is_cut_ends_with_an_error_event(
    gateway: Served, provider_port: int, case: str
) -> None:
    async with provider_at(provider_port):
        status, body, _ = await posted(gateway, told(case, stream=True))
    assert status == 200
    assert body.startswith(b"".join(message_events()[:3]))
    assert b"event: error\n" in body
    entry = gateway.entries()[-1]
    assert (entry.status, entry.basis) == (Status.CUT, CostBasis.ESTIMATED)


async def test_a_provider_that_is_not_there_is_told_and_costs_nothing(gateway: Served) -> None:
    answered = await posted(gateway, told("well"))
    assert "cannot be reached" in check_refusal(answered, 502, "api_error")
    entry = gateway.entries()[-1]
    assert (entry.status, entry.cost_nusd, len(entry.attempts)) == (Status.ERROR, 0, 3)
    free = await posted(gateway, told("well"), "/v1/messages/count_tokens")
    check_refusal(free, 502, "api_error")


async def test_bad_requests_are_told_in_the_dialects_form(gateway: Served) -> None:
    check_refusal(await posted(gateway, b"{"), 400, "invalid_request_error")
    assert "messages[0]" in check_refusal(
        await posted(gateway, ask(messages=[7])), 400, "invalid_request_error"
    )
    unpriced = await posted(gateway, ask(model="claude-none"))
    assert "claude-none" in check_refusal(unpriced, 400, "invalid_request_error")
    tags = await posted(gateway, ask(), headers={"x-bursar-tags": "nonsense"})
    assert "x-bursar-tags" in check_refusal(tags, 400, "invalid_request_error")
    packed = await posted(gateway, b"\x1f\x8b\x08", headers={"content-encoding": "gzip"})
    check_refusal(packed, 415, "invalid_request_error")
    check_refusal(await posted(gateway, b"", method="PUT"), 404, "not_found_error")
    check_refusal(await posted(gateway, b"", "/v1/complete"), 404, "not_found_error")


async def test_a_body_over_the_limit_is_refused_declared_or_chunked(gateway: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 4096

    check_refusal(await posted(gateway, b" " * 100_000), 413, "request_too_large")
    check_refusal(await posted(gateway, chunks()), 413, "request_too_large")
    # The connection, and the gateway, are as good as new.
    check_refusal(await posted(gateway, b"{"), 400, "invalid_request_error")


async def test_a_client_that_sends_half_a_request_and_leaves_disturbs_nobody(gateway: Served) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    for half in (
        b"POST /v1/mess",
        b"POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{",
        b"\x16\x03\x01",
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(half)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    check_refusal(await posted(gateway, b"{"), 400, "invalid_request_error")


async def test_a_stopped_gateway_records_the_streams_that_it_breaks_off(
    provider_port: int, tmp_path: Path
) -> None:
    patient = CONFIG.format(port=provider_port).replace("timeout_s = 1", "timeout_s = 30")
    (tmp_path / "bursar.toml").write_text(patient)
    async with provider_at(provider_port):
        with serving("serve", tmp_path, "--config", "bursar.toml") as served:
            async with aiohttp.ClientSession() as session:
                body = told("silent", stream=True)
                async with session.post(f"{served.url}/v1/messages", json=body, headers=HEADERS) as answer:
                    await answer.content.readany()
                    served.process.terminate()
                    code = await asyncio.to_thread(served.process.wait, 15)
    # The signal's own code: what asked it to stop can tell that it did.
    assert code == -signal.SIGTERM
    assert [(entry.status, entry.basis) for entry in served.entries()] == [
        (Status.ABORTED, CostBasis.ESTIMATED)
    ]


@pytest.mark.parametrize(
    ("bench", "arguments"),
    [("aborts", ["--clients", "20"]), ("kill", ["--seconds", "1", "--connections", "16"])],
)
def test_nothing_stays_open_and_nothing_is_lost(bench: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", f"bench.{bench}", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
