"""`bursar config check` shows budgets."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bursar.cli.config import config_app

CONFIG = """
[[budgets]]
scope = "tenant:acme"
limit_usd = "500"
window = "month"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "bursar.toml"
    path.write_text(CONFIG, "utf-8")
    return str(path)


def test_budgets_are_listed_with_what_they_do(file: str) -> None:
    printed = CliRunner().invoke(config_app, ["check", "--config", file, "--json"])
    (budget,) = json.loads(printed.stdout)["budgets"]
    assert (budget["scope"], budget["limit"], budget["from"]) == (
        "tenant:acme",
        "$500.00 a month (UTC)",
        "budgets.0",
    )
    assert "none of an active one beyond 105 %" in budget["ladder"]


def test_budgets_are_shown_on_the_screen(file: str) -> None:
    printed = CliRunner().invoke(config_app, ["check", "--config", file], env={"COLUMNS": "200"})
    assert "Budgets" in printed.stdout
    assert "$500.00 a month (UTC)" in printed.stdout


def test_a_notifier_of_anomalies_that_is_not_set_up_keeps_the_server_from_starting(file: str) -> None:
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write('[anomalies]\nnotify = ["bob"]\n')
    printed = CliRunner().invoke(config_app, ["check", "--config", file], env={"COLUMNS": "200"})
    assert "anomalies.notify: bursar serve would not start: no notifier 'bob' is set up" in printed.stdout
