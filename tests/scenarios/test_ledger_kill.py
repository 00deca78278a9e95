"""A process that records is killed, or its disk runs out, and what it had acknowledged is there."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bursar.adapters.ledger.sqlite import FILE_NAME, LedgerReader
from bursar.domain.report import report_of

TESTS = Path(__file__).parents[1]

# Sixteen callers record one entry after another and print each id once it is acknowledged.
RECORDING = """
import asyncio, sys
from pathlib import Path
from bursar.adapters.ledger.sqlite import SqliteLedger
from ledger_entries import HOUR_S, T0_S, entry

ledger = SqliteLedger.open(Path(sys.argv[1]))

async def caller(name):
    for turn in range(100_000):
        operation_id = f"{sys.argv[2]}-{name}-{turn}"
        await ledger.record(entry(operation_id, at_s=T0_S + turn % 3 * HOUR_S, turn=turn))
        print(operation_id, flush=True)

async def main():
    await asyncio.gather(*map(caller, range(16)))

asyncio.run(main())
"""

# A file may not grow beyond a limit, then it may again: what a full disk looks like to SQLite.
FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.errors import StoreFailed
from ledger_entries import entry

async def main():
    ledger = SqliteLedger.open(Path(sys.argv[1]))
    failed = []
    for number in range(2_000):
        try:
            await ledger.record(entry(f"op-{number}"))
        except StoreFailed as error:
            failed.append(number)
            if len(failed) == 5:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        else:
            print(f"op-{number}")
            if len(failed) == 5:
                break
    ledger.close()
    print(f"failed {len(failed)}", file=sys.stderr)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
asyncio.run(main())
"""


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def acknowledged_before_kill(processes: Sequence[subprocess.Popen[str]], enough: int) -> set[str]:
    """Read acknowledgements of each until there are enough, kill them all, and read the rest."""
    seen: set[str] = set()
    for process in processes:
        assert process.stdout is not None
        seen |= {process.stdout.readline().strip() for _ in range(enough)}
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        assert process.stdout is not None
        assert process.stderr is not None
        # Not `communicate`, which passes over what the last `readline` buffered, and begins within a line.
        rest = process.stdout.read()
        # The last line may have been cut by the kill; only whole ones were acknowledged.
        seen |= {line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")}
        assert process.stderr.read() == ""
    return seen


def check_rollups_equal_entries(data_dir: Path) -> None:
    reader = LedgerReader.open(data_dir)
    assert reader.report() == report_of(reader.entries(), [])
    with closing(sqlite3.connect(data_dir / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("process_count", [1, 2])
def test_what_was_acknowledged_survives_kill_9_and_rollups_still_equal_entries(
    tmp_path: Path, process_count: int
) -> None:
    if process_count == 1:
        with running(RECORDING, str(tmp_path), "a") as only:
            acknowledged = acknowledged_before_kill([only], 400)
    else:
        with running(RECORDING, str(tmp_path), "a") as one, running(RECORDING, str(tmp_path), "b") as two:
            acknowledged = acknowledged_before_kill([one, two], 200)
    kept = {found.operation_id for found in LedgerReader.open(tmp_path).entries()}
    assert len(acknowledged) >= 400
    assert acknowledged - kept == set()
    check_rollups_equal_entries(tmp_path)


def test_a_disk_that_runs_full_and_is_freed_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with running(FULL_DISK, str(tmp_path)) as process:
        printed, complaints = process.communicate(timeout=60)
    assert complaints == "failed 5\n"
    acknowledged = set(printed.split())
    kept = {found.operation_id for found in LedgerReader.open(tmp_path).entries()}
    assert len(acknowledged) > 10
    assert kept == acknowledged
    check_rollups_equal_entries(tmp_path)
