import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bursar.cli.config import config_app
from bursar.errors import BadSetting

RUNNER = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"})
Check = Callable[..., Result]

FILE = """
holdout = "0.05"

[tenants.acme]
prefix_cache = { enabled = false }

[agents."airline-support"]
history_tokens = 40_000
max_output_tokens = 2_000
tool_results = { mode = "lossless" }
history = { summary_model = "claude-haiku-4-5" }

[agents."acme/desk"]
output = { effort = "low" }

[agents.plain]
"""


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(content: str | None, *arguments: str) -> Result:
        if content is None:
            return RUNNER.invoke(config_app, ["check", *arguments])
        file = tmp_path / "bursar.toml"
        file.write_text(content)
        return RUNNER.invoke(config_app, ["check", "--config", str(file), *arguments])

    return run


def test_without_a_file_the_defaults_are_explained(check: Check) -> None:
    result = check(None)
    assert result.exit_code == 0
    assert "No file: the defaults hold." in result.output
    assert "Everybody" in result.output
    assert "no warnings" in result.output


def test_everybody_and_each_that_the_file_names_is_explained(check: Check) -> None:
    output = check(FILE).output
    for part in (
        "holdout 0.050 of conversations",
        "Everybody",
        "Tenant acme",
        "Agent airline-support",
        "rewritten from 40,000 prompt tokens on",
        'agents."airline-support".max_output_tokens',
        "Agent desk of tenant acme",
        "effort low at most",
        "Agent plain: as everybody",
    ):
        assert part in output


def test_a_tenants_agent_can_be_asked_for(check: Check) -> None:
    for arguments in (
        ("--tenant", "acme", "--agent", "airline-support"),
        ("--agent", "acme/airline-support"),
    ):
        (scope,) = json.loads(check(FILE, "--json", *arguments).output)["scopes"]
        assert (scope["tenant"], scope["agent"]) == ("acme", "airline-support")
        states = {technique["technique"]: technique["state"] for technique in scope["techniques"]}
        assert (states["prefix_cache"], states["history"]) == ("off", "on")


def test_json_tells_every_value_and_where_it_comes_from(check: Check) -> None:
    found = json.loads(check(FILE, "--json").output)
    assert (found["mode"], found["holdout"], found["warnings"]) == ("optimise", "0.050", [])
    assert [(scope["tenant"], scope["agent"]) for scope in found["scopes"]] == [
        (None, None),
        ("acme", None),
        (None, "airline-support"),
        ("acme", "desk"),
        (None, "plain"),
    ]
    output = next(t for t in found["scopes"][2]["techniques"] if t["technique"] == "output")
    assert output["settings"][:2] == [
        {
            "key": "max_output_tokens",
            "value": 2000,
            "from": 'agents."airline-support".max_output_tokens',
        },
        {"key": "output.effort", "value": None, "from": None},
    ]


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        (
            '[providers.anthropic]\napi_key_env = "BURSAR_TEST_UNSET"\n',
            "providers.anthropic.api_key_env",
            "bursar serve would not start: the environment variable BURSAR_TEST_UNSET is not set",
        ),
        (
            '[storage]\ncontent_key_env = "BURSAR_TEST_UNSET"\n',
            "storage.content_key_env",
            "BURSAR_TEST_UNSET is not set",
        ),
        (
            '[agents.d]\nhistory_tokens = 9\nhistory = { summary_model = "none-such" }\n',
            'agents."d".history.summary_model',
            'no price is known for "none-such"',
        ),
    ],
)
def test_warnings_leave_the_exit_code_at_zero(check: Check, content: str, place: str, problem: str) -> None:
    result = check(content, "--json")
    assert result.exit_code == 0
    (warning,) = json.loads(result.output)["warnings"]
    assert warning["place"] == place
    assert problem in warning["problem"]
    assert warning["mend"]
    assert f"warning {place}: " in check(content).output


def test_an_open_address_with_keys_of_ones_own_is_warned_of(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURSAR_TEST_KEY", "any")
    result = check(
        '[server]\nhost = "0.0.0.0"\n[providers.openai]\napi_key_env = "BURSAR_TEST_KEY"\n', "--json"
    )
    (warning,) = json.loads(result.output)["warnings"]
    assert warning["place"] == "server.host"
    assert "bursar key create" in warning["mend"]
    assert "bind to 127.0.0.1" in warning["mend"]


def test_a_summary_model_with_a_price_of_ones_own_is_known(check: Check) -> None:
    content = (
        '[agents.d]\nhistory_tokens = 9\nhistory = { summary_model = "none-such" }\n'
        '[prices."none-such"]\ninput = "1"\noutput = "2"\n'
    )
    assert json.loads(check(content, "--json").output)["warnings"] == []


def test_what_cannot_be_printed_does_not_steer_the_terminal(check: Check) -> None:
    output = check('[agents.d]\noutput = { stop = ["\\u001b[2J"] }\n').output
    assert "\x1b" not in output
    assert "\\x1b[2J" in output


def test_a_mistake_is_the_callers(check: Check) -> None:
    error = check("[agents.desk]\nhistory_token = 1\n").exception
    assert isinstance(error, BadSetting)
    assert 'agents.desk.history_token: unknown setting; did you mean "history_tokens"?' in str(error)


def test_a_wrong_file_exits_with_two_and_one_line(tmp_path: Path) -> None:
    file = tmp_path / "bursar.toml"
    file.write_text("mod = 1\n")
    command = [
        sys.executable,
        "-c",
        "from bursar.cli.main import run; run()",
        "config",
        "check",
        "--config",
        file,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f'bursar: {file}: mod: unknown setting; did you mean "mode"?\n'
    assert ended.stdout == ""


def test_help_has_examples() -> None:
    assert "bursar config check --config bursar.toml" in RUNNER.invoke(config_app, ["check", "--help"]).output
