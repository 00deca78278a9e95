"""The HTTP upstream against raw sockets that answer, stall, break off or are not there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bursar.adapters.timers import CoarseTimers
from bursar.adapters.upstream import HttpUpstream
from bursar.errors import UpstreamFailed
from bursar.ports import UpstreamRequest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class RawServer:
    """Answers each request with given bytes, and remembers what it was asked."""

    def __init__(self, *answers: bytes, close: bool = False, hang: bool = False) -> None:
        self._answers = answers
        self._close = close
        self._hang = hang
        self.asked: list[bytes] = []
        self.reached = asyncio.Event()
        self.lost = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                self.asked.append(head + await reader.readexactly(length))
                self.reached.set()
                for answer in self._answers:
                    writer.write(answer)
                    await writer.drain()
                if self._close:
                    return
                if self._hang:
                    await reader.read()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.lost.set()
            writer.close()


@asynccontextmanager
async def served(server: RawServer) -> AsyncIterator[HttpUpstream]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    upstream = HttpUpstream({"anthropic": f"http://127.0.0.1:{port}/"}, {"anthropic": 1.0}, CoarseTimers())
    try:
        yield upstream
    finally:
        await upstream.close()
        listener.close()
        await listener.wait_closed()


def request(
    path: str = "/v1/messages", body: bytes = b"{}", timeout_s: float = 5.0, **headers: str
) -> UpstreamRequest:
    return UpstreamRequest("anthropic", "POST", path, headers, body, timeout_s)


async def test_headers_come_in_lower_case_and_repeated_ones_joined() -> None:
    answer = (
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Type: application/json\r\n"
        b"X-Limit: a\r\nx-limit: b\r\nContent-Length: 2\r\n\r\n{}"
    )
    async with served(RawServer(answer)) as upstream:
        response = await upstream.send(request())
        assert response.status == 429
        assert await response.read() == b"{}"
    assert dict(response.headers) == {
        "retry-after": "3",
        "content-type": "application/json",
        "x-limit": "a, b",
        "content-length": "2",
    }


async def test_what_goes_out_is_what_was_asked_and_nothing_that_names_the_library() -> None:
    server = RawServer(OK)
    async with served(server) as upstream:
        response = await upstream.send(request("/v1/models?before=a%2Fb&q=%7E", b'{"a":1}', anthropic="beta"))
        await response.read()
    head, body = server.asked[0].split(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /v1/models?before=a%2fb&q=%7e http/1.1"
    assert body == b'{"a":1}'
    assert b"anthropic: beta" in lines
    assert b"accept-encoding: identity" in lines
    assert not [line for line in lines if line.startswith((b"user-agent", b"content-type", b"cookie"))]


async def test_connections_are_used_again_and_cookies_are_not_kept() -> None:
    server = RawServer(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))
    async with served(server) as upstream:
        for _ in range(3):
            await (await upstream.send(request())).read()
    assert server.connections == 1
    assert b"cookie" not in b"".join(server.asked).lower()


async def test_redirects_are_answers_and_not_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with served(RawServer(redirect)) as upstream:
        assert (await upstream.send(request())).status == 302


async def test_a_provider_that_is_not_there_was_never_sent_anything() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        upstream = HttpUpstream(
            {"anthropic": f"http://127.0.0.1:{taken.getsockname()[1]}"}, {"anthropic": 1.0}, CoarseTimers()
        )
        with pytest.raises(UpstreamFailed) as failure:
            await upstream.send(request())
        await upstream.close()
    assert (failure.value.sent, failure.value.timed_out) == (False, False)
    assert str(failure.value) == "the provider cannot be reached"


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"],
    ids=["nothing", "half a head", "no HTTP", "a bad length"],
)
async def test_a_provider_that_breaks_off_before_its_head_may_have_been_sent_the_request(
    answer: bytes,
) -> None:
    async with served(RawServer(answer, close=True)) as upstream:
        with pytest.raises(UpstreamFailed) as failure:
            await upstream.send(request())
    assert failure.value.sent
    assert "127.0.0.1" not in str(failure.value)


async def test_a_silent_provider_runs_into_the_time_out() -> None:
    async with served(RawServer(hang=True)) as upstream:
        with pytest.raises(UpstreamFailed) as failure:
            await upstream.send(request(timeout_s=0.05))
    assert (failure.value.sent, failure.value.timed_out) == (True, True)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_chunks_pass_one_by_one_and_a_break_is_told() -> None:
    async with served(RawServer(STREAM_HEAD, b"5\r\nhello\r\n", close=True)) as upstream:
        response = await upstream.send(request())
        chunks = response.chunks()
        assert await anext(chunks) == b"hello"
        with pytest.raises(UpstreamFailed) as failure:
            await anext(chunks)
        response.close()
    assert failure.value.sent


async def test_a_stream_that_falls_silent_runs_into_the_time_out() -> None:
    async with served(RawServer(STREAM_HEAD, b"5\r\nhello\r\n", hang=True)) as upstream:
        response = await upstream.send(request(timeout_s=0.1))
        chunks = response.chunks()
        assert await anext(chunks) == b"hello"
        with pytest.raises(UpstreamFailed) as failure:
            await anext(chunks)
        response.close()
    assert failure.value.timed_out


async def test_a_body_shorter_than_declared_is_told() -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"
    async with served(RawServer(short, close=True)) as upstream:
        response = await upstream.send(request())
        with pytest.raises(UpstreamFailed):
            await response.read()
        response.close()


async def test_closing_an_unfinished_answer_drops_the_connection_at_once() -> None:
    server = RawServer(STREAM_HEAD, b"5\r\nhello\r\n", hang=True)
    async with served(server) as upstream:
        response = await upstream.send(request())
        chunks = response.chunks()
        await anext(chunks)
        response.close()
        async with asyncio.timeout(1):
            await server.lost.wait()


async def test_cancelling_a_request_drops_its_connection() -> None:
    server = RawServer(hang=True)
    async with served(server) as upstream:
        sending = asyncio.ensure_future(upstream.send(request()))
        await server.reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(1):
            await server.lost.wait()


async def test_long_rate_limit_headers_are_taken() -> None:
    long = OK.replace(b"\r\n\r\n", b"\r\nx-long: " + b"a" * 40_000 + b"\r\n\r\n")
    async with served(RawServer(long)) as upstream:
        assert len((await upstream.send(request())).headers["x-long"]) == 40_000
