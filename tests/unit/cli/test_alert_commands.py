"""`bursar alert`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from alert_crossings import START_S, crossing
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.cli.main import app
from bursar.domain.alerts import Message, Rejected
from bursar.errors import BadSetting, BursarError, CallerMistake
from bursar.wiring import alerts


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    SqliteLedger.open(tmp_path).close()
    outbox = Outbox.open(tmp_path)
    outbox.record([(crossing(fresh=(500, 800)), START_S + 60.0)], ("bob",), START_S + 60.0)
    outbox.record([(crossing(fresh=(500,), hour=1), START_S + 60.0)], (), START_S + 60.0)
    return outbox


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["alert", *arguments])
    if isinstance(result.exception, BursarError):
        raise result.exception
    return result


def run_json(tmp_path: Path, *arguments: str) -> Any:
    result = run(*arguments, "--data-dir", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_alerts_are_listed_the_newest_first(outbox: Outbox, tmp_path: Path) -> None:
    outbox.write(2, Message("a title", "a body"))
    found = run_json(tmp_path, "list")["alerts"]
    assert [(each["id"], each["at"], each["state"]) for each in found] == [
        (3, "0.500", "undeliverable"),
        (2, "0.800", "pending"),
        (1, "0.500", "passed"),
    ]
    assert found[1] == {
        "id": 2,
        "kind": "budget",
        "scope": "tenant:acme",
        "unit": "turns",
        "window": "hour",
        "window_start": "2026-10-24T00:00:00Z",
        "at": "0.800",
        "limit": 100,
        "used": 99,
        "crossed_at": "2026-10-24T00:01:00Z",
        "state": "pending",
        "deliveries": [{"notifier": "bob", "outcome": "pending", "attempts": 0, "error": None}],
        "acked_at": None,
        "acked_by": None,
        "title": "a title",
        "body": "a body",
    }


def test_alerts_are_shown(outbox: Outbox, tmp_path: Path) -> None:
    shown = run("list", "--data-dir", str(tmp_path)).stdout
    assert "tenant:acme" in shown
    assert "undeliverable" in shown


def test_where_there_was_no_alert_there_is_none(tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path).close()
    before = set(tmp_path.iterdir())
    assert run_json(tmp_path, "list") == {"alerts": []}
    assert "no alert yet" in run("list", "--data-dir", str(tmp_path)).stdout
    assert set(tmp_path.iterdir()) == before


def test_a_directory_that_no_server_has_used_has_no_list(tmp_path: Path) -> None:
    with pytest.raises(
        CallerMistake, match=r"no bursar serve has used .*: name its directory with --data-dir"
    ):
        run("list", "--data-dir", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_alert_is_acknowledged_once(outbox: Outbox, tmp_path: Path) -> None:
    assert run_json(tmp_path, "ack", "2")["changed"] is True
    again = run_json(tmp_path, "ack", "2")
    assert again["changed"] is False
    assert again["state"] == "acknowledged"
    assert "was acknowledged already" in run("ack", "2", "--data-dir", str(tmp_path)).stdout


@pytest.mark.parametrize("number", ["4", "0", str(1 << 70)])
def test_what_is_no_alert_cannot_be_acknowledged(outbox: Outbox, tmp_path: Path, number: str) -> None:
    with pytest.raises(CallerMistake, match="bursar alert list"):
        run("ack", number, "--data-dir", str(tmp_path))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOOK", "json://127.0.0.1:9/x")
    file = tmp_path / "bursar.toml"
    file.write_text('[notify.hook]\nurl_env = "HOOK"\n')
    return str(file)


def test_a_test_says_whether_the_message_was_taken(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Message] = []

    class Taking:
        def __init__(self, url: str) -> None:
            assert url == "json://127.0.0.1:9/x"

        def send(self, message: Message) -> Rejected | None:
            sent.append(message)
            return Rejected("no such host") if len(sent) > 1 else None

    monkeypatch.setattr(alerts, "AppriseNotifier", Taking)
    result = run("test", "hook", "--config", config)
    assert (result.exit_code, result.stdout) == (0, "hook took the message\n")
    assert "a test" in sent[0].title
    result = run("test", "hook", "--config", config, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"notifier": "hook", "delivered": False, "error": "no such host"}
    assert "no such host" in run("test", "hook", "--config", config).stderr


def test_a_test_of_a_notifier_that_is_none_names_those_that_are(config: str) -> None:
    with pytest.raises(CallerMistake, match="there is: hook"):
        run("test", "hoook", "--config", config)
    with pytest.raises(CallerMistake, match="there is: none"):
        run("test", "hook")


@pytest.mark.parametrize("url", ["", "hush-hush"])
def test_a_variable_that_holds_no_url_is_named_and_not_shown(
    config: str, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOOK", url)
    with pytest.raises(BadSetting, match=r"notify\.hook\.url_env: .*HOOK") as found:
        run("test", "hook", "--config", config)
    assert "hush" not in str(found.value)
