"""Metrics in Prometheus's form. Labels are bounded: nothing that a client chooses freely becomes one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bursar.domain.ledger import Entry
from bursar.domain.money import NUSD_PER_USD
from bursar.domain.usage import TokenClass

_OVERHEAD_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)


class Metrics:
    """Counts what ended. Fills `ports.Observer`.

    Monetary counters are floats of dollars, since Prometheus knows nothing else; they are for graphs. The
    ledger has the truth.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "bursar_calls", "Calls that ended.", ["dialect", "status"], registry=self._registry
        )
        self._tokens = Counter(
            "bursar_tokens", "Tokens billed, by class.", ["token_class"], registry=self._registry
        )
        self._cost = Counter("bursar_cost_usd", "Known cost of calls.", registry=self._registry)
        self._baseline = Counter(
            "bursar_baseline_usd",
            "What the same calls would have cost as they came.",
            registry=self._registry,
        )
        self._unknown = Counter(
            "bursar_unknown_cost_calls", "Calls whose cost is unknown.", registry=self._registry
        )
        self._faults = Counter(
            "bursar_faults",
            "Techniques that failed, so that the call went out as it came.",
            ["fault"],
            registry=self._registry,
        )
        self._not_durable = Counter(
            "bursar_ledger_failures", "Entries that could not be written at once.", registry=self._registry
        )
        self._overhead = Histogram(
            "bursar_overhead_seconds",
            "Time inside Bursar before sending.",
            buckets=_OVERHEAD_BUCKETS_S,
            registry=self._registry,
        )
        self._started = Gauge("bursar_up", "1 while the process serves.", registry=self._registry)
        self._started.set(1)
        # Looking a label up costs more than counting it; the combinations are few.
        self._by_call: dict[tuple[str, str], Counter] = {}
        self._by_class = {
            token_class.value: self._tokens.labels(token_class.value) for token_class in TokenClass
        }

    def ended(self, entry: Entry, *, durable: bool) -> None:
        """Learn that a call ended."""
        key = (entry.dialect, entry.status.value)
        calls = self._by_call.get(key)
        if calls is None:
            calls = self._by_call[key] = self._calls.labels(*key)
        calls.inc()
        self._overhead.observe(entry.overhead_us / 1e6)
        if entry.usage is not None:
            for name, tokens in entry.usage.tokens().items():
                self._by_class[name].inc(tokens)
        if entry.cost_nusd is None:
            self._unknown.inc()
        else:
            self._cost.inc(entry.cost_nusd / NUSD_PER_USD)
            baseline_nusd = entry.cost_nusd if entry.baseline_nusd is None else entry.baseline_nusd
            self._baseline.inc(max(0, baseline_nusd) / NUSD_PER_USD)
        for fault in entry.faults:
            self._faults.labels(fault).inc()
        if not durable:
            self._not_durable.inc()

    def text(self) -> bytes:
        """Write all metrics."""
        return generate_latest(self._registry)
