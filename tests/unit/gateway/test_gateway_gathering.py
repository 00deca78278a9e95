"""Answers in one piece."""

import asyncio

from bursar.gateway.gathering import GatheringTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Recording(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True


async def test_a_head_leaves_together_with_the_body_behind_it() -> None:
    below = Recording()
    transport = GatheringTransport(below, asyncio.get_running_loop())
    transport.write(HEAD)
    transport.write(b"ok")
    await asyncio.sleep(0)
    assert below.written == [HEAD + b"ok"]


async def test_a_head_without_a_body_leaves_at_the_next_turn_of_the_loop() -> None:
    below = Recording()
    transport = GatheringTransport(below, asyncio.get_running_loop())
    transport.write(HEAD)
    assert below.written == []
    await asyncio.sleep(0)
    assert below.written == [HEAD]
    transport.write(b"data: 1\n\n")
    assert below.written == [HEAD, b"data: 1\n\n"]


async def test_a_long_body_is_not_copied_behind_its_head() -> None:
    below = Recording()
    transport = GatheringTransport(below, asyncio.get_running_loop())
    body = b"x" * 100_000
    transport.write(HEAD)
    transport.write(body)
    await asyncio.sleep(0)
    assert below.written == [HEAD, body]


async def test_a_body_that_reads_like_a_head_keeps_its_place() -> None:
    below = Recording()
    transport = GatheringTransport(below, asyncio.get_running_loop())
    transport.writelines([HEAD, b"HTTP/1.1 is a protocol", b"HTTP/1.1 again", b"."])
    await asyncio.sleep(0)
    assert b"".join(below.written) == HEAD + b"HTTP/1.1 is a protocolHTTP/1.1 again."


async def test_what_waits_is_written_before_the_connection_closes() -> None:
    below = Recording()
    transport = GatheringTransport(below, asyncio.get_running_loop())
    transport.write(HEAD)
    transport.close()
    assert below.written == [HEAD]
    assert below.closed
