"""Redis servers for tests: each in a process of its own, on a free loopback port, without files that last."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 20.0


@dataclass(frozen=True)
class RedisProcess:
    """A server that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        process: Its process.
    """

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Where it is, as the store takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cli(self, *command: str) -> str:
        """Run a command by redis-cli, and return what it prints."""
        arguments = ["redis-cli", "-p", str(self.port), *command]
        return subprocess.run(arguments, capture_output=True, check=True, text=True).stdout.strip()


@contextmanager
def redis_process(*options: str, port: int | None = None, is_cluster: bool = False) -> Iterator[RedisProcess]:
    """Run a server until the block ends.

    Args:
        options: Further options of redis-server, such as `--maxmemory`, `2mb`.
        port: Where it is to listen, if that matters.
        is_cluster: Whether it is a cluster of one node that has all slots.
    """
    assert shutil.which("redis-server"), "these tests need redis-server: `make test` installs it"
    port = port or _free_port(is_cluster=is_cluster)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
                    *("--save", "", "--appendonly", "no"),
                    *(("--cluster-enabled", "yes") if is_cluster else ()),
                    *options,
                ],
                stdout=output,
                stderr=output,
            )
        server = RedisProcess(port, process)
        try:
            _await_ready(server, log)
            if is_cluster:
                server.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
                _await_slots(server)
            yield server
        finally:
            # A stopped process would not hear that it is to end.
            process.kill()
            process.wait(_PATIENCE_S)


def _free_port(*, is_cluster: bool) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        # A node of a cluster listens 10,000 ports further up as well.
        if not is_cluster or port < 55_000:
            return port


def _await_ready(server: RedisProcess, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        assert server.process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def _await_slots(server: RedisProcess) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while "cluster_state:ok" not in server.cli("CLUSTER", "INFO"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
