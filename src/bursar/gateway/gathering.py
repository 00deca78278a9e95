"""Answers in one piece: a head leaves together with the body that is written right behind it.

uvicorn writes an answer's head and its body one after the other, and the event loop sends each at once. That
is two packets, and the server and its client both wake up twice, where nearly all answers fit into one.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "

# To copy more than this behind a head costs more than to send it by itself.
_JOINED_BYTES_MAX = 65_536


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, over a `GatheringTransport`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self.transport = GatheringTransport(transport, self.loop)


class GatheringTransport(asyncio.Transport):
    """Keeps the head of an answer back until more is written, or until the event loop's next turn.

    Args:
        transport: Where everything goes.
        loop: The event loop that it belongs to.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write; a head waits."""
        head = self._head
        if not head and data[: len(_HEAD)] == _HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self._flush)
            return
        if head and len(data) <= _JOINED_BYTES_MAX:
            self._head = b""
            data = head + data
        elif head:
            self._flush()
        self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write several pieces."""
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or is to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)
