"""Alerts and their deliveries in one SQLite file, which processes share."""

import sqlite3
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from typing import Any

from bursar.adapters.alerts import statements as sql
from bursar.adapters.alerts.rows import alert_of, notice_of, us
from bursar.adapters.alerts.schema import OUTBOX
from bursar.adapters.sqlite.connection import reader_connection, writer_connection
from bursar.adapters.sqlite.opening import StoreFile, failing
from bursar.domain.alerts import QUIET_S, Alert, Finding, Message, Notice, Outcome
from bursar.domain.budgets import Step
from bursar.domain.reservations import Counter
from bursar.policy.alerts.crossings import Crossing

FILE_NAME = "alerts.db"


_BUDGET = "budget"


class Outbox(StoreFile):
    """Alerts and notices, each once. Thread-safe: every method opens a connection of its own, and blocks.

    Args:
        path: The file, at the newest schema.

    Raises, all methods alike:
        StoreFailed: It could not be read or written; then nothing changed.
    """

    kind = OUTBOX
    file_name = FILE_NAME

    def record(
        self, crossings: Sequence[tuple[Crossing, float]], notifiers: Collection[str], now_s: float
    ) -> Sequence[int]:
        """Record crossings: of the steps that are new here, those that are due are to be told.

        Of what one call crossed (`fresh`), the highest is due. Of what others crossed (`missed`) and never
        recorded, the highest is due, too, unless a higher one is known. All other steps are passed.

        Args:
            crossings: Each with the time when it was seen.
            notifiers: Names of those that are set up; whom else a step names cannot be told.
            now_s: The wall's time.

        Returns:
            The ids of new alerts that are to be told, or cannot be.
        """
        due: list[int] = []
        with self._writing() as connection:
            for crossing, at_s in crossings:
                known = _known(connection, crossing.counter)
                fresh = [step for step in crossing.fresh if step.at_per_mille not in known]
                missed = [step for step in crossing.missed if step.at_per_mille not in known]
                told = {fresh[-1].at_per_mille} if fresh else set[int]()
                highest = max((*known, *(step.at_per_mille for step in fresh)), default=0)
                if missed and missed[-1].at_per_mille > highest:
                    told.add(missed[-1].at_per_mille)
                for step in (*missed, *fresh):
                    is_passed = step.at_per_mille not in told
                    alert_id = _insert(connection, crossing, step, at_s, is_passed=is_passed)
                    if not is_passed:
                        names = [action.notifier for action in step.actions if action.notifier]
                        _address(connection, alert_id, names, notifiers, now_s)
                        due.append(alert_id)
        return due

    def record_findings(
        self, findings: Iterable[Finding], notifiers: Collection[str], now_s: float
    ) -> Sequence[int]:
        """Record findings, but for those whose topic was told lately.

        Args:
            findings: The findings.
            notifiers: Names of those that are set up; whom else a finding names cannot be told.
            now_s: The wall's time.

        Returns:
            The ids of new notices.
        """
        new: list[int] = []
        with self._writing() as connection:
            for finding in findings:
                alert_id = _insert_notice(connection, finding)
                if alert_id is not None:
                    _address(connection, alert_id, finding.notify, notifiers, now_s)
                    new.append(alert_id)
        return new

    def claim(
        self, notifiers: Collection[str], now_s: float, lease_s: float
    ) -> list[tuple[Alert | Notice, str]]:
        """Lease what is due to be delivered to notifiers, one thing for each of them, the oldest first.

        An attempt counts when it begins, so that one that ends its process counts as well.

        Args:
            notifiers: Names of those that can be told now.
            now_s: The wall's time.
            lease_s: How long nobody else may try.

        Returns:
            Alerts and notices, each with the notifier that is to be told.
        """
        due = self._due(notifiers, now_s)
        if not due:
            return []
        claimed: list[tuple[Alert | Notice, str]] = []
        with self._writing() as connection:
            for name in due:
                row = connection.execute(sql.OLDEST_DUE, (us(now_s), us(now_s), name)).fetchone()
                if row is not None:
                    connection.execute(sql.LEASE, (us(now_s + lease_s), row[0], name))
                    claimed.append((_read(connection, row[0]), name))
        return claimed

    def renew(self, alert_id: int, notifier: str, until_s: float) -> None:
        """Lease a delivery for longer."""
        with self._writing() as connection:
            connection.execute(sql.RENEW, (us(until_s), alert_id, notifier))

    def write(self, alert_id: int, message: Message) -> None:
        """Keep what is told of an alert, so that it is the same to everybody and at every attempt."""
        with self._writing() as connection:
            connection.execute(sql.WRITE, (message.title, message.body, alert_id))

    def delivered(self, alert_id: int, notifier: str, now_s: float) -> None:
        """Record that a notifier took the message."""
        with self._writing() as connection:
            connection.execute(sql.DELIVERED, (us(now_s), alert_id, notifier))

    def failed(self, alert_id: int, notifier: str, error: str, now_s: float) -> None:
        """Record that a notifier never took the message, and is not tried again."""
        with self._writing() as connection:
            connection.execute(sql.FAILED, (error, us(now_s), alert_id, notifier))

    def postpone(self, alert_id: int, notifier: str, error: str, due_at_s: float) -> None:
        """Record that an attempt failed, and when the next one is due."""
        with self._writing() as connection:
            connection.execute(sql.POSTPONED, (error, us(due_at_s), alert_id, notifier))

    def newest(self, limit: int | None = None) -> Sequence[Alert]:
        """Return alerts of budgets, the newest first."""
        with self._reading() as connection:
            ids = connection.execute(sql.NEWEST, (-1 if limit is None else limit,)).fetchall()
            return [_read_alert(connection, alert_id) for (alert_id,) in ids]

    def newest_of_all(self, limit: int | None = None) -> Sequence[Alert | Notice]:
        """Return alerts and notices, the newest first."""
        with self._reading() as connection:
            ids = connection.execute(sql.NEWEST_OF_ALL, (-1 if limit is None else limit,)).fetchall()
            return [_read(connection, alert_id) for (alert_id,) in ids]

    def find(self, counter: Counter, at_per_mille: int) -> Alert | None:
        """Return the alert of a threshold in a window; None where there is none."""
        with self._reading() as connection:
            row = connection.execute(sql.FIND, (*_cells(counter), at_per_mille)).fetchone()
            return None if row is None else _read_alert(connection, row[0])

    def acknowledge(self, alert_id: int, by: str, now_s: float) -> tuple[Alert | Notice, bool] | None:
        """Record that a person took note of an alert or a notice, so that nobody is told of it any more.

        Returns:
            What it is, and whether this was the first time; None where there is none of that number.
        """
        with self._writing() as connection:
            if connection.execute(sql.ALERT, (alert_id,)).fetchone() is None:
                return None
            done = connection.execute(sql.ACKNOWLEDGE, (us(now_s), by, alert_id))
            connection.execute(sql.END_PENDING, (us(now_s), alert_id))
            return _read(connection, alert_id), done.rowcount > 0

    def forget(self, before_s: float) -> int:
        """Forget alerts whose windows ended before a moment, and of whom nobody is still to be told.

        Returns:
            How many those were.
        """
        with self._writing() as connection:
            old = [row[0] for row in connection.execute(sql.OLD, (int(before_s),))]
            connection.executemany(sql.FORGET_DELIVERIES, [(each,) for each in old])
            connection.executemany(sql.FORGET, [(each,) for each in old])
            return len(old)

    def _due(self, notifiers: Collection[str], now_s: float) -> list[str]:
        """Look for what is due without a writer's lock: nearly always there is nothing."""
        with self._reading() as connection:
            due = connection.execute(sql.DUE, (us(now_s), us(now_s))).fetchall()
        return [name for (name,) in due if name in notifiers]

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with failing(OUTBOX, self._path), closing(reader_connection(self._path)) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with failing(OUTBOX, self._path), closing(writer_connection(self._path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def _cells(counter: Counter) -> tuple[str, str, str, int]:
    return counter.scope, counter.unit.value, counter.period.value, counter.start_s


def _known(connection: sqlite3.Connection, counter: Counter) -> frozenset[int]:
    """Return the thresholds of a window that have an alert."""
    rows = connection.execute(sql.KNOWN, _cells(counter))
    return frozenset(at_per_mille for (at_per_mille,) in rows)


def _insert(
    connection: sqlite3.Connection, crossing: Crossing, step: Step, at_s: float, *, is_passed: bool
) -> int:
    budget = crossing.budget
    cursor = connection.execute(
        sql.INSERT,
        (
            *_cells(crossing.counter),
            step.at_per_mille,
            crossing.counter.end_s,
            budget.limit,
            crossing.settled,
            str(budget.calendar.zone),
            ",".join(str(action) for action in step.actions),
            us(at_s),
            is_passed,
        ),
    )
    return int(cursor.lastrowid or 0)


def _insert_notice(connection: sqlite3.Connection, finding: Finding) -> int | None:
    """Insert a finding; None where the same was told lately."""
    at_s, kind = int(finding.found_at_s), finding.kind.value
    lately = (finding.scope, finding.topic, at_s - QUIET_S, at_s + QUIET_S, kind)
    if connection.execute(sql.TOLD, lately).fetchone() is not None:
        return None
    message = finding.message
    cells = (kind, finding.scope, finding.topic, at_s, at_s + 1, us(finding.found_at_s))
    cursor = connection.execute(sql.INSERT_NOTICE, (*cells, message.title, message.body))
    return int(cursor.lastrowid or 0)


def _address(
    connection: sqlite3.Connection,
    alert_id: int,
    names: Iterable[str],
    notifiers: Collection[str],
    now_s: float,
) -> None:
    """Say who is to be told of an alert."""
    for name in dict.fromkeys(names):
        if name in notifiers:
            cells: tuple[Any, ...] = (alert_id, name, Outcome.PENDING.value, "", us(now_s), None)
        else:
            error = f"no notifier {name} was set up; add [notify.{name}] to bursar.toml"
            cells = (alert_id, name, Outcome.UNDELIVERABLE.value, error, us(now_s), us(now_s))
        connection.execute(sql.ADDRESS, cells)


def _read(connection: sqlite3.Connection, alert_id: int) -> Alert | Notice:
    row, deliveries = _rows(connection, alert_id)
    return alert_of(row, deliveries) if row["kind"] == _BUDGET else notice_of(row, deliveries)


def _read_alert(connection: sqlite3.Connection, alert_id: int) -> Alert:
    return alert_of(*_rows(connection, alert_id))


def _rows(connection: sqlite3.Connection, alert_id: int) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    row = connection.execute(sql.ALERT, (alert_id,))
    names = [column[0] for column in row.description]
    deliveries = connection.execute(sql.DELIVERIES, (alert_id,)).fetchall()
    return dict(zip(names, row.fetchone(), strict=True)), deliveries
