"""Replay's prediction against the gateway's ledger, for the same trace and settings.

python -m bench.replay_accuracy [--data DIR]
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench.bill import TRACES, Bench
from bench.player import Pace, plays, read_conversations
from bursar.domain.report import Tally, report_of
from bursar.replay.timeline import Pace as ReplayPace
from bursar.replay.timeline import Timeline
from bursar.replay.transcripts import Asking, Conversation
from bursar.settings import Settings
from bursar.wiring.replay import build_replay

_MOST_PER_CENT = 0.5
_GAP_S = 10.0
# A call takes some milliseconds of the wall's time, so time may not run faster than calls can follow it.
_TIME_SCALES = {"airline.jsonl": 400.0, "software-engineer.jsonl": 20.0}


def predict(conversations: list[Conversation], asking: Asking, together: int) -> Tally:
    """Replay conversations in this process."""
    runner, _ = build_replay(Settings(), bounded=False)
    pace = ReplayPace(gap_s=_GAP_S, concurrency=together, start_s=time.time())
    return report_of(runner.play(Timeline([iter(conversations)], asking, pace)), ()).total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--models", default="claude-sonnet-4-6,gpt-4o,gpt-6.1-sol")
    options = parser.parse_args()
    worst = 0.0
    print(f"{'trace':24} {'model':18} {'together':>8} {'replay':>9} {'ledger':>9} {'off by':>8}")
    for trace in TRACES:
        with ExitStack() as stack:
            time_scale = _TIME_SCALES[trace.name]
            bench = Bench(options.data, stack, time_scale)
            conversations = read_conversations(options.data / trace.name)
            tools = json.loads((options.data / trace.tools).read_bytes()) if trace.tools else ()
            for model in options.models.split(","):
                asking = Asking(model, tools)
                prepared = plays(conversations, asking, careful=False)
                for together in (1, 16):
                    predicted = predict(conversations, asking, together).cost_nusd
                    ledger = bench.through(prepared, Pace(together, time_scale, _GAP_S)).ledger
                    actual = ledger.cost_nusd if ledger is not None else 0
                    off = 100 * (predicted - actual) / actual
                    worst = max(worst, abs(off)) if together == 1 else worst
                    print(
                        f"{trace.name:24} {model:18} {together:8d} "
                        f"{predicted / 1e9:9.4f} {actual / 1e9:9.4f} {off:+7.3f} %",
                        flush=True,
                    )
    print(f"\nMust be within {_MOST_PER_CENT} % one conversation after another; the worst is {worst:.3f} %.")
    sys.exit(worst > _MOST_PER_CENT)


if __name__ == "__main__":
    main()
