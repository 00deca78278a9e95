"""`bursar` itself."""

from importlib import metadata

from typer.testing import CliRunner

from bursar.cli.main import app


def test_the_version_is_that_of_the_package_that_is_installed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"bursar {metadata.version('bursar')}\n")


def test_help_tells_of_the_version_and_of_what_it_is_for() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert "--version" in output
    assert "The cost engine for LLM agents" in output
