"""`bursar key`, on a data directory of its own."""

import json
from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from bursar.adapters.admin.sqlite import FILE_NAME, SqliteAdmin
from bursar.cli.main import app
from bursar.domain.admin import ItemKind
from bursar.domain.keys import is_key
from bursar.errors import CallerMistake
from bursar.policy.keys.ring import Denial, Grant, KeyRing, read_keys
from bursar.settings.stored import stored_budgets

Run = Callable[..., Result]

BY = f"cli:{getuser()}"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["key", *arguments, "--data-dir", str(tmp_path)])

    return run


def told(run: Run, *arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(run: Run, *arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, CallerMistake), result.output
    return str(result.exception)


def found(tmp_path: Path, secret: str, now_s: float = 0.0) -> Grant | Denial:
    return KeyRing(read_keys(SqliteAdmin.open(tmp_path).read())).find(secret, now_s)


def test_a_key_is_shown_once_and_only_its_hash_is_kept(run: Run, tmp_path: Path) -> None:
    made = told(run, "create", "--tenant", "acme", "--agent", "desk", "--models", "a*,b", "--tasks", "triage")
    assert is_key(made["key"])
    assert (made["tenant"], made["agent"], made["role"]) == ("acme", "desk", "agent")
    assert (made["models"], made["tasks"], made["state"]) == (["a*", "b"], ["triage"], "active")
    grant = found(tmp_path, made["key"])
    assert isinstance(grant, Grant)
    assert grant.key_id == made["id"]
    for file in tmp_path.iterdir():
        assert made["key"].encode()[3:30] not in file.read_bytes()
    assert made["key"] not in run("list").stdout + run("list", "--json").stdout
    change, *_ = SqliteAdmin.open(tmp_path).changes()
    assert (change.kind, change.name, change.by) == (ItemKind.KEY, made["id"], BY)


def test_a_script_takes_the_key_from_standard_output(run: Run) -> None:
    result = run("create", "--tenant", "acme")
    assert is_key(result.stdout.strip())
    assert "not shown again" in result.stderr
    assert result.stdout.strip() not in result.stderr


def test_its_limits_are_budgets_that_come_before_it(run: Run, tmp_path: Path) -> None:
    made = told(run, "create", "--tenant", "acme", "--limit-usd", "5", "--window", "month")
    admin = SqliteAdmin.open(tmp_path)
    (budget,) = stored_budgets(admin.read())
    assert (str(budget.pattern), budget.limit) == (f"key:{made['id']}", 5 * 10**9)
    assert [change.kind for change in admin.changes()] == [ItemKind.KEY, ItemKind.BUDGET]
    (row,) = told(run, "list")["rows"]
    assert row["limits"][0]["limit_usd"] == "5.000000000"
    assert "$5.00 a month" in run("list").stdout


def test_a_rotated_key_keeps_its_name_and_its_former_is_taken_for_a_while(run: Run, tmp_path: Path) -> None:
    first = told(run, "create", "--tenant", "acme")
    second = told(run, "rotate", first["id"], "--overlap", "2h")
    assert second["id"] == first["id"]
    assert second["former_until"] is not None
    now_s = SqliteAdmin.open(tmp_path).read().items[ItemKind.KEY][first["id"]].set_at_s
    assert isinstance(found(tmp_path, second["key"], now_s), Grant)
    assert isinstance(found(tmp_path, first["key"], now_s + 7_000), Grant)
    assert found(tmp_path, first["key"], now_s + 7_201) is Denial.REPLACED
    third = told(run, "rotate", first["id"], "--overlap", "0")
    assert found(tmp_path, second["key"], now_s + 1) is Denial.REPLACED
    assert isinstance(found(tmp_path, third["key"], now_s + 1), Grant)


def test_a_revoked_key_stays_in_the_list(run: Run, tmp_path: Path) -> None:
    made = told(run, "create", "--tenant", "acme")
    assert told(run, "revoke", made["id"]) == {"id": made["id"], "revoked": True, "changed": True}
    assert told(run, "revoke", made["id"])["changed"] is False
    assert found(tmp_path, made["key"]) is Denial.REVOKED
    assert told(run, "list")["rows"][0]["state"] == "revoked"
    assert "is revoked or expired" in refused(run, "rotate", made["id"])


def test_a_key_ends_when_it_is_said(run: Run) -> None:
    spans = [told(run, "create", "--tenant", "a", "--expires", text) for text in ("90d", "2999-01-31")]
    assert spans[1]["expires_at"] == "2999-01-31T00:00:00Z"
    assert spans[0]["expires_at"] > spans[0]["created_at"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--tenant", "acme", "--role", "king"], "--role: there is no such role"),
        (["create", "--tenant", ""], "--tenant: a name has 1 to"),
        (["create", "--tenant", "erased"], "--tenant: stands for tenants that were erased"),
        (["create", "--tenant", "acme", "--expires", "soon"], "--expires: write a span"),
        (["create", "--tenant", "acme", "--expires", "2020-01-01"], "--expires: has passed"),
        (["create", "--tenant", "acme", "--expires", "999999w"], "--expires: write a span"),
        (["create", "--tenant", "acme", "--window", "month"], "limits nothing"),
        (["create", "--tenant", "acme", "--limit-usd", "5"], "says no window"),
        (["create", "--tenant", "acme", "--limit-usd", "-5", "--window", "day"], "limit_usd"),
        (
            ["create", "--tenant", "acme", "--role", "admin", "--limit-usd", "5", "--window", "day"],
            "--role: who raises others' limits",
        ),
        (["rotate", "k-none"], "no key has the id 'k-none'"),
        (["revoke", "k-none"], "list them to see which there are"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(
    run: Run, tmp_path: Path, arguments: list[str], said: str
) -> None:
    assert said in refused(run, *arguments)
    if (tmp_path / FILE_NAME).exists():
        assert SqliteAdmin.open(tmp_path).version() == 0


def test_an_overlap_that_is_none_changes_nothing(run: Run, tmp_path: Path) -> None:
    made = told(run, "create", "--tenant", "acme")
    assert "--overlap: write a span" in refused(run, "rotate", made["id"], "--overlap", "long")
    assert SqliteAdmin.open(tmp_path).version() == 1


def test_a_key_in_the_place_of_its_id_is_not_repeated(run: Run) -> None:
    made = told(run, "create", "--tenant", "acme")
    message = refused(run, "revoke", made["key"])
    assert "a key, it seems" in message
    assert made["key"] not in message


def test_where_there_are_no_keys_the_list_says_what_that_means(run: Run, tmp_path: Path) -> None:
    assert "whoever reaches the gateway is let in" in run("list").stdout
    assert told(run, "list") == {"rows": []}
    assert not (tmp_path / FILE_NAME).exists()
