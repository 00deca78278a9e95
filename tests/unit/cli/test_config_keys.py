"""What `bursar config check` says of keys."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.cli.main import app
from bursar.policy.keys.ring import key_item
from key_cases import made


@pytest.mark.parametrize(
    ("server", "with_key", "said"),
    [
        ("require_key = true", False, "every call is refused"),
        ("require_key = true", True, ""),
        ("require_key = false", True, "whoever sends no virtual key is let in"),
        ("require_key = false", False, ""),
        ("open = true", False, "does nothing on loopback"),
        ('host = "0.0.0.0"', False, "bursar serve would not start: anybody who reaches it"),
        ('host = "0.0.0.0"', True, ""),
        ('host = "0.0.0.0"\nopen = true', False, ""),
        ('hosts = ["bursar.internal"]', False, ""),
    ],
)
def test_what_keeps_out_everybody_or_nobody_is_told(
    tmp_path: Path, server: str, with_key: bool, said: str
) -> None:
    if with_key:
        SqliteAdmin.open(tmp_path).put(key_item(made("s"), "ann", 1.0))
    file = tmp_path / "bursar.toml"
    file.write_text(f'[storage]\ndir = "{tmp_path}"\n[server]\n{server}\n')
    result = CliRunner().invoke(app, ["config", "check", "--config", str(file), "--json"])
    assert result.exit_code == 0, result.output
    problems = [warning["problem"] for warning in json.loads(result.output)["warnings"]]
    assert [said in problem for problem in problems] == ([True] if said else [])
