"""Running an ASGI application: the socket, uvicorn, and the garbage collector."""

import errno
import gc
import logging
import socket
import sys
from typing import Any

import uvicorn

from bursar.errors import BadSetting
from bursar.gateway.bounded_heads import BoundedHeads

# Long-lived objects (memos, threads, caches) make full collections slow and useless. With what start-up
# made frozen and collections rarer, throughput rises by an eighth to a quarter and p99 halves (DESIGN.md).
_GC_THRESHOLDS = (50_000, 50, 100)

_BACKLOG = 2048

# Longer than clients and balancers keep idle connections, so that none sends into one that closes.
_KEEP_ALIVE_S = 75


def listen(host: str, port: int) -> socket.socket:
    """Listen before anything else is started.

    Raises:
        BadSetting: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Whoever reads that we serve may connect at once: it is kept waiting, not turned away.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        place = f"{host}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise BadSetting(
                "the port is in use; stop what uses it, or choose another with --port", place=place
            ) from None
        raise BadSetting(f"cannot listen there ({error.strerror or error})", place=place) from None
    return listener


def run_server(app: Any, listener: socket.socket, *, grace_s: int) -> None:
    """Serve an ASGI application until the process is told to stop.

    Args:
        app: The application.
        listener: A bound socket.
        grace_s: How long calls may go on after that.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHeads,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=grace_s,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    uvicorn.Server(config).run(sockets=[listener])
