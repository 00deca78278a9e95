"""Alerts on the terminal, and as `--json` gives them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from bursar.cli.tables import UNKNOWN, titled_table
from bursar.domain.alerts import Alert, delivery_object
from bursar.policy.alerts.messages import one_line
from bursar.policy.budgets.amount_texts import exact, percent, spoken, spoken_limit, suffix_of

_CONCERNS = {"failed": "red", "undeliverable": "yellow", "passed": "dim"}


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
    table = titled_table("Alerts")
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("crossed at", no_wrap=True)
    table.add_column("scope", overflow="fold")
    table.add_column("at", justify="right", no_wrap=True)
    table.add_column("used of", overflow="fold")
    table.add_column("told", overflow="fold")
    table.add_column("acknowledged", no_wrap=True)
    for alert in alerts:
        counter = alert.counter
        table.add_row(
            str(alert.alert_id),
            _utc(alert.crossed_at_s),
            one_line(counter.scope),
            percent(alert.at_per_mille),
            f"{spoken(counter.unit, alert.settled)} of "
            f"{spoken_limit(counter.unit, alert.limit, counter.period)}",
            _told(alert),
            UNKNOWN if alert.acked_at_s is None else _utc(alert.acked_at_s),
            style=_CONCERNS.get(alert.state),
        )
    screen.print(table)


def _told(alert: Alert) -> str:
    """Say what became of telling each notifier."""
    if alert.is_passed:
        return "nobody: a higher step was crossed"
    return "\n".join(
        f"{each.notifier}: {each.outcome.value}"
        + (f" after {each.attempts} attempts" if each.attempts > 1 else "")
        + (f" ({each.error})" if each.error else "")
        for each in alert.deliveries
    )


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
