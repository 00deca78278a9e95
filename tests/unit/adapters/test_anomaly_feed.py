"""From calls to whoever is told of what is not as usual."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bursar.adapters.anomalies import AnomalyFeed, AnomalyLog, AnomalyNotices, read_anomalies
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.adapters.metrics import Metrics
from bursar.cli.main import app
from bursar.domain.alerts import Finding
from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.ledger import Entry
from bursar.policy.alerts.findings import find_anomaly
from bursar.policy.anomalies.watch import AnomalyWatch
from ledger_entries import entry
from scripted_world import CountingObserver, ManualClock

FOUND = Anomaly(AnomalyKind.CALLS, "a/cme", "desk", "triage", 1_000, 9_000, 5.0, 60.0, ("op-1", "op-2"))


class Seeing(AnomalyWatch):
    """A watch that finds something at every look."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Entry] = []

    def see(self, entry: Entry) -> None:
        self.seen.append(entry)

    def judge(self, now_s: float) -> list[Anomaly]:
        return [FOUND] if now_s and self.seen else []


async def test_entries_pass_the_observer_and_reach_the_watch_later() -> None:
    observer, watch, metrics = CountingObserver(), Seeing(), Metrics()
    feed = AnomalyFeed(observer, watch, [metrics], ManualClock())
    entries = [entry(f"op-{number}") for number in range(450)]
    for each in entries:
        feed.ended(each, durable=True)
    assert [told for told, _ in observer.told] == entries
    assert watch.seen == []
    await feed.look()
    assert watch.seen == entries
    assert b'bursar_anomalies_total{kind="calls"} 1.0' in metrics.text()


async def test_what_is_found_is_logged_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await AnomalyLog(tmp_path).found(FOUND)
    assert "agent desk of a/cme, task triage: 9.0 calls a minute are made; usual is 1.0" in caplog.text
    with (tmp_path / "anomalies.jsonl").open("ab") as file:
        file.write(b'{"kind": "cal')
    assert read_anomalies(tmp_path, 5) == [FOUND]
    SqliteLedger.open(tmp_path).close()
    listed = CliRunner().invoke(app, ["anomaly", "list", "--json", "--data-dir", str(tmp_path)])
    assert json.loads(listed.output)["rows"][0]["calls"] == ["op-1", "op-2"]
    listed = CliRunner().invoke(app, ["anomaly", "list", "--data-dir", str(tmp_path)])
    assert "9.0 calls a minute" in listed.output


def test_where_nothing_was_found_that_is_said(tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path).close()
    listed = CliRunner().invoke(app, ["anomaly", "list", "--data-dir", str(tmp_path)])
    assert "Nothing was found" in listed.output


async def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.adapters.anomalies._FILE_BYTES_MAX", 2_000)
    monkeypatch.setattr("bursar.adapters.anomalies._FILE_KEPT", 3)
    for _ in range(30):
        await AnomalyLog(tmp_path).found(FOUND)
    assert (tmp_path / "anomalies.jsonl").stat().st_size < 3_000
    assert len(read_anomalies(tmp_path, 100)) >= 3


async def test_what_is_found_is_put_among_the_alerts() -> None:
    told: list[Finding] = []
    await AnomalyNotices(told.append, ("oncall",)).found(FOUND)
    assert told == [find_anomaly(FOUND, ("oncall",))]
