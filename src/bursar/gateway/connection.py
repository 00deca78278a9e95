"""One ASGI connection: reading a request's body and answering."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bursar.adapters.timers import Deadline
from bursar.ports import Timers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# How much of a body that is too long is taken, in limits, and for how long.
_DISCARDED_LIMITS = 4
_DISCARD_S = 10.0


class BodyTooLarge(Exception):
    """The body is longer than the gateway takes."""


class BodyLate(Exception):
    """The body did not arrive within the time that the gateway waits for one."""


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Connection:
    """One request and its response; fills `ports.Client`.

    Args:
        receive: Of the ASGI server.
        send: Likewise.
        timers: What is waited by.
        body_timeout_s: How long the request's body may take to arrive.

    Attributes:
        started: Whether the head of a response was sent.
    """

    def __init__(self, receive: Receive, send: Send, timers: Timers, body_timeout_s: float) -> None:
        self._receive = receive
        self._send = send
        self._timers = timers
        self._body_timeout_s = body_timeout_s
        self.started = False

    async def body(self, headers: Mapping[str, str], limit_bytes: int) -> bytes:
        """Read the request's body.

        Raises:
            BodyLate: It took too long.
            BodyTooLarge: It is longer than `limit_bytes`, declared or not.
            ClientLeft: It did not arrive whole.
        """
        deadline = Deadline(self._timers, self._body_timeout_s)
        try:
            with deadline:
                return await self._read(headers, limit_bytes)
        except TimeoutError:
            raise BodyLate from None
        finally:
            deadline.end()

    async def _read(self, headers: Mapping[str, str], limit_bytes: int) -> bytes:
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit_bytes:
            await self._discard(limit_bytes)
            raise BodyTooLarge
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > limit_bytes:
                raise BodyTooLarge
            return body
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit_bytes:
                parts.clear()
                if message.get("more_body"):
                    await self._discard(limit_bytes)
                raise BodyTooLarge
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self._receive()

    async def _discard(self, limit_bytes: int) -> None:
        """Take the rest of a body that is too long, up to a few times the limit, and keep nothing of it.

        A connection that is closed while the client still writes is reset, and the client never sees why.
        """
        left = _DISCARDED_LIMITS * limit_bytes
        try:
            async with asyncio.timeout(_DISCARD_S):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of a response."""
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1", "replace"))
                    for name, value in headers.items()
                ],
            }
        )

    async def write(self, data: bytes) -> None:
        """Send body bytes; returns at once if the client has left."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Send the last body bytes."""
        await self._send({"type": "http.response.body", "body": data})

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole response."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        await self.end(body)

    async def left(self) -> None:
        """Return once the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Staying:
    """The client of a call that is to be seen through, whether anybody waits for it or not.

    Args:
        connection: The client's connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of a response."""
        await self._connection.start(status, headers)

    async def write(self, data: bytes) -> None:
        """Send body bytes; returns at once if the client has left."""
        await self._connection.write(data)

    async def left(self) -> None:
        """Never return: that the client leaves changes nothing."""
        await asyncio.Event().wait()
