"""Laws of anomalies: quiet while learning, no flood, tenants apart, bounded, nothing by chance."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Entry
from bursar.domain.usage import Usage
from bursar.policy.anomalies.baseline import Baseline
from bursar.policy.anomalies.options import SENSITIVITIES, AnomalyOptions
from bursar.policy.anomalies.series import Series
from bursar.policy.anomalies.watch import SUBJECTS_MAX, AnomalyWatch
from ledger_entries import entry

DAY_S = 86_400.0
HOUR_S = 3_600.0
START_S = 1_790_208_000.0
ENTRY = entry()


class Burst(NamedTuple):
    """Calls that come one after another."""

    calls: int
    gap_s: float
    nusd: int
    tokens: int
    read_per_mille: int
    conversation: str
    model: str
    tenant: str = "acme"


def bursts(tenant: str = "acme", gap_s_max: float = 120.0) -> st.SearchStrategy[list[Burst]]:
    made = st.builds(
        Burst,
        st.integers(1, 60),
        st.floats(0.1, gap_s_max),
        st.sampled_from([0, 1_000, 200_000_000, 10_000_000_000]),
        st.sampled_from([0, 10, 1_000, 100_000]),
        st.integers(0, 1_000),
        st.sampled_from(["", "c1", "c2", "c3"]),
        st.sampled_from(["m", "dear", "other"]),
        st.just(tenant),
    )
    return st.lists(made, min_size=1, max_size=12)


Timed = tuple[float, Entry]
Told = tuple[float, Anomaly]


def calls_of(made: Iterable[Burst], at_s: float) -> list[Timed]:
    calls: list[Timed] = []
    for number, burst in enumerate(made):
        cached = burst.tokens * burst.read_per_mille // 1_000
        usage = Usage(input=burst.tokens - cached, cache_read=cached, output=burst.tokens // 10)
        for call in range(burst.calls):
            at_s += burst.gap_s
            who = Attribution(burst.tenant, "desk", "", burst.conversation or f"n{number}-{call % 7}")
            changes: dict[str, Any] = {"at_s": at_s, "attribution": who, "model": burst.model}
            changes |= {"usage": usage, "cost_nusd": burst.nusd, "operation_id": f"{burst.tenant}-{at_s}"}
            calls.append((at_s, replace(ENTRY, **changes)))
    return calls


def run(
    watch: AnomalyWatch, calls: Sequence[Timed], *, since_s: float, every_s: float = 5.0, until_s: float
) -> list[Told]:
    """Let calls come in the order of time, and judge every few seconds. Returns what is told, and when.

    Judging begins at `since_s` whoever calls first: a watch is asked as time goes by, not as calls come.
    """
    told: list[Told] = []
    judge_s = since_s
    for at_s, call in sorted(calls, key=lambda timed: timed[0]):
        while judge_s + every_s <= at_s:
            judge_s += every_s
            told += [(judge_s, anomaly) for anomaly in watch.judge(judge_s)]
        watch.see(call)
    while judge_s < until_s:
        judge_s += every_s
        told += [(judge_s, anomaly) for anomaly in watch.judge(judge_s)]
    return told


@cache
def _learned(usd_per_hour_min_nusd: int = 0) -> AnomalyWatch:
    """Return a watch that has learned two days of even traffic of one agent."""
    watch, draw = AnomalyWatch(AnomalyOptions("high", usd_per_hour_min_nusd)), Random(1)  # noqa: S311 - load, not a secret
    calls: list[Timed] = []
    for number in range(round(2.1 * DAY_S / 20)):
        size = draw.lognormvariate(0.0, 0.2)
        burst = Burst(
            1, 20.0, round(200_000_000 * size), round(1_000 * size), 900, f"c{number // 60}-{number % 6}", "m"
        )
        calls += calls_of([burst], START_S + 20.0 * number)
    assert run(watch, calls, since_s=START_S, every_s=60.0, until_s=LEARNED_S) == []
    return watch


LEARNED_S = START_S + 2.1 * DAY_S


def learned(usd_per_hour_min_nusd: int = 0) -> AnomalyWatch:
    return deepcopy(_learned(usd_per_hour_min_nusd))


def found_after(made: Sequence[Burst], watch: AnomalyWatch | None = None) -> list[Told]:
    calls = calls_of(made, LEARNED_S)
    return run(watch or learned(), calls, since_s=LEARNED_S, until_s=calls[-1][0] + 60.0)


@given(bursts(gap_s_max=600.0), st.sampled_from(SENSITIVITIES))
@settings(max_examples=30)
def test_nothing_is_found_on_an_agents_first_day_whatever_it_does(
    made: list[Burst], sensitivity: str
) -> None:
    calls = [timed for timed in calls_of(made, START_S) if timed[0] < START_S + DAY_S]
    watch = AnomalyWatch(AnomalyOptions(sensitivity, 0))
    assert run(watch, calls, since_s=START_S, every_s=30.0, until_s=START_S + DAY_S) == []


@given(bursts())
@settings(max_examples=30)
def test_whatever_comes_after_there_is_no_flood(made: list[Burst]) -> None:
    told = found_after(made)
    assert all(later - earlier >= 600.0 for (earlier, _), (later, _) in pairwise(told))
    for kind in AnomalyKind:
        times = [at_s for at_s, anomaly in told if anomaly.kind is kind]
        assert all(later - earlier >= HOUR_S for earlier, later in pairwise(times))


@given(bursts(), bursts("other"), bursts("third"))
@example(
    [Burst(1, 36.0, 0, 0, 0, "", "m"), Burst(1, 1.0, 0, 0, 0, "", "m"), Burst(23, 1.0, 0, 0, 0, "", "m")],
    [Burst(1, 1.0, 0, 0, 0, "", "m", "other")],
    [Burst(1, 1.0, 0, 0, 0, "", "m", "third")],
)
@settings(max_examples=20)
def test_what_is_found_of_a_tenant_hangs_on_its_own_calls_alone_and_on_nothing_else(
    made: list[Burst], others: list[Burst], third: list[Burst]
) -> None:
    calls = calls_of(made, LEARNED_S)
    until_s = calls[-1][0] + 60.0
    alone = run(learned(), calls, since_s=LEARNED_S, until_s=until_s)
    among = [*calls_of(others, LEARNED_S), *calls, *calls_of(third, LEARNED_S)]
    among.sort(key=lambda timed: timed[0])
    among = [timed for timed in among if timed[0] <= until_s]
    told = run(learned(), among, since_s=LEARNED_S, until_s=until_s)
    # Of the others nothing is known yet, and so nothing is told.
    assert told == alone


@given(bursts())
@settings(max_examples=20)
def test_who_spends_little_wakes_nobody_whatever_comes(made: list[Burst]) -> None:
    assert found_after(made, learned(usd_per_hour_min_nusd=10**18)) == []


@given(bursts())
@settings(max_examples=20)
def test_a_finding_names_calls_and_a_conversation_that_were_there(made: list[Burst]) -> None:
    calls = calls_of(made, LEARNED_S)
    names = {call.operation_id for _, call in calls}
    for at_s, anomaly in found_after(made):
        assert anomaly.tenant == "acme"
        assert len(anomaly.calls) <= 5
        assert all(call in names or call.startswith("acme-") for call in anomaly.calls)
        assert anomaly.since_s <= anomaly.found_at_s <= at_s
        assert anomaly.observed > anomaly.baseline


def test_what_is_known_is_bounded() -> None:
    watch: Any = AnomalyWatch()
    for number in range(SUBJECTS_MAX + 100):
        who = Attribution(f"tenant {number}", "desk", "", "c")
        watch.see(replace(ENTRY, attribution=who, at_s=START_S))
    assert len(watch._subjects) <= SUBJECTS_MAX
    subject = watch._subjects[f"tenant {SUBJECTS_MAX + 99}", "desk", ""]
    for number in range(6_000):
        who = Attribution("", "desk", "", f"c{number}")
        call = replace(ENTRY, attribution=who, at_s=START_S, model=f"m{number}")
        subject.see(call, 1.0)
    assert len(subject._models) <= 64
    assert len(subject._conversations._known) <= 5_000
    assert len(subject._recent) <= 40


# What follows is of single quantities.

VALUES = st.floats(-50.0, 50.0)


@given(st.lists(VALUES, min_size=1, max_size=300), st.floats(1.0, 4_000.0))
def test_what_is_usual_lies_among_what_was_seen(values: list[float], gap_s: float) -> None:
    baseline, at_s = Baseline(0.05), START_S
    for number, value in enumerate(values):
        at_s += gap_s
        baseline.learn(value, at_s)
        assert baseline.spread >= 0.05
        assert min(values[: number + 1]) - 1e-9 <= baseline._level <= max(values[: number + 1]) + 1e-9  # pyright: ignore[reportPrivateUsage] - the level is what the law is of


def series_of(seed: int, noise: float) -> tuple[Series, float]:
    """Return a series that has seen two days of a value around 7."""
    series, at_s, draw = Series(0.05, 0.4), START_S, Random(seed)  # noqa: S311 - noise, not a secret
    for _ in range(2 * 24 * 12):
        at_s += 300.0
        assert series.see(7.0 + draw.uniform(-noise, noise), at_s, 0.75) is None
    return series, at_s


@given(st.integers(0, 2**32), st.floats(0.0, 0.3), st.floats(0.0, 1e6))
@settings(max_examples=50)
def test_one_value_alone_is_nothing_however_far_off_and_a_second_is_if_it_is_far_enough(
    seed: int, noise: float, off: float
) -> None:
    series, at_s = series_of(seed, noise)
    far = 7.0 + max(off, 6.5 * series.baseline.spread + 0.5)
    assert series.see(far, at_s + 300.0, 0.75) is None
    departure = deepcopy(series).see(far, at_s + 600.0, 0.75)
    assert departure is not None
    assert departure.observed == pytest.approx(far)
    assert departure.since_s == at_s + 300.0
    # What is usual again is usual again, and was learned from nothing that was not.
    for number in range(2, 20):
        assert series.see(7.0, at_s + 300.0 * number, 0.75) is None
    assert series.baseline.expect(at_s + 6_000.0) == pytest.approx(7.0, abs=0.2)


@given(st.integers(0, 2**32), st.floats(0.0, 1e6))
@settings(max_examples=30)
def test_what_falls_is_never_told_of(seed: int, off: float) -> None:
    series, at_s = series_of(seed, 0.1)
    assert all(series.see(7.0 - off, at_s + 300.0 * number, 0.75) is None for number in range(1, 50))
