"""Alerts and deliveries as rows of the outbox's tables, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from bursar.domain.alerts import Alert, Delivery, FindingKind, Notice, Outcome
from bursar.domain.reservations import Counter, Period, Unit

_US_PER_S = 1_000_000


def us(at_s: float) -> int:
    """Return a time in whole microseconds."""
    return round(at_s * _US_PER_S)


def seconds(at_us: int) -> float:
    """Return a time in seconds."""
    return at_us / _US_PER_S


def alert_of(row: Mapping[str, Any], deliveries: Iterable[tuple[Any, ...]]) -> Alert:
    """Return an alert from its row, and the rows of its deliveries."""
    return Alert(
        alert_id=row["id"],
        counter=Counter(row["scope"], Unit(row["unit"]), Period(row["period"]), row["start_s"], row["end_s"]),
        at_per_mille=row["at_per_mille"],
        limit=row["limit"],
        settled=row["settled"],
        zone=row["zone"],
        actions=tuple(row["actions"].split(",")),
        crossed_at_s=seconds(row["crossed_at_us"]),
        is_passed=bool(row["is_passed"]),
        deliveries=tuple(_delivery(*cells) for cells in deliveries),
        title=row["title"],
        body=row["body"],
        acked_at_s=None if row["acked_at_us"] is None else seconds(row["acked_at_us"]),
        acked_by=row["acked_by"],
    )


def notice_of(row: Mapping[str, Any], deliveries: Iterable[tuple[Any, ...]]) -> Notice:
    """Return a notice from its row, and the rows of its deliveries."""
    return Notice(
        alert_id=row["id"],
        kind=FindingKind(row["kind"]),
        scope=row["scope"],
        found_at_s=seconds(row["crossed_at_us"]),
        title=row["title"],
        body=row["body"],
        deliveries=tuple(_delivery(*cells) for cells in deliveries),
        acked_at_s=None if row["acked_at_us"] is None else seconds(row["acked_at_us"]),
        acked_by=row["acked_by"],
    )


def _delivery(notifier: str, outcome: str, attempts: int, error: str, ended_at_us: int | None) -> Delivery:
    return Delivery(
        notifier, Outcome(outcome), attempts, error, None if ended_at_us is None else seconds(ended_at_us)
    )
