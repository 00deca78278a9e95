"""Notices: findings among the alerts, told and listed as these are, each topic once in a while."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from alert_crossings import START_S, crossing
from bursar.adapters.alerts import delivering
from bursar.adapters.alerts.delivering import Deliverer
from bursar.adapters.alerts.outbox import FILE_NAME, Outbox
from bursar.adapters.alerts.recording import Recorder, Sources
from bursar.adapters.alerts.schema import OUTBOX
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.adapters.sqlite import migration
from bursar.cli.main import app
from bursar.domain.alerts import (
    QUIET_S,
    Alert,
    Finding,
    FindingKind,
    Message,
    Notice,
    Outcome,
    Rejected,
)
from bursar.errors import StoreFailed
from bursar.policy.budgets.book import BudgetBook
from scripted_world import ManualClock, until

NOW_S = 1_000.0


def finding(
    topic: str = "triage", at_s: float = START_S, scope: str = "agent:acme/desk", *notify: str
) -> Finding:
    message = Message("unusual spending", "9.0 calls a minute")
    return Finding(FindingKind.ANOMALY, scope, topic, at_s, message, notify)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.open(tmp_path)


def record(outbox: Outbox, *findings: Finding) -> list[int]:
    return list(outbox.record_findings(findings, ("ann",), NOW_S))


def test_a_notice_has_what_is_told_and_who_is_told(outbox: Outbox) -> None:
    (alert_id,) = record(outbox, finding("triage", START_S + 0.25, "agent:acme/desk", "ann", "bob"))
    (notice,) = outbox.newest_of_all()
    assert isinstance(notice, Notice)
    assert (notice.alert_id, notice.kind, notice.scope) == (alert_id, FindingKind.ANOMALY, "agent:acme/desk")
    assert (notice.found_at_s, notice.title, notice.body) == (
        START_S + 0.25,
        "unusual spending",
        "9.0 calls a minute",
    )
    assert [(each.notifier, each.outcome) for each in notice.deliveries] == [
        ("ann", Outcome.PENDING),
        ("bob", Outcome.UNDELIVERABLE),
    ]
    assert notice.state == "undeliverable"


def test_what_nobody_is_to_be_told_of_is_listed(outbox: Outbox) -> None:
    record(outbox, finding())
    assert [each.state for each in outbox.newest_of_all()] == ["listed"]


def test_the_same_topic_is_told_once_in_a_while_whoever_finds_it(outbox: Outbox, tmp_path: Path) -> None:
    other = Outbox(tmp_path / FILE_NAME)
    assert len(record(outbox, finding())) == 1
    # Another process's clock may be a little behind.
    assert record(other, finding(at_s=START_S - 5.0), finding(at_s=START_S + QUIET_S - 1)) == []
    assert len(record(other, finding("billing"), finding(scope="agent:acme/other"))) == 2
    assert len(record(other, finding(at_s=START_S + QUIET_S))) == 1


def test_alerts_of_budgets_and_notices_do_not_meet(outbox: Outbox) -> None:
    record(outbox, finding(scope="tenant:acme"))
    outbox.record([(crossing(fresh=(500,)), START_S + 60.0)], ("ann",), NOW_S)
    assert [type(each) for each in outbox.newest_of_all()] == [Alert, Notice]
    assert [alert.at_per_mille for alert in outbox.newest()] == [500]


def test_a_notice_is_acknowledged_and_forgotten_as_an_alert_is(outbox: Outbox) -> None:
    (alert_id,) = record(outbox, finding("triage", START_S, "agent:acme/desk", "ann"))
    found = outbox.acknowledge(alert_id, "cli", NOW_S + 1)
    assert found is not None
    assert (found[0].state, found[0].acked_by) == ("acknowledged", "cli")
    assert outbox.claim(["ann"], NOW_S + 1, 60.0) == []
    assert outbox.forget(START_S) == 0
    assert outbox.forget(START_S + 2) == 1
    assert outbox.newest_of_all() == []


class FakeNotifier:
    """Rejects the first message."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> Rejected | None:
        self.sent.append(message)
        return Rejected("busy") if len(self.sent) == 1 else None


