"""One-shot traffic from a cold start: distinct prompts at real arrivals and lengths; bill over bill as sent.

    python -m bench.cold_start [--data DIR] [--calls N] [--models M,M]

Nothing of it is ever read again, so the best that can be done is nothing: any cache write is lost.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.conversations import text
from bursar.domain.report import report_of
from bursar.double.speech import Counted, Ending, Speech
from bursar.replay.calls import RecordedCall
from bursar.settings import Settings
from bursar.wiring.replay import build_replay

_START_S = 1_790_000_000.0
_MOST = 1.01
_CHARS_PER_TOKEN = 6
_SPOKEN = "As you wish."


def calls(file: Path, model: str, count: int) -> Iterator[RecordedCall]:
    """Yield a call for each arrival, each with a prompt of its own of about the recorded length."""
    draw = random.Random(model)  # noqa: S311 - test text, not a secret
    words = text(draw, 400_000)
    openai = model.startswith("gpt")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(islice(lines, count)):
            arrival = json.loads(line)
            start = draw.randrange(len(words) // 2)
            size = arrival["input_tokens"] * _CHARS_PER_TOKEN
            prompt = f"Case {number}, {draw.getrandbits(64):x}: {words[start : start + size]}"
            body = {
                "model": model,
                "max_completion_tokens" if openai else "max_tokens": 4_000,
                "messages": [{"role": "user", "content": prompt}],
            }
            yield RecordedCall(
                place=f"{file.name}:{number + 1}",
                at_s=_START_S + arrival["at_s"],
                made_up=False,
                duration_s=2.0,
                dialect="openai.chat" if openai else "anthropic.messages",
                labels={"agent": "one-shot"},
                body=json.dumps(body).encode(),
                speech=Speech(_SPOKEN, ending=Ending.DONE, counted=Counted(max(1, arrival["output_tokens"]))),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--calls", type=int, default=19_366)
    parser.add_argument("--models", default="claude-sonnet-4-6,gpt-5.6-sol")
    options = parser.parse_args()
    worst = 0.0
    for model in options.models.split(","):
        for count in sorted({200, 1_000, options.calls}):
            runner, _ = build_replay(Settings(), bounded=False)
            arrivals = calls(options.data / "arrivals-conversation.jsonl", model, count)
            total = report_of(runner.play(arrivals), ()).total
            ratio = total.cost_nusd / total.baseline_nusd
            worst = max(worst, ratio)
            print(
                f"{model:18} {total.calls:7,} calls, as sent ${total.baseline_nusd / 1e9:9.4f}, "
                f"with Bursar ${total.cost_nusd / 1e9:9.4f}: {ratio:.4f}",
                flush=True,
            )
    print(f"\nMust be at most {_MOST}; the worst is {worst:.4f}.")
    sys.exit(worst > _MOST)


if __name__ == "__main__":
    main()
