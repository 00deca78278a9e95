import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from bursar.cli.replay import replay
from bursar.errors import BadSetting, CallerMistake

POLICY = "Answer in two sentences, and name the rule that you went by. " * 150
TALK = {
    "conversation": "one",
    "agent": "desk",
    "messages": [
        {"role": "system", "content": POLICY},
        {"role": "user", "content": "May I?"},
        {"role": "assistant", "content": "Yes, by rule one."},
        {"role": "user", "content": "And the dog?"},
        {"role": "assistant", "content": "No, by rule two."},
        {"role": "user", "content": "And the cat?"},
        {"role": "assistant", "content": "No, by rule two, too."},
        {"role": "user", "content": "And the fish?"},
        {"role": "assistant", "content": "Yes, by rule three."},
    ],
}

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "talks.jsonl"
    lone = {"conversation": "two", "calls": [{"input": "Hi", "output": "Hello"}, {"input": "", "output": ""}]}
    path.write_text("\n".join((json.dumps(TALK), "{oops", json.dumps(lone))))
    return path


@pytest.fixture
def run(file: Path) -> Run:
    app = typer.Typer()
    app.command()(replay)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(file), *arguments])


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_is_the_report_and_what_is_a_replays_own(run: Run) -> None:
    report = found(run("--json", "--by", "agent", "--bound"))
    total = report["total"]
    assert total["calls"] == 5
    assert [(row["agent"], row["calls"]) for row in report["rows"]] == [("desk", 4), ("default", 1)]
    saved = round(float(total["baseline_usd"]) - float(total["cost_usd"]), 9)
    assert float(total["techniques"]["prefix_cache"]) == saved > 0
    assert 0 < float(total["bound_usd"]) <= float(total["cost_usd"])
    assert report["replay"] == {
        "mode": "optimise",
        "without": [],
        "conversations": 2,
        "made_up_times": 5,
        "late_calls": 0,
        "refused_calls": 0,
        "skipped_lines": 1,
        "empty_calls": 1,
        "failed_calls": 0,
    }


def test_a_skipped_line_is_named_on_standard_error(run: Run, file: Path) -> None:
    result = run("--json")
    assert f"{file}:2: is no JSON" in result.stderr
    assert "1 lines could not be read" in result.stderr


def test_the_impact_table_leads_from_as_sent_to_the_final_bill(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = run("--bound").stdout
    assert "What it saves" in shown
    assert "prefix cache" in shown
    assert "With all of the future known" in shown
    assert "Times are made up for 5 of 5 calls: 10 s apart (--gap)." in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_observing_shows_what_would_be_saved(run: Run) -> None:
    report = found(run("--json", "--mode", "observe"))
    assert float(report["total"]["would_save"]["prefix_cache"]) > 0
    assert "What it would save" in run("--mode", "observe").stdout


def test_the_model_decides_the_price(run: Run) -> None:
    costs = {
        model: float(found(run("--json", "--model", model))["total"]["cost_usd"])
        for model in ("claude-haiku-4-5", "claude-sonnet-4-6", "gpt-4o-mini")
    }
    assert costs["gpt-4o-mini"] < costs["claude-haiku-4-5"] < costs["claude-sonnet-4-6"]


def test_a_configuration_applies(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "bursar.toml"
    config.write_text("[prefix_cache]\nenabled = false\n")
    total = found(run("--json", "--config", str(config)))["total"]
    assert total["cost_usd"] == total["baseline_usd"]


def test_techniques_can_be_left_out_whatever_the_settings_say(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "bursar.toml"
    config.write_text('[agents.desk]\ntool_results = { mode = "lossless" }\n')
    report = found(run("--json", "--config", str(config), "--without", "prefix_cache, tool_results"))
    assert report["total"]["cost_usd"] == report["total"]["baseline_usd"]
    assert report["replay"]["without"] == ["prefix_cache", "tool_results"]
    assert "without prefix cache" in run("--without", "prefix_cache").stdout


def test_a_technique_that_there_is_not_is_a_mistake(run: Run) -> None:
    mistake = run("--without", "magic").exception
    assert isinstance(mistake, BadSetting)
    assert "tool_results" in str(mistake)


@pytest.mark.parametrize("content", ["{}", "{oops", '[{"description":"nameless"}]', '["name"]'])
def test_tools_that_are_none_are_a_mistake(run: Run, tmp_path: Path, content: str) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(content)
    assert isinstance(run("--tools", str(tools)).exception, BadSetting)


def test_other_mistakes_are_told_as_such(run: Run) -> None:
    assert isinstance(run("/nowhere.jsonl").exception, CallerMistake)
    assert isinstance(run("--mode", "sometimes").exception, BadSetting)
    assert isinstance(run("--by", "colour").exception, CallerMistake)
    assert run("--gap", "-1").exit_code == 2


def test_the_command_is_mounted_and_exits_2_without_a_stack_trace() -> None:
    command = [sys.executable, "-c", "from bursar.cli.main import run; run()", "replay", "/nowhere.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bursar: /nowhere.jsonl: cannot be read (No such file or directory)\n"
