"""Real gateways under crowds of callers: no limit is passed, and no fault makes money disappear."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_crowds_and_faults_pass_no_limit_and_lose_nothing() -> None:
    command = [sys.executable, "-m", "bench.overspend", "--quick"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
