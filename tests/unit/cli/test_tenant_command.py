"""`bursar tenant erase`, as somebody types it."""

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bursar.adapters.content.file import FILE_NAME as CONTENT_FILE
from bursar.adapters.ledger.schema import LEDGER
from bursar.adapters.ledger.sqlite import LedgerReader, SqliteLedger
from bursar.adapters.sqlite.connection import reader_connection
from bursar.adapters.sqlite.erasing import erasing
from bursar.cli.main import app
from bursar.domain.attribution import ERASED, Attribution
from bursar.errors import CallerMistake, CorruptStore, StoreFailed
from ledger_entries import T0_S, entry

Run = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    async def record(ledger: SqliteLedger) -> None:
        for number in range(4):
            tenant = ("acme", "rival")[number % 2]
            await ledger.record(entry(f"op-{number}", at_s=T0_S + number, attribution=Attribution(tenant)))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(record(ledger))
    return tmp_path


@pytest.fixture
def run(data_dir: Path) -> Run:
    def run(*arguments: str, answer: str | None = None) -> Result:
        flags = ["--data-dir", str(data_dir)]
        return CliRunner().invoke(app, ["tenant", "erase", *arguments, *flags], input=answer)

    return run


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def tenants(data_dir: Path) -> list[str]:
    return [each.attribution.tenant for each in LedgerReader.open(data_dir).entries()]


def refused(result: Result) -> str:
    assert isinstance(result.exception, CallerMistake), result.output
    return str(result.exception)


def test_a_dry_run_says_what_would_go_and_leaves_it(run: Run, data_dir: Path) -> None:
    shown = run("acme", "--dry-run")
    assert shown.exit_code == 0
    assert "2  calls in the ledger; their amounts stay" in shown.stdout
    found = told(run("acme", "--dry-run", "--json"))
    assert (found["tenant"], found["dry_run"], found["erased"]["ledger"]) == ("acme", True, 2)
    assert tenants(data_dir) == ["acme", "rival"] * 2
    assert not (data_dir / "admin.db").exists()


def test_it_asks_first_and_no_changes_nothing(run: Run, data_dir: Path) -> None:
    asked = run("acme", answer="n\n")
    assert asked.exit_code == 1
    assert "Erase all this of acme, for good? [y/N]" in asked.stdout
    assert tenants(data_dir) == ["acme", "rival"] * 2
    done = run("acme", answer="y\n")
    assert done.exit_code == 0
    assert "acme is erased; the log of changes calls it " in done.stdout
    assert tenants(data_dir) == [ERASED, "rival"] * 2


def test_json_asks_nobody(run: Run, data_dir: Path) -> None:
    assert "--yes" in refused(run("acme", "--json"))
    assert tenants(data_dir) == ["acme", "rival"] * 2
    erased = told(run("acme", "--json", "--yes"))
    assert (erased["dry_run"], erased["erased"]["ledger"], erased["left"]) == (False, 2, [])
    assert erased["name_in_log"] not in ("", "acme")


def test_to_erase_again_says_when_it_was_and_asks_nothing(run: Run) -> None:
    run("acme", "--yes")
    again = run("acme")
    assert again.exit_code == 0
    assert "Nothing is kept of acme; it was erased at " in again.stdout
    assert not any(told(run("acme", "--json"))["erased"].values())


@pytest.mark.parametrize("name", ["acm", "", "*", "tenant:acme", ERASED, "x" * 5_000, "\x00", "a\nb"])
def test_a_name_of_nobody_is_a_mistake_that_changes_nothing(run: Run, data_dir: Path, name: str) -> None:
    before = (data_dir / "ledger.db").read_bytes()
    for flags in (("--yes",), ("--dry-run",)):
        assert len(refused(run(name, *flags))) < 6_000
    assert (data_dir / "ledger.db").read_bytes() == before


def test_a_directory_that_no_server_has_used_is_a_mistake(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    done = CliRunner().invoke(app, ["tenant", "erase", "acme", "--yes", "--data-dir", str(elsewhere)])
    assert "no bursar serve has used" in refused(done)
    assert not elsewhere.exists()


def test_a_damaged_store_is_named_and_the_ledger_left_as_it_was(run: Run, data_dir: Path) -> None:
    (data_dir / CONTENT_FILE).write_bytes(b"no database at all, but long enough to be read as one" * 50)
    failed = run("acme", "--yes")
    assert isinstance(failed.exception, CorruptStore)
    assert "content store" in str(failed.exception)
    assert tenants(data_dir) == ["acme", "rival"] * 2


def test_what_readers_keep_in_the_write_ahead_log_is_told_and_goes_the_next_time(data_dir: Path) -> None:
    path = data_dir / "ledger.db"

    def erase_in_haste() -> None:
        with erasing(LEDGER, path) as connection:
            connection.execute("PRAGMA busy_timeout = 50")
            connection.execute("DELETE FROM rollups")

    with closing(reader_connection(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        with pytest.raises(StoreFailed, match="still stands in its write-ahead log; try again"):
            erase_in_haste()
        assert (data_dir / "ledger.db-wal").stat().st_size
        reader.execute("COMMIT")
        erase_in_haste()
        assert not (data_dir / "ledger.db-wal").stat().st_size
