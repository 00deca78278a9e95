"""What is found not to be as usual, and what is not."""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Entry
from bursar.domain.usage import Usage
from bursar.policy.anomalies.options import AnomalyOptions
from bursar.policy.anomalies.watch import AnomalyWatch
from ledger_entries import entry

DAY_S = 86_400.0
START_S = 1_790_208_000.0
GAP_S = 20.0


class Traffic:
    """Even traffic of one agent: a call every 20 seconds, from six conversations in turn."""

    def __init__(self, options: AnomalyOptions | None = None) -> None:
        self.watch = AnomalyWatch(options)
        self.now_s = START_S
        self._draw = random.Random(1)  # noqa: S311 - load, not a secret
        self._calls = 0

    def call(self, *, conversation: str = "", model: str = "m", times: float = 1.0, read: int = 9) -> Entry:
        """Return a call that costs about 20 cents, of a prompt of about 1,000 tokens."""
        self._calls += 1
        size = self._draw.lognormvariate(0.0, 0.3) * times
        tokens = round(100 * size)
        return replace(
            entry(f"op-{self._calls}"),
            at_s=self.now_s,
            model=model,
            attribution=Attribution(
                "acme", "desk", "", conversation or f"c{self._calls // 60}-{self._calls % 6}"
            ),
            usage=Usage(input=tokens * (10 - read), cache_read=tokens * read, output=tokens),
            cost_nusd=round(200_000_000 * size),
        )

    def run(self, seconds: float, *, gap_s: float = GAP_S, **changes: object) -> list[Anomaly]:
        """Let calls come for a while; returns what is found."""
        found: list[Anomaly] = []
        for at_s in self._times(seconds, gap_s):
            self.now_s = at_s
            self.watch.see(self.call(**changes))  # pyright: ignore[reportArgumentType] - the test's own names
            found += self.watch.judge(at_s)
        return found

    def _times(self, seconds: float, gap_s: float) -> Iterator[float]:
        end_s = self.now_s + seconds
        at_s = self.now_s
        while at_s < end_s:
            at_s += gap_s
            yield at_s


@pytest.fixture
def traffic() -> Traffic:
    made = Traffic()
    assert made.run(2.1 * DAY_S) == []
    return made


def test_nothing_is_found_while_it_is_learned() -> None:
    traffic = Traffic()
    assert traffic.run(DAY_S / 4) == []
    assert traffic.run(3_600, times=20.0, model="dear") == []


def test_ten_times_the_calls_are_found_within_a_minute(traffic: Traffic) -> None:
    began_s = traffic.now_s
    found = traffic.run(600, gap_s=GAP_S / 20)
    assert [anomaly.kind for anomaly in found] == [AnomalyKind.CALLS]
    assert found[0].found_at_s - began_s <= 60
    assert (found[0].tenant, found[0].agent) == ("acme", "desk")
    assert found[0].observed > 4 * found[0].baseline
    assert len(found[0].calls) == 5


def test_a_dearer_model_is_found_by_its_first_calls(traffic: Traffic) -> None:
    (anomaly,) = traffic.run(300, model="dear", times=5.0)
    assert (anomaly.kind, anomaly.model) == (AnomalyKind.NEW_MODEL, "dear")
    assert "calls of a new model, dear, cost" in anomaly.said
    assert traffic.run(60, model="cheap", times=0.5) == []


def test_a_model_ten_times_as_dear_is_found_by_its_second_call(traffic: Traffic) -> None:
    (anomaly,) = traffic.run(2 * GAP_S, model="dear", times=10.0)
    assert (anomaly.kind, anomaly.model) == (AnomalyKind.NEW_MODEL, "dear")


def test_a_dearer_model_whose_first_calls_are_short_is_found_by_the_further_ones(traffic: Traffic) -> None:
    assert traffic.run(6 * GAP_S, model="dear", times=0.5) == []
    assert AnomalyKind.NEW_MODEL in {
        anomaly.kind for anomaly in traffic.run(15 * GAP_S, model="dear", times=5.0)
    }


