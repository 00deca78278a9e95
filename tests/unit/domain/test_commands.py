"""Commands that may be pasted into a shell."""

import shlex

import pytest

from bursar.domain.commands import resume_command, shell_word


@pytest.mark.parametrize("name", ["c1", "c; rm -rf /", "$(id)", "it's", "--help", "-x", "a b", "ü"])
def test_a_name_stays_one_word(name: str) -> None:
    assert shlex.split(shell_word(name)) == [name]
    assert name in shlex.split(resume_command(name, name))[3:]


def test_a_name_that_begins_with_a_dash_is_no_option() -> None:
    assert resume_command("acme", "--help") == "bursar conversation resume --tenant acme -- --help"
    assert resume_command("acme", "c 1") == "bursar conversation resume 'c 1' --tenant acme"


def test_a_name_that_cannot_be_pasted_is_left_out() -> None:
    assert shell_word("x\nreboot") == "NAME"
