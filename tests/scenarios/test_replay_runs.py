"""Recorded traffic through the engine and the double, as `bursar replay` runs it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from bursar.domain.ledger import Entry, Status
from bursar.domain.usage import TokenClass
from bursar.replay.bound import Bound
from bursar.replay.calls import RecordedCall
from bursar.replay.runner import Runner
from bursar.replay.timeline import Pace, Timeline
from bursar.replay.traffic import read_logged_call
from bursar.replay.transcripts import Asking, Conversation
from bursar.settings import Settings, parse
from bursar.wiring.replay import build_replay

NOW_S = 1_795_000_000.0  # 18 November 2026
POLICY = "Answer in two sentences, and name the rule that you went by. " * 150
CLAUDE, GPT = "claude-sonnet-4-6", "gpt-4o"


def talk(name: str, turns: int) -> Conversation:
    messages: list[dict[str, Any]] = [{"role": "system", "content": POLICY}]
    for turn in range(turns):
        messages += [
            {"role": "user", "content": f"Question {turn} of {name}: may I bring a bicycle on board?"},
            {"role": "assistant", "content": f"Yes, in a box; that is rule {turn} of our policy on {name}."},
        ]
    return Conversation(
        place=f"talks:{name}", labels={"conversation": name}, messages=messages, at_s=[None] * len(messages)
    )


TALKS = [talk("ada", 4), talk("bram", 3), talk("chiara", 2)]


class Played:
    def __init__(self, settings: Settings | None = None, *, bounded: bool = False) -> None:
        built = build_replay(settings or Settings(), bounded=bounded)
        self.runner: Runner = built[0]
        self.bound: Bound | None = built[1]
        self.entries: list[Entry] = []

    def calls(self, calls: Iterable[RecordedCall]) -> "Played":
        self.entries = list(self.runner.play(calls))
        return self

    def talks(self, asking: Asking, *, together: int = 1, gap_s: float = 10.0) -> "Played":
        return self.calls(Timeline([iter(TALKS)], asking, Pace(gap_s, together, NOW_S)))

    @property
    def cost_nusd(self) -> int:
        return sum(entry.cost_nusd or 0 for entry in self.entries)

    @property
    def baseline_nusd(self) -> int:
        return sum(entry.baseline_nusd or 0 for entry in self.entries)

    @property
    def billed_nusd(self) -> int:
        return self.runner._provider.billed_nusd


def tokens(entries: Sequence[Entry], token_class: TokenClass) -> list[int]:
    return [entry.usage.of(token_class) for entry in entries if entry.usage is not None]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, GPT])
def test_the_ledger_is_the_doubles_bill(model: str, stream: bool) -> None:
    played = Played().talks(Asking(model, stream=stream))
    assert [entry.status for entry in played.entries] == [Status.OK] * 9
    assert played.cost_nusd == played.billed_nusd


def test_streaming_costs_what_whole_answers_cost() -> None:
    assert Played().talks(Asking(CLAUDE)).cost_nusd == Played().talks(Asking(CLAUDE, stream=True)).cost_nusd


def test_the_policy_is_written_at_once_and_read_from_then_on() -> None:
    played = Played().talks(Asking(CLAUDE))
    reads = tokens(played.entries, TokenClass.CACHE_READ)
    # An agent's first questions are written to see whether they go on, and what goes on is then read.
    assert reads[0] == 0
    assert min(reads[1:]) > 1_500
    assert played.cost_nusd < played.baseline_nusd


def test_turns_and_threads_are_recognised() -> None:
    played = Played().talks(Asking(CLAUDE), together=3)
    turns = {
        name: [entry.turn for entry in played.entries if entry.attribution.conversation == name]
        for name in ("ada", "bram", "chiara")
    }
    assert turns == {"ada": [0, 1, 2, 3], "bram": [0, 1, 2], "chiara": [0, 1]}


def test_what_lapses_between_calls_is_paid_again() -> None:
    played = Played().talks(Asking(CLAUDE), gap_s=4_000)
    assert tokens(played.entries, TokenClass.CACHE_READ) == [0] * 9


def test_as_sent_passthrough_costs_the_baseline() -> None:
    optimised = Played().talks(Asking(CLAUDE))
    passed = Played(parse({"mode": "passthrough"}, "test")).talks(Asking(CLAUDE))
    assert passed.cost_nusd == passed.baseline_nusd == optimised.baseline_nusd


def test_observing_says_what_optimising_saves() -> None:
    optimised = Played().talks(Asking(CLAUDE))
    observed = Played(parse({"mode": "observe"}, "test")).talks(Asking(CLAUDE))
    would_save = sum(sum(entry.would_save.values()) for entry in observed.entries)
    assert would_save == optimised.baseline_nusd - optimised.cost_nusd


@pytest.mark.parametrize("model", [CLAUDE, GPT, "gpt-6.1-sol"])
@pytest.mark.parametrize("gap_s", [10.0, 200.0, 1_000.0, 4_000.0])
def test_no_plan_costs_less_than_the_bound(model: str, gap_s: float) -> None:
    played = Played(bounded=True).talks(Asking(model), together=2, gap_s=gap_s)
    assert played.bound is not None
    assert 0 < played.bound.total_nusd() <= played.cost_nusd


def logged(at: str, question: str, **more: Any) -> RecordedCall:
    line = {
        "at": at,
        "dialect": "anthropic.messages",
        "tenant": "acme",
        "conversation": "one",
        "request": {
            "model": CLAUDE,
            "max_tokens": 100,
            "system": POLICY,
            "messages": [{"role": "user", "content": question}],
        },
        "response": {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "Yes."}],
            "usage": {"input_tokens": 1, "output_tokens": 77},
        },
    }
    return read_logged_call(json.dumps(line | more).encode(), "log:1")


def test_a_logged_call_keeps_its_output_tokens_time_and_labels() -> None:
    (entry,) = Played().calls([logged("2026-11-20T10:00:00Z", "May I?")]).entries
    assert entry.at_s == 1_795_168_800.0
    assert entry.attribution.tenant == "acme"
    assert entry.usage is not None
    assert entry.usage.output == 77
    # What the prompt used is worked out anew: the recording says 1.
    assert entry.usage.prompt_tokens > 1_500


def test_a_call_that_overlaps_the_first_cannot_read_what_that_writes() -> None:
    slow = logged("2026-11-20T10:00:00Z", "May I?", latency_ms=20_000)
    beside = logged("2026-11-20T10:00:10Z", "And I?", latency_ms=1_000)
    after = logged("2026-11-20T10:00:30Z", "And she?", latency_ms=1_000)
    played = Played().calls([slow, beside, after])
    by_question = sorted(played.entries, key=lambda entry: entry.at_s)
    reads = tokens(by_question, TokenClass.CACHE_READ)
    assert reads[:2] == [0, 0]
    assert reads[2] > 1_500
    assert [entry.latency_ms for entry in by_question] == [20_000, 1_000, 1_000]
    # They come out as they end.
    assert [entry.at_s for entry in played.entries] == sorted(
        [entry.at_s for entry in by_question], key=lambda at_s: at_s != by_question[1].at_s
    )


def test_what_is_refused_is_counted_with_its_reason_and_in_no_amount() -> None:
    unpriced = {"model": "nobody-knows-it", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    orphan = {
        "model": CLAUDE,
        "max_tokens": 5,
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "none", "content": "lost"}]}
        ],
    }
    played = Played().calls(
        [
            logged("2026-11-20T10:00:00Z", "", request=unpriced),
            logged("2026-11-20T10:00:00Z", "", request=orphan),
            logged("2026-11-20T10:00:00Z", "May I?"),
        ]
    )
    assert len(played.entries) == 1
    run = played.runner.run
    assert (run.calls, run.refused_calls) == (3, 2)
    assert any("nobody-knows-it" in reason for reason in run.refused)
    assert any("tool_use_id" in reason for reason in run.refused)
    assert played.cost_nusd == played.billed_nusd


def test_a_model_of_the_operators_own_is_served_at_its_own_price() -> None:
    settings = parse({"prices": {"our-model": {"input": "1", "output": "2"}}}, "test")
    request = {"model": "our-model", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    (entry,) = Played(settings).calls([logged("2026-11-20T10:00:00Z", "", request=request)]).entries
    assert entry.usage is not None
    assert entry.cost_nusd == entry.usage.input * 1_000 + 77 * 2_000
