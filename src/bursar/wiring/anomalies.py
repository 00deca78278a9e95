"""Settings → who looks for spending that is not as usual, and who is told."""

from collections.abc import Callable
from pathlib import Path

from bursar.adapters.anomalies import AnomalyFeed, AnomalyLog, AnomalyNotices
from bursar.adapters.metrics import Metrics
from bursar.domain.alerts import Finding
from bursar.policy.anomalies.watch import AnomalyWatch
from bursar.ports import Clock
from bursar.settings import Settings


def build_anomaly_feed(
    settings: Settings, metrics: Metrics, clock: Clock, tell: Callable[[Finding], None]
) -> AnomalyFeed | None:
    """Construct what stands between the calls and the metrics; None where nothing is looked for.

    Args:
        settings: What is looked for, and who is told.
        metrics: Told of every call, and of what is found.
        clock: The time.
        tell: Puts what is found among the alerts.
    """
    section = settings.anomalies
    if not section.enabled:
        return None
    sinks = (AnomalyLog(Path(settings.storage.dir)), metrics, AnomalyNotices(tell, section.notify))
    return AnomalyFeed(metrics, AnomalyWatch(section.options()), sinks, clock)
