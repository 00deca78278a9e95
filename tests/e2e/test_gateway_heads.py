"""Requests whose heads are too large or too slow, on a socket of a server that runs."""

import socket
import time
from collections.abc import Iterator

import httpx2
import pytest

from served_processes import Served, serving

CONFIG = """
[server]
body_timeout_s = 1
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "bursar.toml").write_text(CONFIG)
    with serving("serve", directory, "--config", "bursar.toml") as served:
        yield served


def connected(gateway: Served) -> socket.socket:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def told(gateway: Served, *pieces: bytes) -> bytes:
    """Send pieces, a moment apart, and return all that is answered until the connection ends."""
    with connected(gateway) as client:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.05)
            try:
                client.sendall(piece)
            except OSError:
                break
        answer = b""
        try:
            while part := client.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


LINE = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (LINE + b"x: y\r\n" * 200 + b"\r\n",),
        (LINE + b"x: " + b"y" * 70_000 + b"\r\n\r\n",),
        (LINE + b"x: ", *[b"y" * 20_000] * 8),
        (LINE, *[b"x: " + b"y" * 20_000 + b"\r\n"] * 8),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",),
    ],
)
def test_a_head_that_is_too_large_gets_431_and_no_more_is_read(
    gateway: Served, pieces: tuple[bytes, ...]
) -> None:
    assert told(gateway, *pieces).startswith(b"HTTP/1.1 431 ")
    assert httpx2.get(f"{gateway.url}/health/live").status_code == 200


def test_a_large_head_within_the_limits_is_answered(gateway: Served) -> None:
    headers = {f"x-{number}": "y" * 500 for number in range(100)}
    assert httpx2.get(f"{gateway.url}/health/live", headers=headers).status_code == 200


def test_a_head_in_single_bytes_is_answered(gateway: Served) -> None:
    with connected(gateway) as client:
        for byte in LINE + b"\r\n":
            client.sendall(bytes([byte]))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_arrive_gets_408_in_the_dialects_form(gateway: Served) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\ncontent-length: 100\r\n\r\n{"
    answer = told(gateway, head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"type":"error"' in answer
    assert b"server.body_timeout_s" in answer


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example:4100", b"127.0.0.1@evil", b""])
def test_a_name_that_is_not_the_gateways_gets_421(gateway: Served, host: bytes) -> None:
    answer = told(gateway, b"GET /metrics HTTP/1.1\r\nconnection: close\r\nhost: " + host + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 421 ")
