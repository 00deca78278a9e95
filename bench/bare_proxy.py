"""The least that a proxy on this stack can do: raw ASGI, uvicorn, an aiohttp client, nothing else.

`python -m bench.bare_proxy PORT UPSTREAM_PORT`. What the gateway takes beyond it is what Bursar costs.
"""

import sys
from typing import Any

import aiohttp
import uvicorn


class BareProxy:
    """Passes bodies on, and answers back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        async with self._session.request(
            scope["method"], self._upstream + scope["path"], data=body or None
        ) as response:
            answer = await response.read()
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(b"content-length", str(len(answer)).encode())],
            }
        )
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    uvicorn.run(
        BareProxy(f"http://127.0.0.1:{upstream_port}"),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main()
