"""The project's own servers, as users start them, in processes that end with the test."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.ledger import Entry

BURSAR = str(Path(sys.executable).parent / "bursar")
_PATIENCE_S = 20.0


@dataclass
class Served:
    """A server that runs.

    Attributes:
        url: Where it listens.
        process: Its process.
        log: What it wrote.
        data_dir: Where its ledger lies.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    data_dir: Path

    def entries(self) -> list[Entry]:
        """Its ledger, by time of arrival."""
        return list(LedgerReader.open(self.data_dir).entries())


@contextmanager
def serving(command: str, directory: Path, *arguments: str) -> Iterator[Served]:
    """Run `bursar serve` or `bursar double` on a free port until the block ends."""
    log = directory / f"{command}.log"
    data_dir = directory / "data"
    own = ["--data-dir", str(data_dir)] if command == "serve" else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BURSAR, command, "--port", "0", *own, *arguments], stdout=output, stderr=output, cwd=directory
        )
    try:
        yield Served(_await_url(process, log), process, log, data_dir)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(_PATIENCE_S)


def _await_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found is not None:
            return found.group()
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(log.read_text())
