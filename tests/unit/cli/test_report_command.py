import asyncio
import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest
import typer
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner, Result

from bursar.adapters.ledger.sqlite import FILE_NAME, SqliteLedger
from bursar.cli.report import read_keys, read_time, report
from bursar.cli.tables import bar, percent, places_for, row_table, usd
from bursar.domain.ledger import CostBasis, Technique
from bursar.domain.report import ReportKey, report_of
from bursar.errors import CallerMistake
from ledger_entries import T0_S, entry, unpriced

NOW_S = T0_S

Run = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    who = entry().attribution
    calls = [
        entry("a"),
        entry("b", at_s=T0_S + 60, attribution=replace(who, agent="billing")),
        entry("c", at_s=T0_S + 120, basis=CostBasis.ESTIMATED, cost_max_nusd=900_000),
        unpriced("d", at_s=T0_S + 180),
    ]

    async def record(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(call) for call in calls))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(record(ledger))
    return tmp_path


@pytest.fixture
def run(data_dir: Path) -> Run:
    app = typer.Typer()
    app.command()(report)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, ["--data-dir", str(data_dir), *arguments])


def test_json_is_the_report_of_the_ledger(run: Run) -> None:
    found = json.loads(run("--json", "--by", "agent").stdout)
    assert found["total"]["calls"] == 4
    assert found["total"]["cost_usd"] == "0.001350000"
    assert [(row["agent"], row["calls"], row["unknown_calls"]) for row in found["rows"]] == [
        ("support", 3, 1),
        ("billing", 1, 0),
    ]


def test_since_and_until_cut_within_the_hour(run: Run) -> None:
    found = json.loads(run("--json", "--since", "2025-11-24T16:01", "--until", "2025-11-24T16:02").stdout)
    assert found["total"]["calls"] == 1


def test_the_terminal_shows_headline_components_techniques_and_rows_within_100_columns(run: Run) -> None:
    shown = run("--by", "tenant,agent").stdout
    assert (
        "4 calls, cost $0.001350; as sent they would have cost $0.001800; saved $0.000450 (25.0 %)" in shown
    )
    assert "Estimated, of the cost: $0.000450, at most $0.000900" in shown
    assert "Unknown cost: 1 call, in no amount." in shown
    assert "prefix cache" in shown
    assert "system" in shown
    assert "billing" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_what_observed_calls_would_have_saved_is_shown(run: Run, data_dir: Path) -> None:
    with closing(SqliteLedger.open(data_dir)) as ledger:
        asyncio.run(ledger.record(entry("e", would_save={Technique.HISTORY: 70_000})))
    assert "would have saved" in run().stdout


def test_rows_beyond_the_limit_are_counted(run: Run) -> None:
    assert "Rows left out: 1;" in run("--by", "agent", "--limit", "1").stdout


def test_an_empty_span_says_so(run: Run) -> None:
    assert "No calls." in run("--until", "2020-01-01").stdout


def test_a_key_of_a_client_cannot_steer_the_terminal(run: Run, data_dir: Path) -> None:
    hostile = replace(entry().attribution, tenant="\x1b[2J[red]evil")
    with closing(SqliteLedger.open(data_dir)) as ledger:
        asyncio.run(ledger.record(entry("e", attribution=hostile)))
    shown = run("--by", "tenant").stdout
    assert "\x1b" not in shown
    assert "[red]evil" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "tenant,agnet"], '--by: "agnet" is no key; did you mean "agent"?'),
        (["--since", "yesterday"], '--since: "yesterday" is no time since 1970; write a date'),
        (["--until", "2025-13-01"], '--until: "2025-13-01" is no time'),
        (["--since", "1h", "--until", "2h"], 'is not before --until "2h"'),
        (["--data-dir", "/nonexistent"], "no ledger in /nonexistent"),
    ],
)
def test_a_mistake_is_named_with_its_place(run: Run, arguments: list[str], message: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, CallerMistake)
    assert message in str(error)


