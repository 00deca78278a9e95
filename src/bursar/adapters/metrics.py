"""Metrics in Prometheus's form. Labels are bounded: nothing that a client chooses freely becomes one.

Calls are counted in plain integers; families of samples are made only when somebody asks for them, which
happens once for many thousands of calls.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from operator import attrgetter, gt

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from bursar.domain.anomalies import Anomaly
from bursar.domain.ledger import Entry, Status
from bursar.domain.money import NUSD_PER_USD
from bursar.domain.usage import TokenClass
from bursar.policy.response_cache import CacheUse

_OVERHEAD_BUCKETS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000)
_US_PER_S = 1_000_000

_TOKEN_CLASSES = tuple(token_class.value for token_class in TokenClass)
_tokens_by_class = attrgetter(*_TOKEN_CLASSES)


class Metrics(Collector):
    """Counts what ended. Fills `ports.Observer`.

    Monetary samples are floats of dollars, since Prometheus knows nothing else; they are for graphs. The
    ledger has the truth.
    """

    def __init__(self) -> None:
        self._calls: defaultdict[tuple[str, Status], int] = defaultdict(int)
        self._tokens = [0] * len(_TOKEN_CLASSES)
        self._cost_nusd = 0
        self._baseline_nusd = 0
        self._unknown_calls = 0
        self._faults: Counter[str] = Counter()
        self._failures = 0
        self._overruns = 0
        self._anomalies: Counter[str] = Counter()
        self._cache_uses = dict.fromkeys(CacheUse, 0)
        # One more than there are bounds: calls beyond the last.
        self._overheads = [0] * (len(_OVERHEAD_BUCKETS_US) + 1)
        self._overhead_us = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def ended(self, entry: Entry, *, durable: bool, cache: CacheUse = CacheUse.OFF) -> None:
        """Learn that a call ended, and what the response cache did for it."""
        self._calls[entry.dialect, entry.status] += 1
        self._cache_uses[cache] += 1
        overhead_us, cost_nusd, baseline_nusd = entry.overhead_us, entry.cost_nusd, entry.baseline_nusd
        self._overheads[bisect_left(_OVERHEAD_BUCKETS_US, overhead_us)] += 1
        self._overhead_us += overhead_us
        if entry.usage is not None:
            tokens = self._tokens
            for number, count in enumerate(_tokens_by_class(entry.usage)):
                if count:
                    tokens[number] += count
        if cost_nusd is None:
            self._unknown_calls += 1
        else:
            self._cost_nusd += cost_nusd
            known_nusd = cost_nusd if baseline_nusd is None else baseline_nusd
            if known_nusd > 0:
                self._baseline_nusd += known_nusd
        if entry.faults:
            self._faults.update(entry.faults)
        if not durable:
            self._failures += 1

    def settled(self, held: Sequence[int], taken: Sequence[int]) -> None:
        """Learn what a call took of its budgets' counters, beside what was held in each."""
        if any(map(gt, taken, held)):
            self._overruns += 1

    async def found(self, anomaly: Anomaly) -> None:
        """Learn of spending that is not as usual. Fills `ports.AnomalySink`."""
        self._anomalies[anomaly.kind.value] += 1

    def text(self) -> bytes:
        """Write all metrics."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """Yield what was counted, as Prometheus's client wants it."""
        calls = CounterMetricFamily("bursar_calls", "Calls that ended.", labels=["dialect", "status"])
        for (dialect, status), count in self._calls.items():
            calls.add_metric((dialect, status.value), count)
        yield calls
        tokens = CounterMetricFamily("bursar_tokens", "Tokens billed, by class.", labels=["token_class"])
        for name, count in zip(_TOKEN_CLASSES, self._tokens, strict=True):
            tokens.add_metric([name], count)
        yield tokens
        yield CounterMetricFamily(
            "bursar_cost_usd", "Known cost of calls.", value=self._cost_nusd / NUSD_PER_USD
        )
        yield CounterMetricFamily(
            "bursar_baseline_usd",
            "What the same calls would have cost as they came.",
            value=self._baseline_nusd / NUSD_PER_USD,
        )
        yield CounterMetricFamily(
            "bursar_unknown_cost_calls", "Calls whose cost is unknown.", value=self._unknown_calls
        )
        faults = CounterMetricFamily(
            "bursar_faults", "Techniques that failed, so that the call went out as it came.", labels=["fault"]
        )
        for fault, count in self._faults.items():
            faults.add_metric([fault], count)
        yield faults
        yield CounterMetricFamily(
            "bursar_budget_overruns",
            "Calls that took more than was held for them, and may have passed a limit.",
            value=self._overruns,
        )
        anomalies = CounterMetricFamily(
            "bursar_anomalies", "Findings of spending that is not as usual.", labels=["kind"]
        )
        for kind, count in self._anomalies.items():
            anomalies.add_metric([kind], count)
        yield anomalies
        uses = CounterMetricFamily(
            "bursar_response_cache", "Calls by what the response cache did for them.", labels=["result"]
        )
        for use, count in self._cache_uses.items():
            uses.add_metric([use.value], count)
        yield uses
        yield CounterMetricFamily(
            "bursar_ledger_failures", "Entries that could not be written at once.", value=self._failures
        )
        yield self._overhead()
        yield GaugeMetricFamily("bursar_up", "1 while the process serves.", value=1)

    def _overhead(self) -> HistogramMetricFamily:
        buckets: list[tuple[str, float]] = []
        below = 0
        for bound_us, count in zip(_OVERHEAD_BUCKETS_US, self._overheads, strict=False):
            below += count
            buckets.append((str(bound_us / _US_PER_S), below))
        buckets.append(("+Inf", below + self._overheads[-1]))
        return HistogramMetricFamily(
            "bursar_overhead_seconds",
            "Time inside Bursar before sending.",
            buckets=buckets,
            sum_value=self._overhead_us / _US_PER_S,
        )
