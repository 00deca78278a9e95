"""What a limit would have refused."""

from typing import Any

from msgspec.structs import replace

from budget_scene import table
from bursar.domain.attribution import ERASED, Attribution
from bursar.domain.ledger import Entry, Status
from bursar.replay.dry_run import DryRun
from ledger_entries import HOUR_S, T0_S, entry, unpriced

# 0.00045 USD each.
ABOUT_TWO: dict[str, Any] = {"limit_usd": "0.001"}


async def run(*calls: Entry, since_s: float = T0_S, scope: str = "tenant:acme", **limits: Any) -> DryRun:
    (budget,) = table(scope, **(limits or ABOUT_TWO)).budgets()
    trial = DryRun(budget, since_s)
    for call in calls:
        await trial.look(call)
    return trial


def at(number: int, **changes: Any) -> Entry:
    return entry(f"op-{number}", at_s=T0_S + number, **changes)


async def test_a_call_that_is_refused_takes_nothing_so_that_a_smaller_one_still_fits() -> None:
    trial = await run(at(0), at(1), at(2), at(3, cost_nusd=100_000))
    assert (trial.calls, trial.refused.calls, trial.refused.cost_nusd) == (4, 1, 450_000)
    assert trial.as_object()["first_refused_at"] == "2025-11-24T16:00:02Z"


async def test_each_window_begins_anew() -> None:
    later = [entry(f"next-{n}", at_s=T0_S + HOUR_S + n) for n in range(2)]
    trial = await run(at(0), at(1), at(2), *later, window="hour", **ABOUT_TWO)
    assert trial.refused.calls == 1


async def test_calls_before_the_span_count_and_are_not_reported() -> None:
    trial = await run(at(0), at(1), at(2), at(3), since_s=T0_S + 3)
    assert trial.begins_s == T0_S - 16 * HOUR_S
    assert (trial.calls, trial.refused.calls) == (1, 1)


async def test_of_a_pattern_each_scope_has_its_own_limit_and_agents_are_told_apart() -> None:
    rival = replace(entry().attribution, tenant="rival")
    trial = await run(*map(at, range(3)), *(at(n, attribution=rival) for n in range(3, 6)), scope="tenant:*")
    rows = trial.as_object()["rows"]
    assert [(row["tenant"], row["refused_calls"]) for row in rows] == [("acme", 1), ("rival", 1)]


async def test_calls_of_erased_tenants_count_for_the_organisation_alone() -> None:
    calls = [at(number, attribution=Attribution(ERASED, ERASED)) for number in range(3)]
    assert (await run(*calls, scope="tenant:*")).calls == 0
    assert (await run(*calls, scope="organisation")).refused.calls == 1


async def test_what_was_never_sent_counts_for_nothing() -> None:
    refused = at(1, status=Status.REFUSED, attempts=(), cost_nusd=0)
    trial = await run(refused, scope="tenant:acme", limit_turns=1)
    assert trial.calls == 0
    assert trial.as_object()["refused_live_calls"] == 1


async def test_only_calls_of_the_scope_are_counted() -> None:
    rival = replace(entry().attribution, tenant="rival")
    refused = at(2, attribution=rival, status=Status.REFUSED, attempts=(), cost_nusd=0)
    trial = await run(at(0), at(1, attribution=rival), refused)
    assert (trial.calls, trial.cost_nusd, trial.refused_live) == (1, 450_000, 0)


async def test_unknown_costs_are_told() -> None:
    trial = await run(unpriced("a"))
    assert trial.as_object()["unknown_calls"] == 1


async def test_the_ladder_refuses_new_conversations_first() -> None:
    ladder = [{"at": 1, "actions": ["refuse_new"]}]
    limits: dict[str, Any] = {"limit_usd": "0.0009", "grace": "0.5", "ladder": ladder}
    new = replace(entry().attribution, conversation="new")
    trial = await run(at(0), at(1, attribution=new), at(2), **limits)
    # The third is of an active conversation, and within the grace.
    assert trial.refused.calls == 0
    trial = await run(at(0), at(1), at(2, attribution=new), at(3), **limits)
    assert [row["refused_calls"] for row in trial.as_object()["rows"]] == [1]
