"""An ASGI application on a real socket, served in this process as `bursar serve` does it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from bursar.cli.server import listen
from bursar.gateway.bounded_heads import BoundedHeads


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the test's own process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def serving_here(app: Any) -> AsyncGenerator[str]:
    """Serve on a free port until the block ends. Yields the URL."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        http=BoundedHeads,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    server = _Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(20):
            while not server.started:
                assert not task.done(), "it did not start; the log says why"
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
