"""All techniques together, on every trace and model: the bill over that as sent and over a careful client's.

    python -m bench.techniques [--data DIR] [--models M,M] [--gap S] [--together N]

Conversations are replayed through the engine that the gateway runs, one after another unless told otherwise,
and billed by the provider double. A careful client sets its own marks, on the system prompt and on the last
message, and names an OpenAI cache key for its agent; it is billed without Bursar.

The bound is that of the prompts with every tool result written as short as it can be, at breakpoints of any
number, and for OpenAI's automatic cache without its steps of 128 tokens. It can be undercut where a model's
minimum is high: a prompt that is left longer reaches it earlier.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.player import read_conversations
from bursar.domain.report import Tally, report_of
from bursar.replay.calls import RecordedCall
from bursar.replay.timeline import Pace, Timeline
from bursar.replay.transcripts import Asking
from bursar.settings import Settings
from bursar.wiring.replay import build_replay

TRACES = {
    "airline.jsonl": "airline-tools.json",
    "software-engineer.jsonl": "",
    "research-team.jsonl": "",
}
MODELS = (
    "claude-sonnet-4-6",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-haiku-4-5",
    "gpt-4o",
    "gpt-5",
    "gpt-5.6-sol",
)
# Breakpoints can be set from this model on.
_BREAKPOINTS = ("gpt-5.6", "gpt-6")

_START_S = 1_790_000_000.0
_MOST = 1.0
_AIRLINE_MOST = 0.955


@dataclass(frozen=True, slots=True)
class Case:
    """One trace on one model.

    Attributes:
        data: Where the traces are.
        trace: The trace's file.
        model: The model.
        gap_s: Between conversations, and between calls whose times were not recorded.
        together: How many conversations run side by side.
    """

    data: Path
    trace: str
    model: str
    gap_s: float = 10.0
    together: int = 1

    def timeline(self) -> Timeline:
        """Return its calls."""
        tools = json.loads((self.data / TRACES[self.trace]).read_bytes()) if TRACES[self.trace] else ()
        conversations = read_conversations(self.data / self.trace)
        pace = Pace(gap_s=self.gap_s, concurrency=self.together, start_s=_START_S)
        return Timeline([iter(conversations)], Asking(self.model, tools), pace)


@dataclass(frozen=True, slots=True)
class Bills:
    """What one case costs, in nusd."""

    case: Case
    as_sent: int
    careful: int
    ours: int
    bound: int
    refused: int


def careful(call: RecordedCall) -> RecordedCall:
    """Return a call as a client makes it that knows its provider's cache."""
    request: dict[str, Any] = json.loads(call.body)
    if call.dialect == "openai.chat":
        request["prompt_cache_key"] = call.labels.get("agent", "agent")
        if request["model"].startswith(_BREAKPOINTS):
            mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
            system = [m for m in request["messages"] if m["role"] == "system"][:1]
            for message in (*system, request["messages"][-1]):
                _mark_last(message, mark)
    else:
        mark = {"cache_control": {"type": "ephemeral"}}
        if request.get("system"):
            request["system"] = [{"type": "text", "text": request["system"], **mark}]
        _mark_last(request["messages"][-1], mark)
    return replace(call, body=json.dumps(request).encode())


def _mark_last(message: dict[str, Any], mark: dict[str, Any]) -> None:
    if isinstance(message["content"], str):
        message["content"] = [{"type": "text", "text": message["content"]}]
    if message["content"]:
        message["content"][-1].update(mark)


def _bill(
    calls: Iterator[RecordedCall], settings: Settings, *, bounded: bool = False
) -> tuple[Tally, int, int]:
    runner, bound = build_replay(settings, bounded=bounded)
    total = report_of(runner.play(calls), ()).total
    return total, runner.run.refused_calls, bound.total_nusd() if bound is not None else 0


def measure(case: Case) -> Bills:
    """Replay a case as sent, carefully, and through all techniques."""
    passthrough = Settings(mode="passthrough")
    as_sent, refused, _ = _bill(iter(case.timeline()), passthrough)
    marked, marked_refused, _ = _bill(map(careful, case.timeline()), passthrough)
    ours, our_refused, bound = _bill(iter(case.timeline()), Settings(), bounded=True)
    if not as_sent.calls == marked.calls == ours.calls:
        raise SystemExit(f"{case}: {as_sent.calls}, {marked.calls} and {ours.calls} calls were answered")
    refusals = refused + marked_refused + our_refused
    return Bills(case, as_sent.cost_nusd, marked.cost_nusd, ours.cost_nusd, bound, refusals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--gap", type=float, default=10.0, help="seconds between calls of unknown times")
    parser.add_argument("--together", type=int, default=1, help="conversations side by side")
    options = parser.parse_args()
    cases = [
        Case(options.data, trace, model, options.gap, options.together)
        for trace in TRACES
        for model in options.models.split(",")
    ]
    too_dear = 0
    print(
        f"{'trace':24} {'model':18} {'as sent':>9} {'careful':>9} {'ours':>9} "
        "| of as sent  of careful  of bound"
    )
    with ProcessPoolExecutor(2) as pool:
        for bills in pool.map(measure, cases):
            case, ours = bills.case, bills.ours
            most = _AIRLINE_MOST if (case.trace, case.model) == ("airline.jsonl", MODELS[0]) else _MOST
            dear = ours > bills.as_sent or ours > most * bills.careful
            too_dear += dear
            print(
                f"{case.trace:24} {case.model:18} {bills.as_sent / 1e9:9.4f} {bills.careful / 1e9:9.4f} "
                f"{ours / 1e9:9.4f} | {ours / bills.as_sent:10.4f}  {ours / bills.careful:10.4f}  "
                f"{ours / bills.bound:8.4f}{'  too dear' if dear else ''}"
                + (f"  {bills.refused} refused" if bills.refused else ""),
                flush=True,
            )
    print(
        f"\nNo bill may be above {_MOST:.3f} of either; the airline's on {MODELS[0]} at most "
        f"{_AIRLINE_MOST} of the careful client's: {too_dear} of {len(cases)} are."
    )
    sys.exit(too_dear > 0)


if __name__ == "__main__":
    main()