def test_a_cache_that_stops_hitting_is_found(traffic: Traffic) -> None:
    (anomaly,) = traffic.run(900, read=0)
    assert anomaly.kind is AnomalyKind.CACHE_MISSES
    assert anomaly.baseline == pytest.approx(100, abs=20)
    assert anomaly.observed > 800


def test_prompts_that_grow_are_found(traffic: Traffic) -> None:
    found = traffic.run(900, times=4.0)
    assert found
    assert found[0].kind in {AnomalyKind.PROMPT, AnomalyKind.OUTPUT, AnomalyKind.COST_PER_CALL}


def test_a_conversation_that_runs_away_is_found_by_its_name(traffic: Traffic) -> None:
    (anomaly,) = traffic.run(60, gap_s=1.0, conversation="loop")
    assert (anomaly.kind, anomaly.conversation) == (AnomalyKind.CONVERSATION, "loop")


def test_one_event_is_told_once(traffic: Traffic) -> None:
    found = traffic.run(1_800, gap_s=GAP_S / 20, times=5.0, read=0, model="dear")
    assert len(found) <= 4
    assert all(later.found_at_s - earlier.found_at_s >= 600 for earlier, later in pairwise(found))


def test_a_single_dear_call_is_nothing(traffic: Traffic) -> None:
    traffic.watch.see(traffic.call(times=12.0))
    assert traffic.run(1_800) == []


def test_who_spends_little_wakes_nobody() -> None:
    traffic = Traffic(AnomalyOptions(usd_per_hour_min_nusd=10**15))
    traffic.run(2.1 * DAY_S)
    assert traffic.run(600, gap_s=GAP_S / 20, times=5.0) == []


@pytest.mark.parametrize(
    ("cheap", "dear", "kind"),
    [
        ({"gap_s": 1.5}, {"gap_s": 0.5}, AnomalyKind.CALLS),
        ({"times": 10.0}, {"times": 10.0, "gap_s": 6.0}, AnomalyKind.PROMPT),
        (
            {"conversation": "loop", "gap_s": 4.0},
            {"conversation": "loop", "gap_s": 0.5},
            AnomalyKind.CONVERSATION,
        ),
    ],
)
def test_what_is_cheap_when_it_begins_is_told_once_it_is_dear(
    cheap: dict[str, Any], dear: dict[str, Any], kind: AnomalyKind
) -> None:
    traffic = Traffic(AnomalyOptions(usd_per_hour_min_nusd=1_000 * 10**9))
    traffic.run(2.1 * DAY_S)
    assert traffic.run(600, **cheap) == []
    (anomaly,) = traffic.run(300, **dear)
    assert anomaly.kind is kind


def test_calls_that_cost_nothing_or_an_unknown_amount_say_nothing(traffic: Traffic) -> None:
    for number in range(100):
        unknown = replace(traffic.call(times=50.0, model=f"m{number}"), cost_nusd=None)
        traffic.watch.see(replace(unknown, at_s=traffic.now_s))
        traffic.watch.see(replace(traffic.call(times=50.0), attempts=()))
    assert all(anomaly.kind is AnomalyKind.CALLS for anomaly in traffic.watch.judge(traffic.now_s))


def test_tenants_are_judged_apart(traffic: Traffic) -> None:
    other = Attribution("other", "desk", "", "c")
    for _ in range(100):
        traffic.watch.see(replace(traffic.call(times=50.0), attribution=other))
    assert traffic.watch.judge(traffic.now_s) == []


@pytest.mark.parametrize("kind", AnomalyKind)
def test_every_kind_is_said_in_words(kind: AnomalyKind) -> None:
    anomaly = Anomaly(kind, "acme", "desk", "", 1_000, 5_000, 0.0, 1.0, ("op-1",), "c1", "m")
    assert "usual is" in anomaly.said
    assert anomaly.as_object()["kind"] == kind.value
