from typing import Any

import pytest
from msgspec.structs import replace

from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Entry, Status
from bursar.domain.prices import CostLine
from bursar.domain.usage import Usage
from bursar.replay.diagnosis.findings import Finding
from bursar.replay.diagnosis.ledger import LedgerDoctor
from bursar.replay.diagnosis.reasons import Reason
from doctor_calls import books
from ledger_entries import T0_S, entry, unpriced

# Sonnet 4.6, USD per million tokens: 3 plain, 3.75 written for 5 minutes, 0.30 read.
READ, PLAIN, WRITTEN = 300, 3_000, 3_750


def call(number: int, usage: Usage, *, after_s: float = 0.0, **changes: Any) -> Entry:
    made = entry(f"op-{number}", at_s=T0_S + after_s, usage=usage, turn=number)
    attempt = replace(
        made.attempts[0],
        started_at_s=T0_S + after_s,
        usage=usage,
        **{name: changes.pop(name) for name in ("model",) if name in changes},
    )
    return replace(made, attempts=(attempt,), **changes)


def look(*entries: Entry) -> LedgerDoctor:
    looking = LedgerDoctor(books())
    for each in entries:
        looking.look(each)
    return looking


def only(looking: LedgerDoctor) -> Finding:
    (finding,) = looking.findings()
    return finding


FIRST = call(0, Usage(cache_write_5m=10_000))


def test_a_thread_that_reads_what_it_sent_before_has_nothing() -> None:
    assert look(FIRST, call(1, Usage(cache_read=10_000, cache_write_5m=500), after_s=30)).findings() == ()


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (call(1, Usage(cache_write_5m=10_500), after_s=400), Reason.EXPIRED),
        (call(1, Usage(cache_write_5m=10_500), after_s=30, model="claude-sonnet-4-5"), Reason.MODEL_CHANGED),
        (call(1, Usage(cache_write_5m=10_500), after_s=30), Reason.UNAVAILABLE),
        (call(1, Usage(cache_write_5m=10_500), after_s=0.5), Reason.CONCURRENT),
    ],
)
def test_a_miss_costs_what_was_written_less_a_read(second: Entry, reason: Reason) -> None:
    finding = only(look(FIRST, second))
    assert finding.kind.reason is reason
    assert (finding.calls, finding.tokens) == (1, 10_000)
    assert finding.lost_nusd == 10_000 * (WRITTEN - READ)
    assert (finding.example.earlier, finding.example.call) == ("op-0", "op-1")


def test_an_hours_entry_does_not_expire_after_minutes() -> None:
    first = call(0, Usage(cache_write_1h=10_000))
    finding = only(look(first, call(1, Usage(cache_write_1h=10_500), after_s=1_200)))
    assert finding.kind.reason is Reason.UNAVAILABLE


def test_without_marks_the_write_that_reading_takes_is_counted_against_it() -> None:
    finding = only(look(call(0, Usage(input=10_000)), call(1, Usage(input=10_500), after_s=30)))
    assert finding.kind.reason is Reason.UNMARKED
    assert finding.lost_nusd == 10_000 * (PLAIN - READ) - 10_000 * (WRITTEN - PLAIN)


def test_marks_that_cost_more_than_they_keep_are_named() -> None:
    calls = [call(n, Usage(cache_write_5m=2_000), thread=f"t{n}") for n in range(5)]
    finding = only(look(*calls))
    assert finding.kind.reason is Reason.WRITE_WITHOUT_READ
    assert finding.lost_nusd == 5 * 2_000 * (WRITTEN - PLAIN)
    assert look(*calls[:4]).findings() == ()


def test_a_write_whose_reason_is_known_is_not_counted_twice() -> None:
    calls = [call(n, Usage(cache_write_5m=10_000), after_s=30.0 * n) for n in range(10)]
    finding = only(look(*calls))
    assert finding.lost_nusd == 9 * 10_000 * (WRITTEN - READ)


def test_agents_who_pay_most_for_output_come_first() -> None:
    def spoken(number: int, agent: str, output: int, reasoning: int) -> Entry:
        usage = Usage(input=100, output=output, reasoning=reasoning)
        made = call(number, usage, attribution=Attribution(agent=agent), cost_nusd=9_000_000)
        lines = (
            CostLine("output", output, output * 15_000),
            CostLine("reasoning", reasoning, reasoning * 15_000),
        )
        return replace(made, attempts=(replace(made.attempts[0], lines=lines),))

    looking = look(spoken(1, "brief", 20, 0), spoken(2, "thinker", 30, 400), spoken(3, "writer", 200, 0))
    found = looking.output()
    assert [row.agent for row in found] == ["thinker", "writer", "brief"]
    assert found[0].as_json() == {
        "tenant": "default",
        "agent": "thinker",
        "calls": 1,
        "unknown_calls": 0,
        "output_tokens": 30,
        "reasoning_tokens": 400,
        "output_usd": "0.000450000",
        "reasoning_usd": "0.006000000",
        "cost_usd": "0.009000000",
    }


def test_unknown_costs_are_counted_and_not_added() -> None:
    looking = look(unpriced("a"), call(1, Usage(input=100)))
    assert (looking.course.calls, looking.course.unpriced_calls) == (2, 1)
    assert looking.course.cost_nusd == 450_000
    (row,) = look(unpriced("a")).output()
    assert row.as_json()["output_usd"] is None


def test_calls_that_were_refused_or_failed_say_nothing_of_caches() -> None:
    refused = [call(n, Usage(cache_write_5m=10_000), status=Status.ERROR) for n in range(6)]
    assert look(*refused).course.calls == 0


def test_a_thread_of_another_tenant_is_another() -> None:
    other = call(1, Usage(cache_write_5m=10_000), after_s=30, attribution=Attribution(tenant="globex"))
    assert look(FIRST, other).findings() == ()
