"""A coding conversation of 500 turns: the bill with history settings over that without, and whether it fits.

    python -m bench.long_conversation [--turns N] [--history-tokens N]

- On a model with a window of a million tokens the whole conversation fits, so that both bills can be had.
- On a model with 200,000 it does not: the double refuses a prompt that is too long, or that would be invalid
  for any other reason, and with history settings it must refuse none.

`share` is history's part of what the ledger says was saved. Techniques are booked in the order in which they
act, so it is what history takes off a bill without caching, not off the one with it: that is the ratio.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.coding_session import TOOLS, coding_session
from bursar.domain.ledger import Technique
from bursar.domain.report import Tally
from bursar.replay.timeline import Pace, Timeline
from bursar.replay.transcripts import Asking
from bursar.settings import Settings
from bursar.wiring.replay import build_replay

_AGENT = "coder"
_START_S = 1_790_000_000.0
_WIDE, _NARROW = "claude-sonnet-5-5", "claude-sonnet-4-5"
_SUMMARISER = "claude-haiku-4-5"


@dataclass(frozen=True, slots=True)
class Way:
    """One way of playing the conversation.

    Attributes:
        model: The model.
        name: For a person.
        turns: Calls of the conversation.
        history_tokens: Prompt tokens from which a rewriting is considered; 0: history is left alone.
        summary_model: The model that summarises; empty: tool results are masked only.
    """

    model: str
    name: str
    turns: int
    history_tokens: int = 0
    summary_model: str = ""

    def settings(self) -> Settings:
        """Return them as bursar.toml would say it."""
        if not self.history_tokens:
            return Settings()
        history = {"summary_model": self.summary_model} if self.summary_model else {}
        agent = {"history_tokens": self.history_tokens, "history": history}
        return Settings.model_validate({"agents": {_AGENT: agent}})


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one way.

    Attributes:
        way: Which.
        total: Sums over the calls that were answered.
        longest_tokens: The longest prompt that was sent.
        refused: Why calls were refused, and how many were.
    """

    way: Way
    total: Tally
    longest_tokens: int
    refused: tuple[int, str]


def play(way: Way) -> Played:
    """Play the conversation."""
    runner, _ = build_replay(way.settings(), bounded=False)
    pace = Pace(gap_s=10.0, concurrency=1, start_s=_START_S)
    session = coding_session(way.turns, agent=_AGENT)
    total, longest_tokens = Tally(), 0
    for entry in runner.play(Timeline([iter([session])], Asking(way.model, TOOLS), pace)):
        total.add(entry)
        usage = entry.attempts[-1].usage if entry.attempts else None
        longest_tokens = max(longest_tokens, usage.prompt_tokens if usage is not None else 0)
    run = runner.run
    return Played(way, total, longest_tokens, (run.refused_calls, next(iter(run.refused), "")))


def _row(played: Played, plain: Played) -> str:
    total, (refused, why) = played.total, played.refused
    ratio = (
        f"{total.cost_nusd / plain.total.cost_nusd:8.4f}" if not refused | plain.refused[0] else "       -"
    )
    return (
        f"{played.way.model:18} {played.way.name:20} {total.calls:6,} {refused:7,} "
        f"{played.longest_tokens:9,} {total.cost_nusd / 1e9:9.4f} {ratio} "
        f"{total.techniques[Technique.HISTORY] / 1e9:9.4f}" + (f"  {why[:60]}" if why else "")
    )


def _ways(turns: int, history_tokens: int) -> list[Way]:
    return [
        Way(model, name, turns, tokens, summary_model)
        for model in (_WIDE, _NARROW)
        for name, tokens, summary_model in (
            ("without history", 0, ""),
            ("masked", history_tokens, ""),
            ("summarised", history_tokens, _SUMMARISER),
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--history-tokens", type=int, default=60_000)
    options = parser.parse_args()
    wrong: list[str] = []
    print(
        f"{'model':18} {'history':20} {'calls':>6} {'refused':>7} {'longest':>9} {'$':>9} {'ratio':>8} "
        f"{'share $':>9}"
    )
    plain: dict[str, Played] = {}
    acted = False
    with ProcessPoolExecutor(2) as pool:
        for played in pool.map(play, _ways(options.turns, options.history_tokens)):
            way = played.way
            plain.setdefault(way.model, played)
            print(_row(played, plain[way.model]), flush=True)
            if not way.history_tokens:
                continue
            acted = acted or played.longest_tokens < plain[way.model].longest_tokens
            if played.refused[0]:
                wrong.append(f"{way.model}, {way.name}: {played.refused[0]} calls were refused")
            elif way.model == _WIDE and played.total.cost_nusd >= plain[_WIDE].total.cost_nusd:
                wrong.append(f"{way.model}, {way.name}: not cheaper")
    print("\nMust be: with history no call refused on either model, and the bill on the wide one below 1.")
    print("\n".join(wrong) if acted else "history is off: its settings changed no prompt.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
