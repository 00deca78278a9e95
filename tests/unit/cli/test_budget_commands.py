"""The operators' commands on a data directory, without a server."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from budget_cases import demand, reservation
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.budget_journal import BudgetJournal
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.cli.main import app
from bursar.domain.admin import ItemKind
from bursar.domain.ledger import Status
from bursar.domain.reservations import Counter, Period, Unit
from bursar.errors import BadSetting, BursarError, CallerMistake, StoreFailed
from bursar.settings.stored_loops import loop_item
from bursar.view.loop_watch import Stop
from ledger_entries import entry

FILE = """
[[budgets]]
scope = "conversation:*"
limit_turns = 2
[[budgets]]
scope = "tenant:owned"
limit_usd = "7"
window = "month"
"""

Run = Callable[..., Any]

BY = f"cli:{getuser()}"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    now_s = time.time()
    who = entry().attribution
    calls = [
        entry("a", at_s=now_s - 3),
        entry("b", at_s=now_s - 2),
        entry("c", at_s=now_s - 1, status=Status.REFUSED, http_status=402, attempts=(), cost_nusd=0),
        entry("d", at_s=now_s - 1, attribution=replace(who, tenant="rival", conversation="r")),
    ]

    async def record(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(call) for call in calls))

    directory = tmp_path / "data"
    with closing(SqliteLedger.open(directory)) as ledger:
        asyncio.run(record(ledger))
    (tmp_path / "bursar.toml").write_text(FILE)
    return directory


@pytest.fixture
def run(data_dir: Path) -> Run:
    runner = CliRunner()
    config = str(data_dir.parent / "bursar.toml")

    def invoke(*arguments: str) -> Any:
        result = runner.invoke(app, [*arguments, "--config", config, "--data-dir", str(data_dir), "--json"])
        if isinstance(result.exception, BursarError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return invoke


def set_day(run: Run, scope: str, limit_usd: str = "0.002") -> Any:
    return run("budget", "set", "--scope", scope, "--limit-usd", limit_usd, "--window", "total")


def test_a_budget_shows_what_the_ledger_says_was_used(run: Run) -> None:
    set_day(run, "tenant:acme")
    (row,) = run("budget", "show", "--scope", "tenant:acme")["rows"]
    assert row == {
        "scope": "tenant:acme",
        "unit": "usd",
        "window": "total",
        "limit": "0.002000000",
        "current_cost": "0.000900000",
        "held": "0.000000000",
        "usage_pct": "45.0",
        "alert": None,
        "blocked": False,
        "resets_at": None,
        "forecast": None,
        "alert_state": None,
    }


def test_what_living_processes_hold_is_held_unless_the_ledger_has_the_call(run: Run, data_dir: Path) -> None:
    set_day(run, "tenant:acme")
    counter = Counter("tenant:acme", Unit.NUSD, Period.TOTAL)
    journal = BudgetJournal.open(data_dir)
    journal.opened(reservation("under way", demand(counter, 1_100_000)), 1.0)
    journal.opened(reservation("a", demand(counter, 9_000_000)), 1.0)
    (row,) = run("budget", "show", "--scope", "tenant:acme")["rows"]
    journal.close()
    assert (row["held"], row["blocked"]) == ("0.001100000", True)


def test_a_budget_for_several_scopes_has_a_row_for_each_that_used_anything(run: Run) -> None:
    set_day(run, "tenant:*")
    set_day(run, "organisation")
    assert [row["scope"] for row in run("budget", "show")["rows"]] == [
        "conversation:acme/c1",
        "organisation",
        "conversation:rival/r",
        "tenant:acme",
        "tenant:rival",
        "tenant:owned",
    ]
    only = run("budget", "show", "--scope", "conversation:acme/*")["rows"]
    assert [(row["scope"], row["current_cost"]) for row in only] == [("conversation:acme/c1", 2)]
    # One that was asked for by name has a row even if it used nothing.
    (idle,) = run("budget", "show", "--scope", "tenant:idle")["rows"]
    assert idle["current_cost"] == "0.000000000"


def test_of_many_scopes_the_fullest_are_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.cli.budget._ROWS_OF_PATTERN_MAX", 1)
    set_day(run, "tenant:*")
    shown = run("budget", "show", "--scope", "tenant:*")["rows"]
    assert [row["scope"] for row in shown] == ["tenant:acme", "tenant:owned"]
    assert len(run("budget", "show", "--scope", "tenant:*", "--all")["rows"]) == 3


def test_a_budget_is_replaced_and_removed(run: Run) -> None:
    set_day(run, "tenant:acme")
    assert set_day(run, "tenant:acme", "3")["changed"] == [True]
    assert set_day(run, "tenant:acme", "3")["changed"] == [False]
    removed = run("budget", "unset", "--scope", "tenant:acme")["removed"]
    assert [each["limit_usd"] for each in removed] == ["3.000000000"]
    with pytest.raises(CallerMistake, match="set are: none"):
        run("budget", "unset", "--scope", "tenant:acme")


def test_what_a_budget_was_before_is_told(data_dir: Path) -> None:
    def set_(limit_usd: str) -> Any:
        flags = ("--scope", "agent:acme/desk", "--window", "day", "--data-dir", str(data_dir))
        return CliRunner().invoke(app, ["budget", "set", "--limit-usd", limit_usd, *flags])

    assert "was:" not in set_("5").stdout
    assert "was: $5.00 a day (UTC); no call beyond 100 %" in set_("6").stdout
    assert "was:" not in set_("6").stdout


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (("month",), "admin, slack, oncall"),
        (("day", "--ladder", '[{"at": 0.5, "actions": ["notify:bob", "notify:ann"]}]'), "bob"),
        (("day",), None),
    ],
)
def test_notifiers_that_are_not_set_up_are_warned_of(
    data_dir: Path, flags: tuple[str, ...], names: str | None
) -> None:
    config = data_dir.parent / "notify.toml"
    config.write_text('[notify.ann]\nurl_env = "ANN"\n')
    where = ("--config", str(config), "--data-dir", str(data_dir))
    result = CliRunner().invoke(
        app, ["budget", "set", "--scope", "tenant:acme", "--limit-usd", "5", "--window", *flags, *where]
    )
    assert result.exit_code == 0
    assert "set: tenant:acme" in result.stdout
    if names is None:
        assert not result.stderr
    else:
        assert f"no such notifier is set up ({names})" in result.stderr


def test_what_the_file_owns_is_not_set(run: Run) -> None:
    flags = ("budget", "set", "--scope", "tenant:owned", "--limit-usd", "9", "--window")
    with pytest.raises(BadSetting, match=r"bursar.toml limits the money of tenant:owned per month"):
        run(*flags, "month")
    assert run(*flags, "week")["changed"] == [True]


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        (["--limit-usd", "-1", "--window", "day"], "limit_usd"),
        (["--limit-usd", "0", "--window", "day"], "limit_usd"),
        (["--limit-usd", "1", "--window", "day", "--timezone", "Berlin"], "did you mean"),
        (["--limit-usd", "1", "--limit-turns", "2", "--window", "day"], "holds both"),
        (["--limit-usd", "1"], "says no window"),
        (["--limit-usd", "1", "--window", "day", "--ladder", "{"], "--ladder"),
        (["--limit-usd", "1", "--window", "day", "--ladder", "null"], "ladder"),
        (
            [
                *("--limit-usd", "1", "--window", "day", "--ladder"),
                '[{"at": 0.9, "actions": ["throttle"]}, {"at": 0.5, "actions": ["refuse"]}]',
            ],
            "sort them",
        ),
        (["--scope", "tenant:" + "x" * 10_240, "--limit-usd", "1", "--window", "day"], "1 to 256"),
        (["--scope", "planet:earth", "--limit-usd", "1", "--window", "day"], "a scope is"),
    ],
)
def test_what_is_wrong_is_told_and_sets_nothing(
    run: Run, data_dir: Path, flags: list[str], wrong: str
) -> None:
    with pytest.raises(BadSetting, match=wrong):
        run("budget", "set", "--scope", "tenant:acme", *flags)
    admin = SqliteAdmin.open_existing(data_dir)
    assert admin is None or admin.version() == 0


def test_a_scope_is_stopped_and_resumed(run: Run, data_dir: Path) -> None:
    assert run("stop", "agent:desk", "--reason", "a loop")["changed"]
    assert run("budget", "show")["stops"] == [{"scope": "agent:desk", "reason": "a loop"}]
    admin = SqliteAdmin.open(data_dir)
    assert list(admin.read().items[ItemKind.STOP]) == ["agent:desk"]
    run("resume", "agent:desk")
    with pytest.raises(CallerMistake, match="stopped is: nothing"):
        run("resume", "agent:desk")
    assert [change.by for change in admin.changes()] == [BY, BY]


@pytest.mark.parametrize(
    "arguments", [("stop", "tenant:acme"), ("resume", "tenant:acme"), ("anomaly", "list")]
)
def test_where_no_server_ever_ran_nothing_is_said_to_be_stopped_or_found(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path / "other")])
    assert isinstance(result.exception, CallerMistake)
    assert "no bursar serve has used" in str(result.exception)
    assert not result.stdout
    assert not (tmp_path / "other").exists()


def test_a_conversation_is_let_go_on_above_what_it_used(run: Run) -> None:
    resume = ("conversation", "resume", "c1", "--tenant", "acme", "--limit-turns")
    with pytest.raises(CallerMistake, match="not above the 2 turns"):
        run(*resume, "2")
    (row,) = run(*resume, "3")["rows"]
    assert (row["scope"], row["limit"], row["blocked"]) == ("conversation:acme/c1", 3, False)
    with pytest.raises(CallerMistake, match="no cap in usd"):
        run("conversation", "resume", "c1", "--tenant", "acme", "--limit-usd", "3")
    with pytest.raises(CallerMistake, match="is not stopped by a cap"):
        run("conversation", "resume", "r", "--tenant", "rival", "--limit-turns", "3")
    assert run("conversation", "resume", "r", "--tenant", "rival", "--limit-turns", "3", "--force")
    removed = run("budget", "unset", "--scope", "conversation:acme/c1")["removed"]
    assert [each["limit_turns"] for each in removed] == [3]


def test_of_a_capped_conversation_flag_and_tenant_are_suggested(run: Run) -> None:
    resume = ("conversation", "resume", "c1")
    with pytest.raises(
        CallerMistake, match=r"2 turns of 2 turns in total used\) is raised by --limit-turns N"
    ):
        run(*resume, "--tenant", "acme")
    with pytest.raises(CallerMistake, match="did you mean --tenant acme"):
        run(*resume, "--limit-turns", "4")
    with pytest.raises(CallerMistake, match="did you mean --tenant acme"):
        run(*resume)
    with pytest.raises(CallerMistake, match="is not stopped by a cap") as mistake:
        run("conversation", "resume", "r", "--limit-turns", "4")
    assert "did you mean" not in str(mistake.value)


def test_after_a_loop_is_forgiven_a_cap_that_stops_the_conversation_is_told(data_dir: Path) -> None:
    config = ["--config", str(data_dir.parent / "bursar.toml"), "--data-dir", str(data_dir)]
    for tenant, name, is_capped in (("acme", "c1", True), ("rival", "r", False)):
        SqliteAdmin.open(data_dir).put(loop_item(Stop(tenant, name, b"x", "it looped", time.time())))
        result = CliRunner().invoke(app, ["conversation", "resume", name, "--tenant", tenant, *config])
        assert "is forgiven" in result.stdout
        assert ("still stopped by a cap" in result.stdout) == is_capped


def test_an_unreadable_budget_is_mended_by_setting_it_again(run: Run, data_dir: Path) -> None:
    set_day(run, "tenant:acme")
    admin = SqliteAdmin.open(data_dir)
    (item,) = admin.read().items[ItemKind.BUDGET].values()
    admin.put(replace(item, content="[1"))
    with pytest.raises(StoreFailed, match="'tenant:acme usd total' cannot be read"):
        run("budget", "show")
    assert set_day(run, "tenant:acme")["changed"] == [True]
    assert run("budget", "show")


def test_a_dry_run_says_what_a_limit_would_have_refused(run: Run) -> None:
    found = run("budget", "dry-run", "--scope", "tenant:*", "--limit-usd", "0.0005", "--window", "total")
    assert (found["calls"], found["refused_calls"], found["refused_usd"]) == (3, 1, "0.000450000")
    assert [(row["tenant"], row["agent"]) for row in found["rows"]] == [("acme", "support")]
    assert found["refused_live_calls"] == 1


def test_a_dry_run_of_a_scope_without_calls_says_so(data_dir: Path) -> None:
    limits = ["--limit-usd", "1", "--window", "day", "--data-dir", str(data_dir)]
    shown = CliRunner().invoke(app, ["budget", "dry-run", "--scope", "tenant:nobody", *limits]).stdout
    assert "no call of tenant:nobody since" in shown
    assert "Refused live" not in shown


def test_reconcile_says_that_there_is_nothing_to_mend_in_another_process(run: Run) -> None:
    found = run("budget", "reconcile", "--fix")
    assert (found["store"], found["fixed"]) == ("memory", False)


def test_a_wrong_data_directory_is_named_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    result = CliRunner().invoke(app, ["budget", "show", "--data-dir", str(missing)])
    assert isinstance(result.exception, CallerMistake)
    assert str(missing) in str(result.exception)
    assert not missing.exists()


def test_people_are_shown_the_same(data_dir: Path) -> None:
    arguments = ["--config", str(data_dir.parent / "bursar.toml"), "--data-dir", str(data_dir)]
    runner = CliRunner()
    runner.invoke(app, ["stop", "tenant:x", "--reason", "why", *arguments])
    shown = runner.invoke(app, ["budget", "show", *arguments]).stdout
    assert "conversation:acme/c1" in shown
    assert "blocked" in shown
    assert "Stopped: tenant:x (why)" in shown
    limits = ["--scope", "tenant:acme", "--limit-usd", "0.0005", "--window", "total"]
    assert (
        "1 would have been refused" in runner.invoke(app, ["budget", "dry-run", *limits, *arguments]).stdout
    )
    assert (
        "set: tenant:acme: $0.0005 in total"
        in runner.invoke(app, ["budget", "set", *limits, *arguments]).stdout
    )
