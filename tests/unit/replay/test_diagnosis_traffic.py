import json
import random
from dataclasses import replace

import pytest

from bursar.replay.calls import RecordedCall
from bursar.replay.diagnosis.findings import Finding
from bursar.replay.diagnosis.reasons import Reason
from bursar.replay.diagnosis.traffic import TrafficDoctor
from bursar.settings import load
from bursar.view.text_differences import Cause
from bursar.wiring.doctor import build_traffic_doctor
from bursar.wiring.replay import build_replay
from doctor_calls import (
    POLICY,
    T0_S,
    TOOLS,
    Body,
    Change,
    clock_behind,
    clock_in_front,
    doctor,
    shuffled_keys,
    shuffled_tools,
    talks,
)


def look(calls: list[RecordedCall] | None = None, **options: object) -> tuple[Finding, ...]:
    looking = doctor()
    for call in calls if calls is not None else talks(**options):  # type: ignore[arg-type]
        looking.look(call)
    return looking.findings()


def only(findings: tuple[Finding, ...], reason: Reason) -> Finding:
    assert [finding.kind.reason for finding in findings] == [reason]
    return findings[0]


def billed_nusd(calls: list[RecordedCall]) -> int:
    """Return what the double bills for calls that go out as they are."""
    runner, _ = build_replay(load(None).model_copy(update={"mode": "passthrough"}), bounded=False)
    return sum(entry.cost_nusd or 0 for entry in runner.play(calls))


def diagnosed(calls: list[RecordedCall]) -> TrafficDoctor:
    looking = build_traffic_doctor(load(None))
    for call in calls:
        looking.look(call)
    return looking


def test_of_prompts_that_are_read_as_far_as_can_be_nothing_is_said() -> None:
    assert look() == ()


def test_a_clock_in_front_is_named_with_its_place_and_what_it_says() -> None:
    finding = only(look(change=clock_in_front), Reason.SYSTEM_CHANGED)
    assert finding.kind.cause is Cause.CLOCK
    assert (finding.kind.tenant, finding.kind.agent) == ("acme", "desk")
    assert finding.calls == 14  # Every call but the first.
    example = finding.example
    assert example.place == "system[0]"
    assert POLICY.startswith("Rule 0")
    assert example.offset == len("Now it is 2026-11-20T10:0") - (example.before[14] != example.after[14])
    assert (example.before[:11], example.after[:11]) == ("2026-11-20T", "2026-11-20T")
    assert "last user message" in finding.mend


@pytest.mark.parametrize(
    ("change", "mended", "tolerance_per_mille"),
    [
        (shuffled_tools, None, 1),
        (shuffled_keys, None, 2),
        # What moves behind is billed there all the same: the mended prompt is no shorter.
        (clock_in_front, clock_behind, 10),
    ],
)
@pytest.mark.parametrize("marked", [True, False])
def test_what_was_lost_is_what_the_mended_log_is_billed_less(
    change: Change, mended: Change | None, tolerance_per_mille: int, *, marked: bool
) -> None:
    sent = list(talks(change, marked=marked, conversations=6, turns=6))
    looking = diagnosed(sent)
    lost_nusd = sum(finding.lost_nusd for finding in looking.findings())
    less_nusd = billed_nusd(sent) - billed_nusd(list(talks(mended, conversations=6, turns=6)))
    # Unlike the doctor, a client that marks writes the last message of each conversation in vain.
    assert abs(lost_nusd - less_nusd) * 1000 <= less_nusd * (tolerance_per_mille + 5 * (not marked))
    outputs_nusd = 36 * 90 * 15_000
    assert looking.course.prompts_nusd == billed_nusd(sent) - outputs_nusd


def test_the_order_of_tools_and_of_their_keys_is_told_apart() -> None:
    order = only(look(change=shuffled_tools), Reason.TOOLS_CHANGED)
    assert order.kind.cause is Cause.ORDER
    assert order.example.before.startswith("tool_")
    assert "Sort the tools" in order.mend
    keys = only(look(change=shuffled_keys), Reason.TOOLS_CHANGED)
    assert keys.kind.cause is Cause.KEYS
    assert keys.example.place.startswith("tools[")


def test_tools_that_come_and_go_are_told_as_such() -> None:
    def fewer(body: Body, number: int, _: random.Random) -> None:
        del body["tools"][number % len(TOOLS)]

    finding = only(look(change=fewer), Reason.TOOLS_CHANGED)
    assert finding.kind.cause is Cause.SET
    assert "tool_choice" in finding.mend


def test_a_model_that_changes_within_a_conversation_is_named() -> None:
    def other(body: Body, number: int, _: random.Random) -> None:
        body["model"] = "claude-sonnet-4-5" if number % 2 else "claude-sonnet-4-6"

    finding = only(look(change=other), Reason.MODEL_CHANGED)
    assert finding.example.place == "model"
    assert {finding.example.before, finding.example.after} == {"claude-sonnet-4-5", "claude-sonnet-4-6"}


def test_a_setting_that_changes_is_named() -> None:
    def choose(body: Body, number: int, _: random.Random) -> None:
        if number % 2:
            body["tool_choice"] = {"type": "any"}

    finding = only(look(change=choose, turns=8), Reason.MESSAGES_CHANGED)
    assert (finding.kind.cause, finding.example.place) == (Cause.SETTING, "tool_choice")