def test_a_file_that_is_no_ledger_is_the_callers_to_mend(run: Run, data_dir: Path) -> None:
    (data_dir / FILE_NAME).write_bytes(b"?" * 4096)
    error = run().exception
    assert isinstance(error, CallerMistake)
    assert "left untouched" in str(error)


def test_damage_within_the_file_is_named_and_no_trace_is_needed(run: Run, data_dir: Path) -> None:
    file = data_dir / FILE_NAME
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    error = run("--by", "conversation").exception
    assert isinstance(error, CallerMistake)
    assert str(file) in str(error)


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("", None),
        ("24h", NOW_S - 86_400),
        ("90m", NOW_S - 5_400),
        ("7d", NOW_S - 604_800),
        ("2w", NOW_S - 1_209_600),
        ("2025-11-24", T0_S - 16 * 3_600),
        ("2025-11-24T16:00", T0_S),
        ("2025-11-24T16:00Z", T0_S),
        ("2025-11-24T17:00+01:00", T0_S),
    ],
)
def test_moments_are_read(text: str, at_s: float | None) -> None:
    assert read_time(text, NOW_S, option="--since") == at_s


@pytest.mark.parametrize("text", ["99999999999999d", "0001-01-01T00:00+14:00", "٣d", "-1h", "24 hours"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(CallerMistake, match="--since"):
        read_time(text, NOW_S, option="--since")


def test_keys_are_read_each_once() -> None:
    assert read_keys(" Tenant, agent,,tenant ") == (ReportKey.TENANT, ReportKey.AGENT)
    assert read_keys("") == ()


@pytest.mark.parametrize(
    ("nusd", "places", "shown"),
    [
        (1_234_567_890_000, 2, "$1,234.57"),
        (20_203_412_345, 4, "$20.2034"),
        (-1_500_000, 6, "-$0.001500"),
        (1_000, 4, "<$0.0001"),
        (0, 4, "$0.0000"),
        (1, 9, "$0.000000001"),
        (None, 4, "–"),
    ],
)
def test_amounts_are_written_for_people(nusd: int | None, places: int, shown: str) -> None:
    assert usd(nusd, places) == shown


def test_a_column_has_the_places_that_its_largest_amount_asks_for() -> None:
    assert places_for([2_000 * 10**9, 5]) == 2
    assert places_for([None, 2 * 10**9]) == 4
    assert places_for([2_000_000]) == 6
    assert places_for([2_000]) == 9
    assert places_for([]) == 4


def test_parts_are_written_in_percent_and_drawn() -> None:
    assert percent(1, 3) == "33.3 %"
    assert percent(-1, 8) == "-12.5 %"
    assert percent(1, 0) == percent(None, 5) == "–"
    assert bar(1, 2) == "█" * 12
    assert bar(1, 1_000_000) == "▏"
    assert bar(0, 5) == ""


def test_json_and_terminal_read_the_same_ledger_while_it_is_written(run: Run, data_dir: Path) -> None:
    with closing(SqliteLedger.open(data_dir)) as ledger:
        asyncio.run(ledger.record(entry("e")))
        assert orjson.loads(run("--json").stdout)["total"]["calls"] == 5
        assert "5 calls" in run().stdout


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_table_of_groups_keeps_keys_and_amounts_whole_at_any_width(width: int) -> None:
    calls = [
        entry(f"op-{n}", attribution=replace(entry().attribution, tenant="harbour", agent=f"bookings-{n}"))
        for n in range(3)
    ]
    screen = Console(width=width, file=io.StringIO())
    screen.print(row_table(report_of(calls, [ReportKey.TENANT, ReportKey.AGENT]), width))
    shown = screen.file.getvalue()
    assert all(f"bookings-{n}" in shown for n in range(3))
    assert shown.count("harbour") == 3
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
