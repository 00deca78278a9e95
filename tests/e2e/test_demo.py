"""The demo as a user runs it: real servers, both official SDKs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from bursar.cli.main import run; run()", "demo"]
TALK = {
    "conversation": "one",
    "messages": [
        {"role": "user", "content": "May I bring a dog?"},
        {"role": "assistant", "content": "Yes, a small one."},
        {"role": "user", "content": "And a cat?"},
        {"role": "assistant", "content": "Likewise."},
    ],
}


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_the_demo_saves_and_its_ledger_is_the_bill(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--json", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    total, demo = shown["total"], shown["demo"]
    assert demo["conversations"] == 36
    assert demo["billed_calls"] == total["calls"] > 250
    assert demo["billed_usd"] == total["cost_usd"]
    assert demo["difference_usd"] == "0.000000000"
    assert float(total["cost_usd"]) < float(total["baseline_usd"]) / 2
    assert len({row["tenant"] for row in shown["rows"]}) == 3
    assert demo["seconds"] < 40
    assert (tmp_path / "demo-transcripts.jsonl").exists()


def test_it_plays_a_users_own_transcripts_and_shows_what_came_of_it(tmp_path: Path) -> None:
    talks = tmp_path / "talks.jsonl"
    talks.write_text("\n".join(json.dumps(TALK) for _ in range(4)))
    done = subprocess.run(
        [*COMMAND, "--transcripts", str(talks), "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert "8 calls in 4 conversations" in done.stdout
    assert "are equal to the nanodollar" in done.stdout
    assert f"bursar report --data-dir {tmp_path / 'data'} --by conversation" in done.stdout


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads processes from /proc")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_stopped_ends_its_servers_and_removes_its_folder(
    tmp_path: Path, ending: signal.Signals
) -> None:
    process = subprocess.Popen(
        COMMAND,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children: list[int] = []
    deadline_s = time.monotonic() + 30
    while len(children) < 2 and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.02)
        children = children_of(process.pid)
    process.send_signal(ending)
    assert process.wait(30) != 0
    assert len(children) == 2
    assert not any(is_running(child) for child in children)
    assert list(tmp_path.iterdir()) == []
