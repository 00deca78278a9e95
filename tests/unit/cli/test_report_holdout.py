"""`bursar report` where conversations were held out."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.cli.report import report
from bursar.domain.ledger import Entry
from ledger_entries import T0_S, entry

Run = Callable[..., Result]


def call(number: int, conversation: str, mode: str, cost_nusd: int | None = 450_000) -> Entry:
    who = replace(entry().attribution, conversation=conversation)
    return entry(f"op-{number}", at_s=T0_S + number, attribution=who, mode=mode, cost_nusd=cost_nusd)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    app = typer.Typer()
    app.command()(report)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, ["--data-dir", str(tmp_path), *arguments])


def write(folder: Path, calls: list[Entry]) -> None:
    async def record(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(each) for each in calls))

    with closing(SqliteLedger.open(folder)) as ledger:
        asyncio.run(record(ledger))


def cells(shown: str, title: str) -> list[str]:
    """Return what stands behind a title in a table."""
    (line,) = (line for line in shown.splitlines() if line.strip().startswith(title))
    return re.split(r"  +", line.strip().removeprefix(title).strip())


def test_json_has_both_groups_beside_the_total_and_the_rows(run: Run, tmp_path: Path) -> None:
    write(tmp_path, [call(1, "h", "holdout"), call(2, "o", "optimise"), call(3, "o", "optimise")])
    found = json.loads(run("--json", "--by", "component").stdout)
    assert list(found) == ["total", "rows", "holdout"]
    assert found["total"]["calls"] == 3
    assert [found["holdout"][group]["calls"] for group in ("optimised", "held_out")] == [2, 1]


def test_without_a_holdout_there_is_nothing_of_it(run: Run, tmp_path: Path) -> None:
    write(tmp_path, [call(1, "o", "optimise"), call(2, "p", "passthrough")])
    assert list(json.loads(run("--json").stdout)) == ["total", "rows"]
    assert "held out" not in run().stdout


def test_groups_that_are_too_small_are_said_to_be(run: Run, tmp_path: Path) -> None:
    write(tmp_path, [call(1, "h", "holdout"), call(2, "o", "optimise", None)])
    shown = run().stdout
    assert "Too small to compare: below 30 conversations" in shown
    assert "Unknown cost: 1 of the calls" in shown


def test_groups_that_are_large_enough_stand_side_by_side_without_a_warning(run: Run, tmp_path: Path) -> None:
    calls = [call(n, f"c{n}", "holdout", 600_000) for n in range(30)]
    calls += [call(100 + n, f"d{n % 30}", "optimise", 100_000) for n in range(60)]
    write(tmp_path, calls)
    shown = run().stdout
    assert "Too small" not in shown
    assert cells(shown, "calls per conversation") == ["2.00", "1.00", "+100.0 %"]
    assert cells(shown, "cost per conversation") == ["$0.000200000", "$0.000600000", "-66.7 %"]
    assert cells(shown, "cost per call") == ["$0.000100000", "$0.000600000", "-83.3 %"]
    assert cells(shown, "failed share") == ["0.0 %", "0.0 %", "–"]
