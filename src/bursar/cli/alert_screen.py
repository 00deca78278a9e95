"""Alerts on the terminal, and as `--json` gives them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from bursar.cli.fitting import Column, show_fitted
from bursar.cli.tables import UNKNOWN, minute, printable
from bursar.domain.alerts import Alert, delivery_object
from bursar.policy.alerts.messages import one_line
from bursar.policy.budgets.amount_texts import exact, percent, spoken, spoken_limit, suffix_of

_CONCERNS = {"failed": "red", "undeliverable": "yellow", "passed": "dim"}
_COLUMNS = (
    Column("id", is_number=True),
    Column("crossed at", folds_to=10),
    Column("scope", folds_to=16),
    Column("at", is_number=True),
    Column("used of", folds_to=14),
    Column("told", folds_to=14),
    Column("acknowledged", folds_to=10),
)


def alert_object(alert: Alert) -> dict[str, Any]:
    """Return an alert as `--json` gives it; money as decimal USD with nine places, times in UTC."""
    counter = alert.counter
    return {
        "id": alert.alert_id,
        "scope": counter.scope,
        "unit": suffix_of(counter.unit),
        "window": counter.period.value,
        "window_start": None if counter.end_s is None else _utc(counter.start_s),
        "at": f"{alert.at_per_mille // 1000}.{alert.at_per_mille % 1000:03d}",
        "limit": exact(counter.unit, alert.limit),
        "used": exact(counter.unit, alert.settled),
        "crossed_at": _utc(alert.crossed_at_s),
        "state": alert.state,
        "deliveries": [delivery_object(each) for each in alert.deliveries],
        "acked_at": None if alert.acked_at_s is None else _utc(alert.acked_at_s),
        "title": alert.title or None,
        "body": alert.body or None,
    }


def show_alerts(screen: Console, alerts: Sequence[Alert]) -> None:
    """Show alerts, in order."""
    if not alerts:
        screen.print("There was no alert yet.")
        return
    rows = [(_cells(alert), _CONCERNS.get(alert.state)) for alert in alerts]
    show_fitted(screen, "Alerts", _COLUMNS, rows, left_out_first=("acknowledged", "at"))


def _cells(alert: Alert) -> list[str | Text]:
    counter = alert.counter
    return [
        str(alert.alert_id),
        minute(alert.crossed_at_s),
        one_line(counter.scope),
        percent(alert.at_per_mille),
        f"{spoken(counter.unit, alert.settled)} of {spoken_limit(counter.unit, alert.limit, counter.period)}",
        Text(_told(alert)),
        UNKNOWN if alert.acked_at_s is None else minute(alert.acked_at_s),
    ]


def _told(alert: Alert) -> str:
    """Say what became of telling each notifier, one a line."""
    if alert.is_passed:
        return "nobody: a higher step was crossed"
    return "\n".join(
        f"{printable(each.notifier)}: {each.outcome.value}"
        + (f" after {each.attempts} attempts" if each.attempts > 1 else "")
        + (f" ({printable(each.error)})" if each.error else "")
        for each in alert.deliveries
    )


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
