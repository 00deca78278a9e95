"""How long it takes to tell how hard a call is, on the hot path, and how much memory that needs.

    python -m bench.routing_decision [--data DIR]

A model is fitted and kept; a process of its own, in which nothing else runs, loads it and decides on requests
whose newest message has 1 KB and 30 KB: the text is read out of the request, and its own signs, or the model,
score it. What counts is the processor's time, since others may use the machine; the wall's stands beside.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from bursar.adapters.routing.model_files import load_route_model
from bursar.policy.routing.features import read_features
from bursar.policy.routing.model import score
from bursar.policy.routing.signals import read_signals, score_signals
from bursar.policy.routing.texts import read_text
from bursar.wire.asked import read_last_user_text
from bursar.wire.dialect import Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

_DECISIONS = 5_000
_P99_MAX_MS = 1.0
_MEMORY_MAX_MB = 50.0
_SIZES_KB = (1, 30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--decide", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.decide is not None:
        return decide(asked.decide, asked.data)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "route.model")
        learn = "from bursar.cli.main import run; run()"
        outcomes = str(asked.data / "routing-gsm8k.jsonl")
        words = ["route", "train", outcomes, "--models", "weak,strong", "--out", str(model)]
        subprocess.run([sys.executable, "-c", learn, *words], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "bench.routing_decision", "--decide", str(model)]
        return subprocess.run([*command, "--data", str(asked.data)], check=False).returncode


def decide(file: Path, data: Path) -> int:
    requests = {size: read_requests(data, size) for size in _SIZES_KB}
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = load_route_model(str(file))

    def by_signs(request: Request) -> float:
        text = read_text(read_last_user_text(request))
        return score_signals(read_signals(request, text, prompt_tokens=8_000, turn=3))

    def by_model(request: Request) -> float:
        return score(model, read_features(read_last_user_text(request)))

    right = True
    print(f"{'ms':16}{'processor: p50':>16}{'p99':>8}{'wall: p50':>12}{'p99':>8}")
    for size, made in requests.items():
        for name, decide_on in (("own signs", by_signs), ("learned", by_model)):
            by_processor, by_wall = times_ms(decide_on, made)
            p50, p99 = percentile(by_processor, 50), percentile(by_processor, 99)
            wall_p50, wall_p99 = percentile(by_wall, 50), percentile(by_wall, 99)
            right = right and p99 <= _P99_MAX_MS
            label = f"{size:2} KB, {name}"
            print(f"{label:16}{p50:16.3f}{p99:8.3f}{wall_p50:12.3f}{wall_p99:8.3f}", flush=True)
    memory_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    libraries = sorted({"sklearn", "numpy", "scipy"} & sys.modules.keys())
    kept_mb = file.stat().st_size / 1e6
    print(f"memory {memory_mb:.1f} MB, file {kept_mb:.1f} MB, libraries: {libraries or 'none'}")
    return int(not (right and memory_mb <= _MEMORY_MAX_MB and not libraries))


def times_ms(
    decide_on: Callable[[Request], float], made: Sequence[Request]
) -> tuple[list[float], list[float]]:
    """Return how long decisions took, by the processor's time and by the wall's clock."""
    by_processor: list[float] = []
    by_wall: list[float] = []
    for number in range(_DECISIONS):
        request = made[number % len(made)]
        began, began_wall = time.thread_time(), time.perf_counter()
        decide_on(request)
        by_processor.append((time.thread_time() - began) * 1e3)
        by_wall.append((time.perf_counter() - began_wall) * 1e3)
    return by_processor, by_wall


def percentile(values: Sequence[float], part: int) -> float:
    return sorted(values)[len(values) * part // 100]


def read_requests(data: Path, size_kb: int) -> list[Request]:
    """Return requests with one message each, of text from recorded conversations."""
    dialect = DIALECTS["anthropic.messages"]
    requests: list[Request] = []
    for line in (data / "airline.jsonl").read_bytes().splitlines():
        texts = (message.get("content") for message in orjson.loads(line)["messages"])
        text = "\n".join(text for text in texts if isinstance(text, str))
        text = (text * (1 + 1_024 * size_kb // len(text)))[: 1_024 * size_kb]
        body = orjson.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]})
        reading = dialect.read(body, PieceMemo())
        requests.append(reading.finish([len(text) // 4 for text in reading.texts]))
    return requests


if __name__ == "__main__":
    sys.exit(main())
