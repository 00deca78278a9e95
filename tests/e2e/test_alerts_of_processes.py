"""Four gateways, windows that pass in seconds, and a notifier that fails twice: each alert once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_four_processes_tell_each_alert_once() -> None:
    command = [sys.executable, "-m", "bench.alerts", "--quick"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert result.returncode == 0, result.stdout + result.stderr