def recorder(outbox: Outbox) -> Recorder:
    def settled(*_: object) -> Mapping[Any, int]:
        return {}

    return Recorder(Sources(lambda: BudgetBook(()), settled), outbox, ManualClock(), ("ann",))


async def test_a_finding_is_told_again_until_it_is_taken(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "_FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(delivering, "_LOOK_EVERY_S", 0.01)
    ann, what = FakeNotifier(), recorder(outbox)
    deliverer = Deliverer(outbox, {"ann": ann}, lambda _: Message("not", "this"), what.recorded)
    what.tell(finding("triage", START_S, "agent:acme/desk", "ann"))
    tasks = [asyncio.create_task(chore()) for chore in (what.keep_recording, deliverer.keep_delivering)]
    try:
        await until(lambda: [each.state for each in outbox.newest_of_all()] == ["delivered"])
    finally:
        for task in tasks:
            task.cancel()
        await deliverer.close()
    assert ann.sent == [Message("unusual spending", "9.0 calls a minute")] * 2
    assert outbox.newest_of_all()[0].deliveries[0].attempts == 2


async def test_what_cannot_be_recorded_waits_and_is_recorded_at_the_end(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreFailed("the disk is full")

    what = recorder(outbox)
    what.tell(finding())
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "record_findings", fail)
        with pytest.raises(StoreFailed):
            await what.record()
    await what.close()
    assert len(outbox.newest_of_all()) == 1


async def test_what_belongs_to_a_tenant_that_is_forgotten_is_not_recorded(outbox: Outbox) -> None:
    what = recorder(outbox)
    what.tell(finding())
    what.tell(finding(scope="agent:other/desk"))
    what.forget(lambda scope: scope.startswith("agent:acme/"))
    await what.record()
    assert [each.scope for each in outbox.newest_of_all()] == ["agent:other/desk"]


def test_notices_are_listed_by_command_beside_alerts(outbox: Outbox, tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path).close()
    outbox.record([(crossing(fresh=(500,)), START_S + 60.0)], ("ann",), NOW_S)
    record(outbox, finding("triage", START_S, "agent:acme/desk", "bob"))
    listed = CliRunner().invoke(app, ["alert", "list", "--json", "--data-dir", str(tmp_path)])
    notice, alert = json.loads(listed.output)["alerts"]
    assert (notice["kind"], alert["kind"]) == ("anomaly", "budget")
    assert notice.keys() == alert.keys()
    assert (notice["crossed_at"], notice["state"], notice["limit"]) == (
        "2026-10-24T00:00:00Z",
        "undeliverable",
        None,
    )
    listed = CliRunner().invoke(app, ["alert", "list", "--data-dir", str(tmp_path)])
    assert "agent:acme/desk" in listed.output
    acked = CliRunner().invoke(app, ["alert", "ack", "2", "--data-dir", str(tmp_path)])
    assert "alert 2 (agent:acme/desk) is acknowledged" in acked.output


def test_an_outbox_of_before_there_were_notices_is_brought_up_to_date(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path)
    outbox.record([(crossing(fresh=(500,)), START_S + 60.0)], ("ann",), NOW_S)
    record(outbox, finding())
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}", poolclass=NullPool)
    with engine.begin() as connection:
        config = migration._config(OUTBOX)  # pyright: ignore[reportPrivateUsage] - nothing else goes back
        config.attributes.update(connection=connection, metadata=OUTBOX.metadata)
        command.downgrade(config, "0001")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM alerts").fetchone() == (1,)
    again = Outbox.open(tmp_path)
    assert [type(each) for each in again.newest_of_all()] == [Alert]
    assert len(record(again, finding())) == 1
