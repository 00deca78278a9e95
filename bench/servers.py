"""Starting the servers that a benchmark needs, and stopping just those."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

STUB_CORE = 1
GATEWAY_CORE = 0


@contextmanager
def running(
    command: Sequence[str], *, port: int, core: int | None = None, ready: str = "/health/ready"
) -> Generator[int]:
    """Run a server until the block ends; gives its process id.

    Args:
        command: What to start.
        port: Where it will listen.
        core: The core to pin it to.
        ready: A path that answers when it is up.
    """
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    process = subprocess.Popen([*pinned, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_ready(process, f"http://127.0.0.1:{port}{ready}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def running_redis() -> Generator[int]:
    """Run a Redis without files until the block ends; gives its port."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not _listens(port):
            if process.poll() is not None:
                raise RuntimeError(f"redis-server ended with {process.returncode}")
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bursar(*arguments: str) -> list[str]:
    """Return the command line of a bursar command in this environment."""
    return [str(Path(sys.executable).parent / "bursar"), *arguments]


def stub(port: int, *arguments: str) -> list[str]:
    """Return the command line of the constant-byte upstream."""
    return [sys.executable, "-m", "bench.stub", "--port", str(port), *arguments]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"{url}: the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback, our own server
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url}: the server did not start")
