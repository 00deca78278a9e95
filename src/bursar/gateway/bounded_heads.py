"""Limits on the heads of requests: how long they are, and how long they take.

uvicorn reads a head into memory however long it gets, and waits for its end for ever. Bodies are the
application's concern, which knows their limits.
"""

import asyncio
from http import HTTPStatus

from bursar.gateway.gathering import GatheringProtocol

HEAD_BYTES_MAX = 65_536
"""Bytes of a head: request line and headers."""

HEADERS_MAX = 128
"""Headers of a request."""

HEAD_TIMEOUT_S = 30.0
"""How long a head may take to arrive."""


class HeadTooLarge(Exception):
    """A request's head is longer than is read."""


class BoundedHeads(GatheringProtocol):
    """HTTP/1.1 whose heads have limits. A request beyond them gets 431 or 408, and its connection ends.

    What costs something is done only where a head does not arrive at once, which nearly all do.
    """

    _in_head = False
    _first_bytes = 0
    _further_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _is_too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, and wait for its first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._in_head:
            self._further_bytes += len(data)
            if self._further_bytes > HEAD_BYTES_MAX:
                self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
        else:
            self._first_bytes = len(data)
        super().data_received(data)
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late)

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        super().on_message_begin()
        self._in_head = True
        self._further_bytes = 0

    def on_headers_complete(self) -> None:
        """Let the application begin, unless the head is too large.

        Raises:
            HeadTooLarge: It is; the parser stops, and `send_400_response` is called.
        """
        self._in_head = False
        self._stop_waiting()
        received_bytes = self._first_bytes + self._further_bytes
        is_too_large = received_bytes > HEAD_BYTES_MAX and self._count_bytes() > HEAD_BYTES_MAX
        if is_too_large or len(self.headers) > HEADERS_MAX:
            self._is_too_large = True
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read."""
        if self._is_too_large:
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _refuse_late(self) -> None:
        self._head_timer = None
        if self.cycle and not self.cycle.response_complete:
            # An answer is on its way yet; the next head may wait for it.
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late)
        else:
            self._answer(HTTPStatus.REQUEST_TIMEOUT)

    def _answer(self, status: HTTPStatus) -> None:
        """Refuse a request without its application, and end the connection."""
        self._stop_waiting()
        text = f"{status.phrase}\n".encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + text)
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _count_bytes(self) -> int:
        """Count a head that may have come together with a body."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
