"""A month of traffic with anomalies: which are found, how soon, and how often somebody is woken in vain.

    python -m bench.anomalies [--data DIR] [--days N] [--tenants N] [--share S] [--each N] [--seed N]

The recorded hour of arrivals is tiled over the month, thinned by the hour of the day and the day of the
week. Entries are seen as they come, and judged every five seconds, as in the gateway. An alert within an
anomaly, or within ten minutes after it, is that anomaly's; every other one is false. The first nine days have
no anomaly.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.anomaly_traffic import KINDS, LASTS_S, START_S, Injected, Month, Tenant, choose
from bursar.domain.anomalies import Anomaly
from bursar.domain.ledger import Entry
from bursar.policy.anomalies.watch import AnomalyWatch

_JUDGED_EVERY_S = 5.0
_AFTER_S = 600.0
_RECALL_MIN = 0.95
_FALSE_A_DAY_MAX = 0.1
_DELAY_MAX_S = 60.0


def play(entries: Iterator[Entry]) -> tuple[list[Anomaly], int, float, float]:
    """Return what is found, the calls, and the seconds that seeing and judging took."""
    watch, found, calls = AnomalyWatch(), list[Anomaly](), 0
    seeing = judging = 0.0
    due_s = START_S + _JUDGED_EVERY_S
    batch: list[Entry] = []
    for entry in entries:
        while entry.at_s >= due_s:
            began = time.perf_counter()
            for each in batch:
                watch.see(each)
            seen = time.perf_counter()
            calls += len(batch)
            batch.clear()
            found += watch.judge(due_s)
            judging += time.perf_counter() - seen
            seeing += seen - began
            due_s += _JUDGED_EVERY_S
        batch.append(entry)
    return found, calls, seeing, judging


def _told_at(anomaly: Anomaly) -> float:
    """When it was told: at the end of the five seconds in which it was found."""
    return START_S + _JUDGED_EVERY_S * -(-(anomaly.found_at_s - START_S) // _JUDGED_EVERY_S)


def match(
    injected: Sequence[Injected], found: Sequence[Anomaly]
) -> tuple[dict[Injected, list[Anomaly]], list[Anomaly]]:
    """Tell which anomaly each alert belongs to, and which to none."""
    matched: dict[Injected, list[Anomaly]] = defaultdict(list)
    false: list[Anomaly] = []
    for anomaly in found:
        owner = next(
            (
                each
                for each in injected
                if each.tenant == anomaly.tenant
                and each.at_s <= anomaly.found_at_s < each.at_s + LASTS_S + _AFTER_S
            ),
            None,
        )
        if owner is None:
            false.append(anomaly)
        else:
            matched[owner].append(anomaly)
    return matched, false


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--tenants", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    file = asked.data / "arrivals-conversation.jsonl"
    month = Month(file, asked.days, asked.share, asked.each, asked.seed)
    injected: list[Injected] = []
    found: list[Anomaly] = []
    calls, seeing, judging = 0, 0.0, 0.0
    for number in range(asked.tenants):
        tenant = f"tenant-{number}"
        chosen = choose(month, tenant)
        more, count, seen, judged = play(Tenant(month, tenant, chosen).entries())
        injected += chosen
        found += more
        calls, seeing, judging = calls + count, seeing + seen, judging + judged
    return show(asked.tenants * asked.days, injected, found, (calls, seeing, judging))


def show(
    tenant_days: int,
    injected: Sequence[Injected],
    found: Sequence[Anomaly],
    took: tuple[int, float, float],
) -> int:
    """Print the figures. Returns 1 where one is not as it must be."""
    matched, false = match(injected, found)
    right = len(false) <= _FALSE_A_DAY_MAX * tenant_days
    heads = f"{'put in':>8}{'found':>8}{'recall':>8}{'delay s: median':>17}{'most':>7}{'alerts':>8}"
    print(f"{'anomaly':22}{heads}  told as")
    for kind in KINDS:
        of_kind = [each for each in injected if each.kind == kind]
        delays = [_told_at(matched[each][0]) - each.at_s for each in of_kind if each in matched]
        in_time = sum(delay <= _DELAY_MAX_S for delay in delays)
        recall = in_time / max(len(of_kind), 1)
        right = right and recall >= _RECALL_MIN
        alerts = sum(len(matched[each]) for each in of_kind if each in matched)
        told = Counter(matched[each][0].kind.value for each in of_kind if each in matched)
        spread = ", ".join(f"{name} {n}" for name, n in told.most_common())
        print(
            f"{kind:22}{len(of_kind):8}{in_time:8}{recall:8.2f}{median(delays or [0]):17.0f}"
            f"{max(delays, default=0):7.0f}{alerts / max(len(of_kind), 1):8.2f}  {spread}"
        )
    names = ", ".join(f"{kind.value} {n}" for kind, n in Counter(each.kind for each in false).most_common())
    print(f"\nfalse alarms a day and tenant: {len(false) / tenant_days:.3f} ({names or 'none'})")
    calls, seeing, judging = took
    print(
        f"{calls:,} calls; {seeing / calls * 1e6:.1f} us a call, "
        f"{judging / tenant_days / 17_280 * 1e6:.0f} us a look"
    )
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
