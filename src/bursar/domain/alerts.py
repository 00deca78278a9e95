"""Alerts: that a budget's settled amount has reached a step of its ladder at which somebody is to be told.

There is one for each scope, unit, window and threshold, whichever process saw it first and however often. Of
the steps that one call crosses at once, the highest is told; the others are *passed*: recorded, and never
told.

Beside these there are *notices*, of what was found that is no matter of a budget: anomalies, and
conversations that were stopped for their loops. They are told, retried and listed in the same way.
"""

from enum import StrEnum
from typing import Any

import msgspec

from bursar.domain.reservations import Counter


class Outcome(StrEnum):
    """What became of telling one notifier."""

    PENDING = "pending"  # It is still to be told, or told again.
    DELIVERED = "delivered"
    FAILED = "failed"  # It never took the message.
    UNDELIVERABLE = "undeliverable"  # No notifier of that name was set up.
    ACKNOWLEDGED = "acknowledged"  # A person took note before it could be told.


class Delivery(msgspec.Struct, frozen=True):
    """How one notifier is told of an alert.

    Attributes:
        notifier: Its name.
        outcome: What became of it.
        attempts: How often it was tried.
        error: Why the last attempt failed, without secrets; empty if it did not.
        ended_at_s: When the outcome was final; None while it is pending.
    """

    notifier: str
    outcome: Outcome
    attempts: int = 0
    error: str = ""
    ended_at_s: float | None = None


class Alert(msgspec.Struct, frozen=True):
    """One alert.

    Attributes:
        alert_id: Its number, from 1.
        counter: Where the amount was settled: scope, unit and window.
        at_per_mille: The threshold, as a share of the limit.
        limit: The limit then,
        settled: and what was settled.
        zone: IANA name of the time zone by which its window begins.
        actions: All that the step does, as settings write it.
        crossed_at_s: When it was seen.
        is_passed: Whether a higher step was crossed at once, so that nobody is told of this one.
        deliveries: How notifiers are told, by name.
        title: What they are told in one line,
        body: and at length; both empty until it is first written.
        acked_at_s: When a person took note of it; None for not yet.
        acked_by: Who.
    """

    alert_id: int
    counter: Counter
    at_per_mille: int
    limit: int
    settled: int
    zone: str
    actions: tuple[str, ...]
    crossed_at_s: float
    is_passed: bool = False
    deliveries: tuple[Delivery, ...] = ()
    title: str = ""
    body: str = ""
    acked_at_s: float | None = None
    acked_by: str = ""

    @property
    def scope(self) -> str:
        """Whose it is."""
        return self.counter.scope

    @property
    def state(self) -> str:
        """What became of it in one word: the outcome that most wants somebody's eye, or `passed`."""
        return "passed" if self.is_passed else _state(self.deliveries, "passed")


_BY_CONCERN = (
    Outcome.FAILED,
    Outcome.UNDELIVERABLE,
    Outcome.PENDING,
    Outcome.ACKNOWLEDGED,
    Outcome.DELIVERED,
)


class Message(msgspec.Struct, frozen=True):
    """What a notifier is sent: plain text.

    Attributes:
        title: One line.
        body: Several.
    """

    title: str
    body: str


class FindingKind(StrEnum):
    """What was found."""

    ANOMALY = "anomaly"
    LOOP = "loop"


class Finding(msgspec.Struct, frozen=True):
    """Something that was found and is to be told.

    Attributes:
        kind: What.
        scope: Whose, as `str(Scope)`.
        topic: What of it: the same topic of a scope is told once in `QUIET_S`, whichever process found it.
        found_at_s: When.
        message: What is told.
        notify: Names of the notifiers to be told; nobody where it is to be listed only.
    """

    kind: FindingKind
    scope: str
    topic: str
    found_at_s: float
    message: Message
    notify: tuple[str, ...] = ()


QUIET_S = 600
"""What is found again of the same topic within this time is not told again."""


class Notice(msgspec.Struct, frozen=True):
    """A finding as it is told; see `Alert` for what both have.

    Attributes:
        alert_id: Its number, of the same row of numbers as alerts'.
        kind: What was found,
        scope: whose,
        found_at_s: and when.
        title: What is told in one line,
        body: and at length.
        deliveries: How notifiers are told, by name.
        acked_at_s: When a person took note of it; None for not yet.
        acked_by: Who.
    """

    alert_id: int
    kind: FindingKind
    scope: str
    found_at_s: float
    title: str
    body: str
    deliveries: tuple[Delivery, ...] = ()
    acked_at_s: float | None = None
    acked_by: str = ""

    @property
    def state(self) -> str:
        """What became of it, as of an alert; `listed` where nobody was to be told."""
        return _state(self.deliveries, "listed")


def _state(deliveries: tuple[Delivery, ...], otherwise: str) -> str:
    outcomes = {delivery.outcome for delivery in deliveries}
    return next((outcome.value for outcome in _BY_CONCERN if outcome in outcomes), otherwise)


class Rejected(msgspec.Struct, frozen=True):
    """A notifier did not take a message.

    Attributes:
        reason: Why, for a person, without secrets.
    """

    reason: str


def delivery_object(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as every `--json` gives it."""
    return {
        "notifier": delivery.notifier,
        "outcome": delivery.outcome.value,
        "attempts": delivery.attempts,
        "error": delivery.error or None,
    }
