"""Stands before a server, and now and then swallows an answer after the server has done what was asked.

From a swallowed answer on, its connection stays silent until the client gives it up.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_CHUNK_BYTES = 1 << 16


class LossyProxy:
    """Passes bytes on.

    Args:
        port: Of the server, on loopback.
        losing: Share of the answers that are swallowed.
        seed: Of what it draws.
    """

    def __init__(self, port: int, losing: float, seed: int) -> None:
        self._port = port
        self._draw = random.Random(seed)  # noqa: S311 - faults, not a secret
        self.losing = losing
        self.swallowed = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[int]:
        """Listen until the block ends; gives the port, on loopback."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # When all is over, what still passes is cancelled; that is no fault to be told.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            answers, asked = await asyncio.open_connection("127.0.0.1", self._port)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, asked))
                both.create_task(self._pass_most_on(answers, writer))

    async def _pass_most_on(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_silent = False
        with contextlib.suppress(ConnectionError):
            while content := await answers.read(_CHUNK_BYTES):
                if not is_silent and self._draw.random() < self.losing:
                    is_silent = True
                    self.swallowed += 1
                if not is_silent:
                    writer.write(content)
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(_CHUNK_BYTES):
            writer.write(content)
    writer.close()
