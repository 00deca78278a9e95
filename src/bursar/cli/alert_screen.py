"""Alerts on the terminal, and as `--json` gives them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from bursar.cli.fitting import Column, show_fitted
from bursar.cli.tables import UNKNOWN, minute, printable
from bursar.domain.alerts import Alert, FindingKind, Notice, delivery_object
from bursar.policy.alerts.messages import one_line
from bursar.policy.budgets.amount_texts import exact, percent, spoken, spoken_limit, suffix_of

_CONCERNS = {"failed": "red", "undeliverable": "yellow", "passed": "dim"}
_COLUMNS = (
    Column("id", is_number=True),
    Column("crossed at", folds_to=10),
    Column("scope", folds_to=16),
    Column("at", is_number=True),
    Column("used of, or found", folds_to=14),
    Column("told", folds_to=14),
    Column("acknowledged", folds_to=10),
)


_FOUND = {
    FindingKind.ANOMALY: "spending is not as usual",
    FindingKind.LOOP: "stopped for its loop",
}


def alert_object(alert: Alert | Notice) -> dict[str, Any]:
    """Return an alert or a notice as `--json` gives it; times in UTC.

    Money is decimal USD with nine places. What belongs to budgets only is null of a notice.
    """
    return {
        "id": alert.alert_id,
        "kind": "budget" if isinstance(alert, Alert) else alert.kind.value,
        "scope": alert.scope,
        **_budget_object(alert),
        "crossed_at": _utc(_at_s(alert)),
        "state": alert.state,
        "deliveries": [delivery_object(each) for each in alert.deliveries],
        "acked_at": None if alert.acked_at_s is None else _utc(alert.acked_at_s),
        "acked_by": alert.acked_by or None,
        "title": alert.title or None,
        "body": alert.body or None,
    }


def _budget_object(alert: Alert | Notice) -> dict[str, Any]:
    if isinstance(alert, Notice):
        return dict.fromkeys(("unit", "window", "window_start", "at", "limit", "used"))
    counter = alert.counter
    return {
        "unit": suffix_of(counter.unit),
        "window": counter.period.value,
        "window_start": None if counter.end_s is None else _utc(counter.start_s),
        "at": f"{alert.at_per_mille // 1000}.{alert.at_per_mille % 1000:03d}",
        "limit": exact(counter.unit, alert.limit),
        "used": exact(counter.unit, alert.settled),
    }


def show_alerts(screen: Console, alerts: Sequence[Alert | Notice]) -> None:
    """Show alerts and notices, in order."""
    if not alerts:
        screen.print("There was no alert yet.")
        return
    rows = [(_cells(alert), _CONCERNS.get(alert.state)) for alert in alerts]
    show_fitted(screen, "Alerts", _COLUMNS, rows, left_out_first=("acknowledged", "at"))


def _cells(alert: Alert | Notice) -> list[str | Text]:
    return [
        str(alert.alert_id),
        minute(_at_s(alert)),
        one_line(alert.scope),
        *_what(alert),
        Text(_told(alert)),
        UNKNOWN if alert.acked_at_s is None else minute(alert.acked_at_s),
    ]


def _what(alert: Alert | Notice) -> tuple[str, str]:
    """Say at which step a budget is, and what is used of it; or what was found."""
    if isinstance(alert, Notice):
        return "", _FOUND[alert.kind]
    unit, limit = alert.counter.unit, spoken_limit(alert.counter.unit, alert.limit, alert.counter.period)
    return percent(alert.at_per_mille), f"{spoken(unit, alert.settled)} of {limit}"


def _at_s(alert: Alert | Notice) -> float:
    return alert.crossed_at_s if isinstance(alert, Alert) else alert.found_at_s


def _told(alert: Alert | Notice) -> str:
    """Say what became of telling each notifier, one a line."""
    if isinstance(alert, Alert) and alert.is_passed:
        return "nobody: a higher step was crossed"
    if not alert.deliveries:
        return "nobody is to be told"
    return "\n".join(
        f"{printable(each.notifier)}: {each.outcome.value}"
        + (f" after {each.attempts} attempts" if each.attempts > 1 else "")
        + (f" ({printable(each.error)})" if each.error else "")
        for each in alert.deliveries
    )


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
