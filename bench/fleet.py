"""Gateways that share a data folder, and are killed and started again while they are called."""

import asyncio
import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.servers import bursar, free_port, running


class Fleet:
    """Gateway processes of one configuration.

    Args:
        config: Their bursar.toml.
        count: How many there are.
        time_scale: How much faster time runs for them.
        seed: Of what it draws.
    """

    def __init__(self, config: Path, count: int, time_scale: float, seed: int) -> None:
        self._config = config
        self._time_scale = time_scale
        self._draw = random.Random(seed)  # noqa: S311 - load, not a secret
        self._ports = [free_port() for _ in range(count)]
        self._stacks = [ExitStack() for _ in range(count)]
        self._pids = [0] * count
        self.kills = 0

    async def __aenter__(self) -> Self:
        """Start all of them."""
        try:
            for number in range(len(self._ports)):
                await asyncio.to_thread(self._start, number)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop those that run."""
        for stack in self._stacks:
            await asyncio.to_thread(stack.close)

    def pick(self) -> str:
        """Return the URL of any of them."""
        return f"http://127.0.0.1:{self._draw.choice(self._ports)}"

    async def keep_killing(self, every_s: float) -> None:
        """Kill one after another, and start it again, until this is cancelled; then all of them run."""
        while True:
            await asyncio.sleep(every_s)
            number = self._draw.randrange(len(self._ports))
            os.kill(self._pids[number], signal.SIGKILL)
            self.kills += 1
            starting = asyncio.ensure_future(asyncio.to_thread(self._restart, number))
            try:
                await asyncio.shield(starting)
            except asyncio.CancelledError:
                await starting
                raise

    def _restart(self, number: int) -> None:
        self._stacks[number].close()
        self._start(number)

    def _start(self, number: int) -> None:
        port = self._ports[number]
        serve = bursar("serve", "--config", str(self._config), "--port", str(port))
        serve += ["--time-scale", str(self._time_scale)]
        self._pids[number] = self._stacks[number].enter_context(running(serve, port=port))
