"""A rewriting, remembered and applied again."""

import json
from typing import Any

from bursar.policy.history.decision import HistoryKind, HistoryPlan
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.steps import (
    HistoryStep,
    applies,
    rewrite,
    take_step,
    text_to_summarise,
)
from bursar.wire.dialect import Dialect
from history_conversations import Call, Step, Turn, conversation_of, judge, messages_of, request_of
from wire_bodies import ANTHROPIC, OPENAI

OPTIONS = HistoryOptions(tokens=1)
LONG = "row\n" * 300
WORK = [
    Turn(f"Task {n}.", (Step("", (Call("read", {"n": n}, f"{n}" + LONG),)), Step(f"Did {n}.")))
    for n in range(6)
]
# 0 user, 1 call, 2 result, 3 answer; 4 user, and so on.


def mask(end: int) -> HistoryPlan:
    return HistoryPlan(HistoryKind.MASK, "", mask_end=end)


def summarise(end: int, mask_end: int = 0) -> HistoryPlan:
    return HistoryPlan(HistoryKind.SUMMARISE, "", summary_end=end, mask_end=mask_end)


def sent(step: HistoryStep, dialect: Dialect, messages: list[dict[str, Any]]) -> list[Any]:
    own = conversation_of(request_of(dialect, messages))
    rewritten = json.loads(rewrite(step, own).whole(own.array))
    judge(dialect, rewritten)
    return rewritten


def test_a_step_applies_to_what_goes_on_from_it_only() -> None:
    messages = messages_of(ANTHROPIC, WORK)
    step = take_step(None, mask(8), conversation_of(request_of(ANTHROPIC, messages)), OPTIONS)
    assert applies(step, request_of(ANTHROPIC, messages[:9]).prompt.messages)
    assert not applies(step, request_of(ANTHROPIC, messages[:8]).prompt.messages)
    edited = [*messages[:7], {"role": "assistant", "content": "Did not."}, *messages[8:]]
    assert not applies(step, request_of(ANTHROPIC, edited).prompt.messages)


def test_cache_marks_make_no_other_conversation() -> None:
    messages = messages_of(ANTHROPIC, WORK)
    step = take_step(None, mask(8), conversation_of(request_of(ANTHROPIC, messages)), OPTIONS)
    messages[3]["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert applies(step, request_of(ANTHROPIC, messages).prompt.messages)


def test_leading_system_messages_stay_and_are_not_counted() -> None:
    messages = messages_of(OPENAI, WORK)
    own = conversation_of(request_of(OPENAI, messages))
    step = take_step(None, summarise(8), own, OPTIONS, "Two tasks done.")
    system, first, summary, *rest = sent(step, OPENAI, messages)
    assert [system, first, *rest] == [*messages[:2], *messages[9:]]
    assert "Two tasks done." in summary["content"]


def test_masks_come_behind_a_summary_that_stands() -> None:
    messages = messages_of(OPENAI, WORK)
    own = conversation_of(request_of(OPENAI, messages))
    first = take_step(None, summarise(8), own, OPTIONS, "Two tasks done.")
    second = take_step(first, mask(16), own, OPTIONS)
    assert (second.summary_end, second.mask_end, second.end) == (8, 16, 16)
    rewritten = sent(second, OPENAI, messages)
    assert "Two tasks done." in rewritten[2]["content"]
    results = [m["content"] for m in rewritten if m["role"] == "tool"]
    assert ["no longer shown" in text for text in results] == [True, True, False, False]


def test_masks_before_a_new_summary_go_with_it_and_those_behind_it_stay() -> None:
    messages = messages_of(ANTHROPIC, WORK)
    own = conversation_of(request_of(ANTHROPIC, messages))
    masked = take_step(None, mask(16), own, OPTIONS)
    step = take_step(masked, summarise(8), own, OPTIONS, "Two tasks done.")
    assert (step.summary_end, step.mask_end) == (8, 16)
    step = take_step(masked, summarise(20), own, OPTIONS, "Five tasks done.")
    assert (step.summary_end, step.mask_end, step.end) == (20, 0, 20)
    assert len(sent(step, ANTHROPIC, messages)) == 4


def test_a_head_says_how_its_messages_stand_to_the_clients() -> None:
    own = conversation_of(request_of(ANTHROPIC, messages_of(ANTHROPIC, WORK)))
    masked = rewrite(take_step(None, mask(16), own, OPTIONS), own)
    assert (masked.standing, masked.shift) == (0, 0)
    # Task 0, the summary and task 2 are one message now.
    summarised = rewrite(take_step(None, summarise(8), own, OPTIONS, "S."), own)
    assert (summarised.standing, summarised.shift) == (1, 8)
    own = conversation_of(request_of(OPENAI, messages_of(OPENAI, WORK)))
    # Task 0 and the summary stand; task 2 is as it was.
    summarised = rewrite(take_step(None, summarise(8), own, OPTIONS, "S."), own)
    assert (summarised.standing, summarised.shift) == (2, 6)


def test_what_is_pinned_stays_whatever_the_options_become() -> None:
    messages = messages_of(OPENAI, WORK)
    own = conversation_of(request_of(OPENAI, messages))
    pinning = HistoryOptions(tokens=1, pinned=("Did 1",), pinned_first=2)
    step = take_step(None, summarise(12, 16), own, pinning, "S.")
    assert step.pinned == (0, 4, 7)
    contents = [message["content"] for message in sent(step, OPENAI, messages)]
    assert contents[1:4] == ["Task 0.", "Task 1.", "Did 1."]


def test_a_result_that_is_pinned_stays_with_its_call() -> None:
    messages = messages_of(ANTHROPIC, WORK)
    own = conversation_of(request_of(ANTHROPIC, messages))
    pinning = HistoryOptions(tokens=1, pinned=("1row",))
    assert take_step(None, mask(12), own, pinning).pinned == (0, 5, 6)


def test_a_second_summary_is_made_of_the_first_and_what_came_since() -> None:
    own = conversation_of(request_of(OPENAI, messages_of(OPENAI, WORK)))
    first = take_step(None, summarise(8), own, OPTIONS, "Two tasks done.")
    text = text_to_summarise(first, summarise(16), own, 10_000)
    assert text.startswith("Summary of what came before: Two tasks done.\n\nUser: Task 2.")
    assert "Task 4" not in text
    assert text_to_summarise(None, summarise(8), own, 10_000).startswith("User: Task 0.")


def test_a_handle_is_asked_for_the_full_result() -> None:
    own = conversation_of(request_of(OPENAI, messages_of(OPENAI, WORK)))
    asked: list[str] = []

    def handle(text: str) -> str:
        asked.append(text)
        return "GET /x"

    head = rewrite(take_step(None, mask(4), own, OPTIONS), own, handle)
    assert asked == ["0" + LONG]
    assert b"full result: GET /x" in head.content
