from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from bursar.double.speech import Speech
from bursar.replay import timeline as timeline_module
from bursar.replay.calls import RecordedCall
from bursar.replay.files import Item
from bursar.replay.timeline import Pace, Timeline
from bursar.replay.transcripts import Asking, Conversation

START_S = 1_000.0
ASKING = Asking("gpt-4o")


def talk(name: str, *at_s: float | None) -> Conversation:
    messages: list[dict[str, Any]] = [{"role": "user", "content": name}]
    times: list[float | None] = [None]
    for each in at_s:
        messages += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "go on"}]
        times += [each, None]
    return Conversation(place=name, labels={"conversation": name}, messages=messages, at_s=times)


def logged(name: str, at_s: float) -> RecordedCall:
    return RecordedCall(name, at_s, False, 0.0, "openai.chat", {}, b"{}", Speech(""))


def play(
    *files: Sequence[Item], gap_s: float = 10.0, concurrency: int = 1
) -> tuple[Timeline, list[tuple[str, float]]]:
    timeline = Timeline([iter(items) for items in files], ASKING, Pace(gap_s, concurrency, START_S))
    return timeline, [(call.place, call.at_s) for call in timeline]


def test_without_times_calls_and_conversations_come_a_gap_apart() -> None:
    timeline, calls = play([talk("a", None, None), talk("b", None)])
    assert calls == [("a", 1_000), ("a", 1_010), ("b", 1_020)]
    assert timeline.conversations == 2


def test_known_times_count_from_the_conversations_start() -> None:
    _, calls = play([talk("a", 0.0, 2.5, None), talk("b", 1.0)])
    assert calls == [("a", 1_000), ("a", 1_002.5), ("a", 1_012.5), ("b", 1_023.5)]


def test_a_time_that_runs_backwards_is_taken_as_the_one_before() -> None:
    _, calls = play([talk("a", 5.0, 3.0, 6.0)])
    assert [at_s for _, at_s in calls] == [1_005, 1_005, 1_006]


def test_a_made_up_time_says_so() -> None:
    timeline = Timeline([iter([talk("a", 0.0, None)])], ASKING, Pace(10, 1, START_S))
    assert [call.made_up for call in timeline] == [False, True]


def test_conversations_run_side_by_side_spread_over_one_gap() -> None:
    _, calls = play([talk("a", None, None), talk("b", None)], [talk("c", None)], concurrency=2)
    assert calls == [("a", 1_000), ("b", 1_005), ("a", 1_010), ("c", 1_015)]


def test_more_lanes_than_conversations_do_no_harm() -> None:
    _, calls = play([talk("a", None)], concurrency=50)
    assert calls == [("a", 1_000)]


def test_logs_keep_their_times_whatever_file_they_are_in() -> None:
    _, calls = play([logged("a", 50), logged("c", 70)], [logged("b", 60)])
    assert calls == [("a", 50), ("b", 60), ("c", 70)]


def test_lines_out_of_order_are_put_in_order() -> None:
    timeline, calls = play([logged("b", 60), logged("a", 50), logged("c", 70)])
    assert calls == [("a", 50), ("b", 60), ("c", 70)]
    assert timeline.late_calls == 0


def test_a_line_far_out_of_order_is_played_late_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "_WINDOW_CALLS", 2)
    timeline, calls = play([logged("b", 60), logged("c", 70), logged("d", 80), logged("a", 50)])
    assert calls == [("b", 60), ("c", 70), ("a", 70), ("d", 80)]
    assert timeline.late_calls == 1


def test_transcripts_beside_logs_begin_when_the_first_log_does() -> None:
    _, calls = play([talk("a", None, None)], [logged("b", 55), logged("c", 60)])
    assert calls == [("b", 55), ("a", 55), ("c", 60), ("a", 65)]


def test_a_file_may_mix_both_kinds() -> None:
    _, calls = play([logged("a", 50), talk("b", None), logged("c", 70)])
    assert calls == [("a", 50), ("b", 50), ("c", 70)]
    _, calls = play([talk("b", None), logged("a", 50)])
    assert sorted(name for name, _ in calls) == ["a", "b"]


def test_files_are_read_only_as_far_as_their_calls_are_due() -> None:
    read: list[str] = []

    def items() -> Iterator[Item]:
        for name in "abcdef":
            read.append(name)
            yield talk(name, None, None)

    calls = iter(Timeline([items()], ASKING, Pace(10, 2, START_S)))
    assert next(calls).place == "a"
    assert read == ["a", "b"]
