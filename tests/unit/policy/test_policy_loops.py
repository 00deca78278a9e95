"""What is a loop, and what only looks like one."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bursar.policy.loops import Loop, LoopKind, LoopOptions, describe, judge
from bursar.view.repetition import START, Row, follow, is_waiting
from bursar.wire.acts import read_acts
from bursar.wire.condensing.spoken import split
from bursar.wire.raw_json import element_ends
from loop_messages import DIALECTS, Json, Talk

both_dialects = pytest.mark.parametrize("dialect", DIALECTS)


def row_of(body: Json, dialect: str, waiting: frozenset[str] = frozenset()) -> Row:
    array = orjson.dumps(body["messages"])
    ends = element_ends(array)
    row = START
    for message in split(array, ends, 0, len(ends)):
        row = follow(row, read_acts(dialect, message), waiting)
    return row


def judged(talk: Talk, dialect: str, options: LoopOptions | None = None) -> Loop | None:
    options = options or LoopOptions()
    return judge(row_of(talk.body(dialect), dialect, options.waiting), options)


@both_dialects
def test_the_same_call_is_the_same_in_whatever_order_its_keys_stand(dialect: str) -> None:
    talk = Talk()
    for arguments in ('{"a":1,"b":{"c":2,"d":3}}', '{"b": {"d": 3, "c": 2}, "a": 1}') * 2:
        talk.use("find", arguments, "nothing")
    assert judged(talk, dialect) == Loop(LoopKind.REPEATED_CALL, "find", 3, 1, stops=True)


@both_dialects
@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_cycle_is_stopped_at_its_third_repeat(dialect: str, period: int) -> None:
    talk = Talk()
    for _ in range(3):
        for number in range(period):
            talk.use(f"tool_{number}", {"n": number}, f"result {number}")
    loop = judged(talk, dialect)
    assert loop is not None
    assert (loop.kind, loop.repeats, loop.period, loop.stops) == (LoopKind.CYCLE, 2, period, False)
    for number in range(period):
        talk.use(f"tool_{number}", {"n": number}, f"result {number}")
    loop = judged(talk, dialect)
    assert loop is not None
    assert (loop.repeats, loop.stops) == (3, True)


@both_dialects
def test_a_failure_is_the_same_under_another_id_and_at_another_time(dialect: str) -> None:
    talk = Talk()
    for number in range(4):
        talk.use(
            "pay", {"x": 1}, f"Error: timeout at 2026-11-24T10:0{number}:00Z, request r-{number}f{number}"
        )
    loop = judged(talk, dialect)
    assert loop == Loop(LoopKind.FAILING_TOOL, "pay", 3, 1, stops=True)


@both_dialects
def test_a_status_that_differs_in_its_time_only_is_nothing_new(dialect: str) -> None:
    talk = Talk()
    for number in range(4):
        talk.use("status", {}, f'{{"state": "pending", "checked": "2026-11-24 10:0{number}:00"}}')
    assert judged(talk, dialect) is not None


@both_dialects
def test_numbers_of_what_does_not_fail_count(dialect: str) -> None:
    talk = Talk()
    for number in range(20):
        talk.use("status", {}, f'{{"state": "running", "percent": {number}, "error": null}}')
    assert judged(talk, dialect) is None


@both_dialects
def test_a_failing_tool_may_be_tried_with_other_arguments_three_times_as_often(dialect: str) -> None:
    talk = Talk()
    for number in range(9):
        talk.use("book", {"seat": number}, "Error: not allowed")
    loop = judged(talk, dialect)
    assert loop is not None
    assert not loop.stops
    loop = judged(talk.use("book", {"seat": 9}, "Error: not allowed"), dialect)
    assert loop == Loop(LoopKind.FAILING_TOOL, "book", 9, 1, stops=True)


@both_dialects
def test_the_same_long_text_for_other_arguments_is_nothing_new(dialect: str) -> None:
    talk = Talk()
    for number in range(10):
        talk.use("search", {"query": number}, "the same hits, " * 20)
    loop = judged(talk, dialect)
    assert loop is not None
    assert (loop.kind, loop.stops) == (LoopKind.NOTHING_NEW, True)


@both_dialects
def test_calls_made_at_once_are_compared_together_in_any_order(dialect: str) -> None:
    uses: list[tuple[str, Any, str]] = [("a", {}, "1"), ("b", {}, "2")]
    talk = Talk()
    for number in range(4):
        talk.use_all(uses if number % 2 else uses[::-1])
    assert judged(talk, dialect) is not None
    other = Talk()
    for number in range(8):
        other.use_all([("a", {}, "1"), ("b", {}, str(number))])
    assert judged(other, dialect) is None


@both_dialects
def test_a_word_of_the_user_ends_a_row(dialect: str) -> None:
    talk = (
        Talk().use("a", {}, "1").use("a", {}, "1").say("Again, please.").use("a", {}, "1").use("a", {}, "1")
    )
    assert judged(talk, dialect) is None


def test_text_beside_results_counts_as_what_came_of_a_call() -> None:
    talk = Talk()
    for _ in range(5):
        talk.use("a", {}, "1")
    body: Any = talk.body("anthropic.messages")
    for number, message in enumerate(body["messages"]):
        if message["role"] == "user" and isinstance(message["content"], list):
            message["content"].append({"type": "text", "text": f"step {number}"})
    assert row_of(body, "anthropic.messages").repeats[0] == 0


def test_pictures_are_never_the_same() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    body: Any = (
        Talk().use("click", {}, "").use("click", {}, "").use("click", {}, "").body("anthropic.messages")
    )
    for message in body["messages"]:
        if isinstance(message["content"], list) and message["content"][0]["type"] == "tool_result":
            message["content"][0]["content"] = [picture]
    assert row_of(body, "anthropic.messages") == START


def test_a_failure_that_is_marked_as_one_is_one() -> None:
    result = {"type": "tool_result", "tool_use_id": "x", "content": "no rights", "is_error": True}
    acts = read_acts("anthropic.messages", orjson.dumps({"role": "user", "content": [result]}))
    assert acts.results[0].failed


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("Error: no such user", True),
        ("Traceback (most recent call last):", True),
        ('{"error": "not found"}', True),
        ('{"success": false}', True),
        ('{"status": "failed"}', True),
        ('{"error": null, "percent": 3}', False),
        ('{"status": "running"}', False),
        ("{broken", False),
        ("No errors were found", False),
        ("", False),
    ],
)
def test_what_a_result_says_of_itself_tells_a_failure(text: str, failed: bool) -> None:
    message = {"role": "tool", "tool_call_id": "x", "content": text}
    assert read_acts("openai.chat", orjson.dumps(message)).results[0].failed is failed


@pytest.mark.parametrize(
    ("name", "waits"),
    [("wait", True), ("wait_for_job", True), ("pollBuild", True), ("sleep-ms", True), ("waiter_list", False)],
)
def test_a_tool_that_waits_says_so_in_its_name(name: str, waits: bool) -> None:
    assert is_waiting(name) is waits


@both_dialects
def test_a_tool_that_the_operator_names_may_be_called_again(dialect: str) -> None:
    talk = Talk()
    for _ in range(9):
        talk.use("job_state", {"id": 1}, "pending")
    assert judged(talk, dialect, LoopOptions(waiting=frozenset({"job_state"}))) is None
    assert judged(talk, dialect) is not None


def paging(talk: Talk) -> None:
    for page in range(12):
        talk.use("list", {"page": page}, f"[{page}, {page + 1}]" if page < 9 else "[]")


def retrying(talk: Talk) -> None:
    for day in range(6):
        talk.use("rate", {"day": day}, "Error: timeout").use("rate", {"day": day}, "Error: timeout")
        talk.use("rate", {"day": day}, f"1.{day}")


def deleting(talk: Talk) -> None:
    for number in range(30):
        talk.use("delete", {"file": number}, "ok")


def editing(talk: Talk) -> None:
    for number in range(10):
        talk.use("edit", {"line": number}, "ok").use("test", {}, "1 failed")


def asking_again(talk: Talk) -> None:
    for _ in range(8):
        talk.use("track", {"parcel": 1}, "on its way").say("Where is my parcel?")


@both_dialects
@pytest.mark.parametrize("pattern", [paging, retrying, deleting, editing, asking_again])
def test_what_healthy_agents_do_is_no_loop(dialect: str, pattern: Callable[[Talk], None]) -> None:
    talk = Talk()
    pattern(talk)
    assert judged(talk, dialect) is None


@pytest.mark.parametrize("kind", LoopKind)
def test_every_kind_is_described_with_how_often_it_came(kind: LoopKind) -> None:
    assert "4 times in a row" in describe(Loop(kind, "find", 3, 2, stops=True))


def test_arguments_that_are_no_json_are_compared_as_they_stand() -> None:
    talk = Talk()
    for _ in range(4):
        talk.use("run", "ls -l", "a b c")
    assert judged(talk, "openai.chat") is not None
