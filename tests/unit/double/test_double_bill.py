from typing import Any

import pytest
from small_world import NOW_S, anthropic_call, claude, gpt, make_double, openai_call, play, words

from bursar.domain.usage import Usage
from bursar.double.bill import Bill, BillRow
from bursar.double.transcripts import TranscriptBook

MARK = {"cache_control": {"type": "ephemeral"}}


def recorded(text: str, *, conversation: str = "c") -> TranscriptBook:
    book = TranscriptBook()
    book.add({"conversation": conversation, "messages": [{"role": "assistant", "content": text}]})
    return book


def test_a_call_is_billed_by_its_token_classes() -> None:
    double = make_double(recorded(words(20)))
    system = [{"type": "text", "text": words(200), **MARK}]
    body = claude(system=system, messages=[{"role": "user", "content": words(10)}])
    named = {"x-bursar-conversation": "c", "x-bursar-operation-id": "op-1"}
    answer, row = play(double, anthropic_call(body, **named))
    # 200 written at 3.75, 10 read as input at 3, 20 put out at 15 USD a million.
    assert row.usage == Usage(input=10, cache_write_5m=200, output=20)
    assert row.cost_nusd == 200 * 3_750 + 10 * 3_000 + 20 * 15_000 == 1_080_000
    assert answer["usage"]["input_tokens"] == 10
    assert answer["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] == 200

    _, again = play(double, anthropic_call(body, **named))
    # Now the 200 are read at 0.30.
    assert again.usage == Usage(input=10, cache_read=200, output=20)
    assert again.cost_nusd == 200 * 300 + 10 * 3_000 + 20 * 15_000 == 390_000

    summary = double.bill.summary()
    assert summary["cost_usd"] == "0.001470000"
    assert summary["tokens"] == {"cache_write_5m": 200, "cache_read": 200, "input": 20, "output": 40}
    assert summary["by_model"]["claude-test"]["calls"] == summary["calls"] == 2
    assert double.bill.by_call()["rows"][0] == {
        "call": 1,
        "operation_id": "op-1",
        "conversation": "c",
        "model": "claude-test",
        "status": 200,
        "tokens": {"input": 10, "cache_write_5m": 200, "output": 20},
        "web_searches": 0,
        "cost_usd": "0.001080000",
        "aborted": False,
        "cut": False,
    }


@pytest.mark.parametrize(
    ("fields", "per_mille"),
    [
        ({}, 1000),
        ({"speed": "fast"}, 2000),
        ({"inference_geo": "us"}, 1100),
        ({"inference_geo": "us", "speed": "fast"}, 2200),
        ({"service_tier": "standard_only"}, 1000),
    ],
)
def test_speed_and_place_multiply_anthropics_rates(fields: dict[str, Any], per_mille: int) -> None:
    double = make_double(recorded(words(20)))
    body = claude(messages=[{"role": "user", "content": words(10)}], **fields)
    _, row = play(double, anthropic_call(body, **{"x-bursar-conversation": "c"}))
    assert row.cost_nusd == (10 * 3_000 + 20 * 15_000) * per_mille // 1000


@pytest.mark.parametrize(
    ("tier", "answered", "per_mille"),
    [
        (None, "default", 1000),
        ("auto", "default", 1000),
        ("flex", "flex", 500),
        ("priority", "priority", 2000),
        ("fast", "priority", 2000),
    ],
)
def test_tiers_multiply_openais_rates(tier: str | None, answered: str, per_mille: int) -> None:
    double = make_double(recorded(words(20)))
    body = gpt(messages=[{"role": "user", "content": words(10)}], service_tier=tier, user="c")
    answer, row = play(double, openai_call(body))
    assert row.cost_nusd == (10 * 3_000 + 20 * 15_000) * per_mille // 1000
    assert answer["service_tier"] == answered


def test_web_searches_are_billed_by_the_thousand() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    answer, row = play(make_double(), anthropic_call(claude(tools=[tool])))
    assert answer["usage"]["server_tool_use"]["web_search_requests"] == row.usage.web_search == 1
    tokens_nusd = row.usage.input * 3_000 + row.usage.output * 15_000
    assert row.cost_nusd == tokens_nusd + 10_000_000


def test_reasoning_is_output_in_anthropics_usage_and_billed_once() -> None:
    body = claude(thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    answer, row = play(make_double(), anthropic_call(body))
    assert row.usage.reasoning > 0
    assert answer["usage"]["output_tokens"] == row.usage.output + row.usage.reasoning
    assert answer["usage"]["output_tokens_details"] == {"thinking_tokens": row.usage.reasoning}
    assert answer["content"][0]["type"] == "thinking"
    assert row.cost_nusd == row.usage.input * 3_000 + (row.usage.output + row.usage.reasoning) * 15_000


def test_reasoning_is_inside_of_openais_completion_tokens() -> None:
    answer, row = play(make_double(), openai_call(gpt(model="gpt-reasoner", reasoning_effort="low")))
    usage = answer["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == row.usage.reasoning > 0
    assert usage["completion_tokens"] == row.usage.output_tokens
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_providers_count_differs_by_the_skew() -> None:
    body = claude(messages=[{"role": "user", "content": words(1000)}], max_tokens=1)
    _, straight = play(make_double(), anthropic_call(body))
    _, skewed = play(make_double(token_skew=1.07), anthropic_call(body))
    assert (straight.usage.input, skewed.usage.input) == (1000, 1070)


def test_choices_are_all_billed() -> None:
    double = make_double(recorded(words(20)))
    answer, row = play(double, openai_call(gpt(n=3, user="c")))
    assert len(answer["choices"]) == 3
    assert answer["usage"]["completion_tokens"] == row.usage.output == 60


def test_refusals_and_injected_failures_cost_nothing_and_are_told_apart() -> None:
    double = make_double(error_rate=1)
    _, refused = play(double, anthropic_call(claude(max_tokens=-1)))
    _, failed = play(double, anthropic_call(claude()))
    assert refused.status == 400
    assert failed.status in {429, 500, 529}
    summary = double.bill.summary()
    assert (summary["calls"], summary["refused"], summary["failed"]) == (0, 1, 1)
    assert summary["cost_usd"] == "0.000000000"


def test_a_rate_limit_says_when_to_come_back() -> None:
    double = make_double(error_rate=1)
    answers = [double.respond(anthropic_call(claude(top_k=number)), NOW_S) for number in range(20)]
    assert {answer.status for answer in answers} == {429, 500, 529}
    assert all(("retry-after" in answer.headers) == (answer.status == 429) for answer in answers)


def test_a_reset_forgets_the_bill_and_the_cache() -> None:
    double = make_double()
    body = claude(system=[{"type": "text", "text": words(200), **MARK}])
    play(double, anthropic_call(body))
    double.reset()
    assert double.bill.summary()["calls"] == 0
    _, row = play(double, anthropic_call(body))
    assert (row.number, row.usage.cache_read) == (1, 0)


def test_rows_are_bounded_and_sums_are_not() -> None:
    bill = Bill(rows_max=2)
    for number in range(5):
        bill.add(BillRow(number, "", "", "m", 200, Usage(input=1), 3))
    assert bill.cost_nusd == 15
    shown = bill.by_call()
    assert [row["call"] for row in shown["rows"]] == [3, 4]
    assert shown["rows_dropped"] == 3
