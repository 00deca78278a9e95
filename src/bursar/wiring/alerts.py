"""Settings → who is told when budgets reach steps of their ladders, and of what is found beside."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bursar.adapters.alerts.apprise_notifier import AppriseNotifier
from bursar.adapters.alerts.delivering import Deliverer
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.alerts.recording import Recorder, Sources
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.alerts import Alert, Message
from bursar.domain.budgets import Budget
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Counter
from bursar.domain.scopes import read_scope
from bursar.errors import BadSetting, StoreFailed
from bursar.exchange.engine import Engine
from bursar.policy.alerts.messages import Driver, Facts, write_message
from bursar.policy.budgets.book import BudgetBook
from bursar.ports import Clock, Notifier
from bursar.settings import Settings
from bursar.settings.budgets import budgets_of
from bursar.settings.explaining import as_key
from bursar.settings.notify import NotifySection
from bursar.settings.raising import how_to_raise
from bursar.settings.stored import Key, key_of
from bursar.settings.values import find_zone

_DRIVERS_MAX = 3
_HOUR_S = 3600.0


class Alerts:
    """All that tells people, for one gateway.

    Args:
        settings: Who can be told, and where alerts are kept.
        engine: The budgets in force.
        ledger: What is settled, and what drove it.
        clock: The time that calls go by.

    Raises:
        BadSetting: A notifier cannot be set up, or one that is to be told of findings is not.
        StoreFailed: The outbox cannot be opened.
    """

    def __init__(self, settings: Settings, engine: Engine, ledger: LedgerReader, clock: Clock) -> None:
        check_finding_notifiers(settings)
        notifiers = build_notifiers(settings)
        own = frozenset(key_of(budget) for budget in budgets_of(settings.budgets))
        outbox = Outbox.open(Path(settings.storage.dir))
        sources = Sources(lambda: engine.budgets, lambda budgets, at_s: _settled(ledger, budgets, at_s))
        self.recorder = Recorder(sources, outbox, clock, notifiers.keys())
        self.deliverer = Deliverer(
            outbox,
            notifiers,
            lambda alert: compose(ledger, alert, _raising(alert, engine.budgets, own)),
            self.recorder.recorded,
        )

    def close_with(self, resources: AsyncExitStack) -> None:
        """Record and deliver at shutdown what is left, once nothing settles any more."""
        resources.push_async_callback(self.deliverer.close)
        resources.push_async_callback(self.recorder.close)


def check_finding_notifiers(settings: Settings) -> None:
    """Check that whoever is to be told of anomalies and stopped conversations can be.

    Raises:
        BadSetting: A notifier is not set up.
    """
    for place, names in _told_of_findings(settings):
        for name in names:
            if name not in settings.notify:
                raise BadSetting(
                    f"no notifier {name!r} is set up; add [notify.{as_key(name)}], or leave it out",
                    place=place,
                )


def _told_of_findings(settings: Settings) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each place that says who is told, and whom it names."""
    if settings.anomalies.enabled:
        yield "anomalies.notify", settings.anomalies.notify
    tables = {"defaults": settings.defaults}
    tables |= {f"tenants.{as_key(name)}": section for name, section in settings.tenants.items()}
    tables |= {f"agents.{as_key(name)}": section for name, section in settings.agents.items()}
    for place, section in tables.items():
        yield f"{place}.loops.notify", section.loops.notify or ()


def build_notifiers(settings: Settings) -> dict[str, Notifier]:
    """Construct the notifiers that are set up, by name.

    Raises:
        BadSetting: A variable is not set, or holds no Apprise URL; or Apprise is not installed.
    """
    return {name: build_notifier(name, section) for name, section in settings.notify.items()}


def build_notifier(name: str, section: NotifySection) -> Notifier:
    """Construct one notifier.

    Raises:
        BadSetting: As for `build_notifiers`.
    """
    place, variable = f"notify.{as_key(name)}.url_env", section.url_env
    url = os.environ.get(variable, "").strip()
    if not url:
        raise BadSetting(
            f"the environment variable {variable} is not set; set it to an Apprise URL, or remove this table",
            place=place,
        )
    try:
        return AppriseNotifier(url)
    except BadSetting as error:
        raise BadSetting(f"{variable}: {error}", place=place) from None


def compose(ledger: LedgerReader, alert: Alert, raising: str = "") -> Message:
    """Write what is told of an alert; what the ledger cannot say now is left out. It blocks.

    Args:
        ledger: What was settled.
        alert: The alert.
        raising: How its limit is raised; empty where the budget is gone.
    """
    scope, unit, counter = read_scope(alert.counter.scope), alert.counter.unit, alert.counter
    # The call that crossed is recorded before it is settled.
    until_s = alert.crossed_at_s + 1e-6
    try:
        last_hour = ledger.amount(scope, unit, max(until_s - _HOUR_S, 0.0), until_s)
        found = ledger.drivers(scope, unit, counter.start_s, until_s, _DRIVERS_MAX)
    except StoreFailed:
        return write_message(alert, Facts(), _calendar(alert.zone), raising)
    drivers = tuple(
        (f"{kind.value}s", tuple(Driver(name, amount) for name, amount in rows))
        for kind, rows in found.items()
        # What is all of it drove all of it.
        if kind.value != scope.kind.value
    )
    return write_message(alert, Facts(last_hour, drivers), _calendar(alert.zone), raising)


def _raising(alert: Alert, book: BudgetBook, own: Collection[Key]) -> str:
    """Say how the limit is raised of the budget in force that an alert is of; empty where there is none."""
    scope = read_scope(alert.counter.scope)
    for budget in book.of(scope):
        if (budget.unit, budget.period) == (alert.counter.unit, alert.counter.period):
            return how_to_raise(budget, scope, own)
    return ""


def _calendar(zone: str) -> Calendar:
    try:
        return Calendar(find_zone(zone))
    except BadSetting:
        # Another machine's zones may have had it.
        return Calendar()


def _settled(ledger: LedgerReader, budgets: Sequence[Budget], at_s: float) -> Mapping[Counter, int]:
    windows = {
        CountedWindow(
            budget.pattern.kind, budget.unit, budget.period, *budget.calendar.window(budget.period, at_s)
        )
        for budget in budgets
    }
    return {counter: settled.amount for counter, settled in ledger.settled(windows).items()}
