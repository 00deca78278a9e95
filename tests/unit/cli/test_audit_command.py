"""`bursar audit`, on a data directory of its own."""

import json
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.cli.main import app

BY = f"cli:{getuser()}"


def said(tmp_path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(tmp_path: Path, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(said(tmp_path, "audit", "list", "--json", *arguments))["rows"]


def test_every_change_is_listed_with_who_made_it_the_latest_first(tmp_path: Path) -> None:
    key_id = json.loads(said(tmp_path, "key", "create", "--tenant", "acme", "--json"))["id"]
    said(tmp_path, "key", "rotate", key_id)
    said(tmp_path, "key", "revoke", key_id)
    rows = listed(tmp_path)
    assert [(row["by"], row["kind"], row["name"], row["what"]) for row in rows] == [
        (BY, "key", key_id, "changed"),
        (BY, "key", key_id, "changed"),
        (BY, "key", key_id, "set"),
    ]
    assert [row["fields"] for row in rows[:2]] == [["revoked_at_s"], ["secrets"]]
    assert rows[2]["before"] is None
    assert rows[2]["after"]["rights"]["tenant"] == "acme"
    assert listed(tmp_path, "--limit", "1") == rows[:1]


def test_what_keys_are_looked_up_by_is_not_shown(tmp_path: Path) -> None:
    said(tmp_path, "key", "create", "--tenant", "acme")
    (change,) = SqliteAdmin.open(tmp_path).changes()
    digest = json.loads(change.after or "")["secrets"][0]["digest"]
    assert digest not in said(tmp_path, "audit", "list", "--json") + said(tmp_path, "audit", "list")


def test_a_name_writes_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    said(tmp_path, "budget", "set", "--scope", "tenant:[red]x[/]", "--limit-usd", "1", "--window", "day")
    assert "tenant:[red]x[/]" in said(tmp_path, "audit", "list")


def test_a_directory_in_which_nothing_was_set_says_so(tmp_path: Path) -> None:
    assert said(tmp_path, "audit", "list") == "Nothing was ever changed.\n"
    assert listed(tmp_path) == []
