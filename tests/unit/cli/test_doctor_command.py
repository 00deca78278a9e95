import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.cli.doctor import doctor
from bursar.errors import BadSetting, CallerMistake
from doctor_calls import Change, clock_in_front, talks
from ledger_entries import T0_S, entry

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    app = typer.Typer()
    app.command()(doctor)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    async def record(ledger: SqliteLedger) -> None:
        await asyncio.gather(ledger.record(entry("a")), ledger.record(entry("b", at_s=T0_S + 60)))

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        asyncio.run(record(ledger))
    return tmp_path


def write_log(path: Path, change: Change | None = None, *more: str) -> Path:
    lines = [
        json.dumps(
            {
                "at": datetime.fromtimestamp(call.at_s, UTC).isoformat(),
                "dialect": call.dialect,
                **call.labels,
                "request": json.loads(call.body),
                "response": {"content": [{"type": "text", "text": call.speech.text}]},
                "latency_ms": 1_000,
            }
        )
        for call in talks(change)
    ]
    path.write_text("\n".join((*lines, *more)))
    return path


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_of_a_log_names_the_place_the_amount_and_the_mend(run: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "traffic.jsonl", clock_in_front, "{oops")
    diagnosis = found(run(log, "--json"))
    (finding,) = diagnosis["findings"]
    assert (finding["tenant"], finding["agent"]) == ("acme", "desk")
    assert (finding["reason"], finding["cause"], finding["place"]) == ("system_changed", "clock", "system[0]")
    assert finding["before"].startswith("2026-11-20T10:")
    assert finding["call"].startswith(f"{log}:")
    assert diagnosis["total"]["lost_usd"] == finding["lost_usd"]
    assert 0 < float(finding["lost_usd"]) < float(diagnosis["total"]["prompts_usd"])
    assert (diagnosis["total"]["calls"], diagnosis["replay"]["skipped_lines"]) == (15, 1)


@pytest.mark.parametrize("columns", [80, 100])
def test_the_terminal_shows_reason_texts_mend_and_total(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run(write_log(tmp_path / "t.jsonl", clock_in_front, "{oops"))
    shown = " ".join(result.stdout.split())
    assert "system_changed (a clock) at system[0], character" in shown
    assert "Static first, dynamic context last" in shown
    assert "15 calls' prompts, as sent: $" in shown
    assert max(map(len, result.stdout.splitlines())) <= columns
    assert "t.jsonl:16: is no JSON" in " ".join(result.stderr.split())


def test_where_nothing_is_found_it_says_so(run: Run, tmp_path: Path) -> None:
    assert "Nothing found" in run(write_log(tmp_path / "traffic.jsonl")).stdout


def test_a_text_of_a_client_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    def hostile(body: dict[str, Any], number: int, _: object) -> None:
        body["system"][0]["text"] = f"\x1bc{number}:[red] " + body["system"][0]["text"]

    shown = run(write_log(tmp_path / "traffic.jsonl", hostile)).stdout
    assert "\x1b" not in shown
    assert "\\x1bc" in shown


def test_transcripts_are_asked_of_the_model_that_is_named(run: Run, tmp_path: Path) -> None:
    talk = {
        "conversation": "one",
        "agent": "desk",
        "messages": [
            {"role": "system", "content": "Answer by the rules, and by nothing else. " * 400},
            {"role": "user", "content": "May I?"},
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": "No."},
        ],
    }
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps(talk))
    assert [f["reason"] for f in found(run(path, "--json"))["findings"]] == ["unmarked"]
    assert found(run(path, "--json", "--model", "gpt-4o"))["findings"] == []


def test_without_a_file_the_ledger_is_read(run: Run, data_dir: Path) -> None:
    diagnosis = found(run("--data-dir", data_dir, "--json"))
    assert diagnosis["total"]["calls"] == 2
    assert [(row["agent"], row["output_tokens"]) for row in diagnosis["output"]] == [("support", 20)]
    shown = run("--data-dir", data_dir).stdout
    assert "Who pays for output and reasoning" in shown
    assert "only a traffic log tells" in shown


def test_since_leaves_earlier_calls_out(run: Run, data_dir: Path) -> None:
    later = datetime.fromtimestamp(T0_S + 30, UTC).isoformat()
    assert found(run("--data-dir", data_dir, "--since", later, "--json"))["total"]["calls"] == 1
    assert "No calls." in run("--data-dir", data_dir, "--since", "2030-01-01").stdout


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("/nowhere.jsonl",), CallerMistake),
        (("/nowhere.jsonl", "--since", "1h"), CallerMistake),
        (("--data-dir", "/nonexistent"), CallerMistake),
        (("--since", "yesterday"), CallerMistake),
        (("x.jsonl", "--tools", "/nowhere.json"), BadSetting),
    ],
)
def test_a_mistake_is_the_callers(run: Run, arguments: tuple[str, ...], mistake: type[Exception]) -> None:
    assert isinstance(run(*arguments).exception, mistake)


def test_the_command_is_mounted_and_exits_2_without_a_stack_trace() -> None:
    command = [sys.executable, "-c", "from bursar.cli.main import run; run()", "doctor", "/nowhere.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bursar: /nowhere.jsonl: cannot be read (No such file or directory)\n"
