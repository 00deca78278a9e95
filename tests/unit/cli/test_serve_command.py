"""`bursar serve` with something wrong: an exit code, one sentence, and no stack trace."""

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bursar.cli.main import app
from bursar.cli.serve import _greet  # pyright: ignore[reportPrivateUsage] - what is said, without a server
from bursar.cli.server import listen
from bursar.errors import BadSetting, CallerMistake
from bursar.settings import parse

BURSAR = str(Path(sys.executable).parent / "bursar")


def refusal(arguments: Sequence[str]) -> str:
    """Run the command in this process; return what it says to whoever made a mistake."""
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert isinstance(result.exception, CallerMistake), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2"], "--workers: more than one worker needs Redis"),
        (["--time-scale", "0"], "--time-scale: takes a positive number"),
        (["--time-scale", "nan"], "--time-scale: takes a positive number"),
        (["--upstream", "http://127.0.0.1:1"], "--upstream: 'http://127.0.0.1:1' is not NAME=URL"),
        (["--upstream", "gemini=http://127.0.0.1:1"], "one of anthropic, openai"),
        (["--upstream", "anthropic="], "providers.anthropic.base_url"),
        (["--upstream", "anthropic=127.0.0.1:1"], "such as https://api.anthropic.com"),
        (["--mode", "fast"], "'observe', 'optimise' or 'passthrough'"),
        (["--port", "70000"], "server.port"),
        (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen there"),
        (["--host", "a" * 300, "--port", "0"], "cannot listen there"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
    ],
)
def test_a_wrong_flag_is_named(arguments: list[str], said: str) -> None:
    assert said in refusal(arguments)


def test_with_redis_several_workers_are_several_commands(tmp_path: Path) -> None:
    config = tmp_path / "bursar.toml"
    config.write_text('[storage]\nredis = "redis://127.0.0.1:1/0"\n')
    said = refusal(["--config", str(config), "--workers", "2"])
    assert said.startswith("--workers: each bursar serve is one process; start it several times")


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with listen("127.0.0.1", 0) as taken:
        with pytest.raises(BadSetting, match="the port is in use") as refused:
            listen("127.0.0.1", taken.getsockname()[1])
        assert "--port" in str(refused.value)


def test_a_listening_socket_takes_connections_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=1):
        pass


def test_who_is_let_in_from_the_network_is_said_with_the_setting_that_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = {"server": {"host": "0.0.0.0", "open": True}, "storage": {"dir": str(tmp_path / "[data]")}}
    _greet(parse(table, "bursar.toml"), 4100)
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("[data])")
    assert said[-1].endswith("whoever reaches it is let in ([server] open).")
    assert len(said) == 4


def run_serve(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BURSAR, "serve", "--port", "0", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": ""},
    )


def check_one_sentence(result: "subprocess.CompletedProcess[str]", code: int, said: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("bursar: ")
    assert said in lines[0]


def test_a_misspelt_setting_ends_the_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text("[server]\nprot = 1\n")
    result = run_serve(tmp_path, "--config", "bursar.toml")
    check_one_sentence(result, 2, 'bursar.toml: server.prot: unknown setting; did you mean "port"?')


def test_a_missing_key_in_the_environment_ends_the_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text('[providers.anthropic]\napi_key_env = "NO_SUCH_KEY"\n')
    result = run_serve(tmp_path, "--config", "bursar.toml")
    check_one_sentence(
        result, 2, "providers.anthropic.api_key_env: the environment variable NO_SUCH_KEY is not set"
    )


@pytest.mark.parametrize("content", [b"hello, I am no database" * 100, b"\x00" * 4096])
def test_a_corrupt_ledger_ends_the_command_with_2_and_stays_untouched(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data" / "ledger.db"
    file.parent.mkdir()
    file.write_bytes(content)
    check_one_sentence(run_serve(tmp_path, "--data-dir", "data"), 2, "ledger.db")
    assert file.read_bytes() == content


def test_anothers_database_is_not_taken_for_a_ledger(tmp_path: Path) -> None:
    file = tmp_path / "data" / "ledger.db"
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    check_one_sentence(run_serve(tmp_path, "--data-dir", "data"), 2, "ledger.db")


def test_a_data_directory_that_is_a_file_ends_the_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    check_one_sentence(run_serve(tmp_path, "--data-dir", "data"), 2, "data")
