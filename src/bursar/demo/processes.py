"""The demo's servers: started on free ports, and ended whatever happens."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from types import FrameType
from typing import IO, Any, Self

from bursar.errors import DemoFailed

_START_S = 30.0
_END_S = 10.0
_URL = re.compile(rb"http://127\.0\.0\.1:\d+")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COMMAND = (sys.executable, "-c", "from bursar.cli.main import run; run()")


class Servers:
    """Servers that run until the block ends, however it ends: by an error, an interrupt, or termination."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._handlers: dict[int, Any] = {}
        self._busy = False
        self._told = 0

    def __enter__(self) -> Self:
        """Take signals as the end of the block."""
        self._handlers = {number: signal.signal(number, self._tell) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """End the servers, the latest first."""
        self._busy = True
        for process in reversed(self._processes):
            _end(process)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._leave_if_told()

    def start(self, *arguments: str) -> str:
        """Start a bursar command that serves on a free port, and wait until it is ready.

        Args:
            arguments: The command. What it says first names its URL.

        Returns:
            Its URL.

        Raises:
            DemoFailed: It did not start; the message ends with what it said.
        """
        # What it says goes into a file: nobody has to read it while it runs, and no pipe can fill up.
        with tempfile.TemporaryFile() as said:
            # A signal in the middle of this would leave a process that nobody knows of.
            self._busy = True
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*_COMMAND, *arguments, "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "COLUMNS": "200"},
                # An interrupt of the terminal is for us alone: we end what we have started.
                start_new_session=True,
            )
            self._processes.append(process)
            self._busy = False
            self._leave_if_told()
            return _await_url(process, said, arguments[0])

    def _tell(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._told = number
        if not self._busy:
            self._leave_if_told()

    def _leave_if_told(self) -> None:
        if self._told:
            sys.exit(128 + self._told)


def _await_url(process: "subprocess.Popen[bytes]", said: IO[bytes], name: str) -> str:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        said.seek(0)
        found = _URL.search(said.read())
        if found is not None and _is_ready(found[0].decode()):
            return found[0].decode()
        time.sleep(0.05)
    said.seek(0)
    last = said.read()[-500:].decode("utf-8", "replace").strip()
    raise DemoFailed(f"bursar {name} did not start: {last or 'it said nothing'}")


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2):  # noqa: S310 - our own server
            return True
    except OSError:
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
