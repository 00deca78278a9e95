"""Metrics say what the ledger's entries say, in Prometheus's form."""

from bursar.adapters.metrics import Metrics
from bursar.domain.usage import Usage
from bursar.policy.response_cache import CacheUse
from ledger_entries import entry, unpriced


def _samples(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_call_counts_by_dialect_and_status_its_tokens_by_class_and_its_money_in_dollars() -> None:
    metrics = Metrics()
    call = entry(usage=Usage(input=3, cache_read=40), cost_nusd=2_000_000, baseline_nusd=5_000_000)
    metrics.ended(call, durable=True)
    metrics.ended(call, durable=True)

    samples = _samples(metrics)
    assert samples['bursar_calls_total{dialect="anthropic.messages",status="ok"}'] == 2
    assert samples['bursar_tokens_total{token_class="input"}'] == 6
    assert samples['bursar_tokens_total{token_class="cache_read"}'] == 80
    assert samples['bursar_tokens_total{token_class="output"}'] == 0
    assert samples["bursar_cost_usd_total"] == 0.004
    assert samples["bursar_baseline_usd_total"] == 0.01
    assert samples["bursar_ledger_failures_total"] == 0
    assert samples["bursar_up"] == 1


def test_unknown_cost_is_counted_apart_and_adds_no_money() -> None:
    metrics = Metrics()
    metrics.ended(unpriced("op-1"), durable=True)

    samples = _samples(metrics)
    assert samples["bursar_unknown_cost_calls_total"] == 1
    assert samples["bursar_cost_usd_total"] == 0


def test_a_call_that_took_more_than_was_held_in_any_counter_is_counted_once() -> None:
    metrics = Metrics()
    metrics.settled((10, 10), (10, 0))
    assert _samples(metrics)["bursar_budget_overruns_total"] == 0
    metrics.settled((10, 10), (11, 12))
    assert _samples(metrics)["bursar_budget_overruns_total"] == 1


def test_overheads_are_counted_at_or_below_their_bound() -> None:
    metrics = Metrics()
    for overhead_us in (100, 101, 2_000_000):
        metrics.ended(entry(overhead_us=overhead_us), durable=True)

    samples = _samples(metrics)
    assert samples['bursar_overhead_seconds_bucket{le="0.0001"}'] == 1
    assert samples['bursar_overhead_seconds_bucket{le="0.00025"}'] == 2
    assert samples['bursar_overhead_seconds_bucket{le="1.0"}'] == 2
    assert samples['bursar_overhead_seconds_bucket{le="+Inf"}'] == 3
    assert samples["bursar_overhead_seconds_sum"] == 2.000201


def test_calls_are_counted_by_what_the_response_cache_did_for_them() -> None:
    metrics = Metrics()
    for use in (CacheUse.HIT, CacheUse.HIT, CacheUse.JOINED, CacheUse.MISS):
        metrics.ended(entry(), durable=True, cache=use)
    metrics.ended(entry(), durable=True)

    samples = _samples(metrics)
    counted = {use.value: samples[f'bursar_response_cache_total{{result="{use.value}"}}'] for use in CacheUse}
    assert counted == {"hit": 2, "joined": 1, "miss": 1, "off": 1}


def test_faults_are_counted_by_name_and_entries_that_were_not_written_at_once() -> None:
    metrics = Metrics()
    metrics.ended(entry(faults=("decide", "look")), durable=False)
    metrics.ended(entry(faults=("decide",)), durable=True)

    samples = _samples(metrics)
    assert samples['bursar_faults_total{fault="decide"}'] == 2
    assert samples['bursar_faults_total{fault="look"}'] == 1
    assert samples["bursar_ledger_failures_total"] == 1
