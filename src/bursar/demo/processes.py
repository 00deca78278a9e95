"""The demo's servers: started on free ports, and ended whatever happens."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from bursar.errors import DemoFailed

_START_S = 30.0
_END_S = 10.0
_URL = re.compile(rb"http://127\.0\.0\.1:\d+")
_COMMAND = (sys.executable, "-c", "from bursar.cli.main import run; run()")


@contextmanager
def serving(arguments: Sequence[str]) -> Generator[str]:
    """Run a bursar command that serves, until the block ends; gives its URL.

    Args:
        arguments: The command. Its first output names its URL.

    Raises:
        DemoFailed: It did not start; the message ends with what it said.
    """
    # What it says goes into a file: nobody has to read it while it runs, and no pipe can fill up.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*_COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "200"},
        )
        try:
            yield _await_url(process, said, arguments[0])
        finally:
            _end(process)


@contextmanager
def ending_on_signals() -> Generator[None]:
    """Let termination end the block as an interrupt does, so that what it has started is ended too."""

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