def test_a_history_that_is_cut_with_every_call_is_named() -> None:
    def cut(body: Body, _: int, __: random.Random) -> None:
        body["messages"] = body["messages"][-5:]

    finding = only(look(change=cut, turns=8), Reason.MESSAGES_CHANGED)
    assert (finding.kind.cause, finding.example.place) == (Cause.CUT, "messages[0]")


def test_without_marks_the_loss_is_what_marks_would_have_kept() -> None:
    sent = list(talks(marked=False, conversations=6, turns=6))
    (finding,) = diagnosed(sent).findings()
    assert finding.kind.reason is Reason.UNMARKED
    less_nusd = billed_nusd(sent) - billed_nusd(list(talks(conversations=6, turns=6)))
    # The client's own marks also write what no call reads: the last message of each conversation.
    assert less_nusd <= finding.lost_nusd <= less_nusd * 1.02


def test_an_entry_that_died_is_told_with_whether_a_longer_life_pays() -> None:
    finding = only(look(at_s=lambda c, t: T0_S + c * 9_000 + t * 600), Reason.EXPIRED)
    assert finding.example.gap_s is not None
    assert finding.example.gap_s >= 600
    assert "A life of 1h would have paid" in finding.mend


def test_a_longer_life_is_not_advised_where_it_costs_more() -> None:
    finding = only(look(at_s=lambda c, t: T0_S + c * 9_000 + t * 20), Reason.EXPIRED)
    assert "A life of 1h would not have paid" in finding.mend


def test_calls_beside_each_other_cannot_read_from_each_other() -> None:
    calls = list(talks(turns=1, conversations=5, at_s=lambda c, _: T0_S + c * 0.1, duration_s=30.0))
    finding = only(tuple(f for f in look(calls) if f.kind.reason is Reason.CONCURRENT), Reason.CONCURRENT)
    assert finding.calls == 4


def test_short_prompts_that_were_marked_are_below_the_minimum() -> None:
    def shorten(body: Body, _: int, __: random.Random) -> None:
        body["system"][0]["text"] = POLICY[:2_000]
        del body["tools"]

    finding = only(look(change=shorten, turns=2, model="claude-haiku-4-5"), Reason.BELOW_MINIMUM)
    assert "minimum" in finding.mend
    assert look(change=shorten, turns=2, model="claude-haiku-4-5", marked=False) == ()


def test_writes_that_nobody_reads_are_named_where_they_are_the_rule() -> None:
    def distinct(body: Body, number: int, _: random.Random) -> None:
        del body["tools"]
        body["system"][0]["text"] = " ".join(f"{number}x{n * number % 977}" for n in range(2_000))

    finding = only(look(change=distinct, turns=1, conversations=6), Reason.WRITE_WITHOUT_READ)
    assert finding.calls == 6
    assert finding.lost_nusd > 0


def test_different_routing_keys_keep_prompts_apart() -> None:
    def body(number: int) -> bytes:
        system = {"role": "system", "content": POLICY}
        user = {"role": "user", "content": f"Question {number}"}
        return json.dumps(
            {"model": "gpt-4o", "prompt_cache_key": f"key-{number}", "messages": [system, user]}
        ).encode()

    calls = [
        replace(call, dialect="openai.chat", body=body(number))
        for number, call in enumerate(talks(turns=1, conversations=4))
    ]
    assert only(look(calls), Reason.CACHE_KEY_CHANGED).calls == 3


def test_the_system_prompt_of_openai_is_named_as_the_message_that_it_is() -> None:
    def body(number: int) -> bytes:
        system = {"role": "system", "content": f"Session s{number}f{number * 77}.\n{POLICY}"}
        return json.dumps(
            {"model": "gpt-4o", "messages": [system, {"role": "user", "content": "Well?"}]}
        ).encode()

    calls = [
        replace(call, dialect="openai.chat", body=body(number))
        for number, call in enumerate(talks(turns=1, conversations=4), start=10)
    ]
    finding = only(look(calls), Reason.SYSTEM_CHANGED)
    assert (finding.kind.cause, finding.example.place) == (Cause.IDENTIFIER, "messages[0]")


def test_agents_are_compared_with_themselves_only() -> None:
    first, second = (
        replace(call, labels={"agent": f"agent-{number}"})
        for number, call in enumerate(talks(clock_in_front, turns=1, conversations=2))
    )
    assert look([first, second]) == ()


def test_what_no_provider_could_take_is_counted_with_its_reason() -> None:
    looking = doctor()
    looking.look(replace(next(talks()), body=b'{"model": "claude-sonnet-4-6"}'))
    assert (looking.course.calls, looking.course.refused_calls) == (0, 1)
    assert list(looking.course.refused.values()) == ["log:1"]


def test_a_model_without_a_price_is_never_free() -> None:
    looking = doctor()
    for call in talks(clock_in_front, model="claude-of-tomorrow"):
        looking.look(call)
    assert looking.course.unpriced_calls == looking.course.calls == 15
    (finding,) = looking.findings()
    assert finding.known_lost_nusd is None
    assert finding.as_json()["lost_usd"] is None
    assert finding.tokens > 0


def test_a_body_that_is_no_longer_kept_costs_the_text_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.replay.diagnosis.habits._BODY_BYTES_MAX", 1)
    findings = look(change=shuffled_tools)
    assert only(findings, Reason.TOOLS_CHANGED).example.before == ""
