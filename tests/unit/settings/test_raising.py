"""How people are told to raise a limit."""

import json
import shlex
from typing import Any

import pytest

from budget_scene import table
from bursar.cli.budget_flags import read_budgets
from bursar.domain.scopes import read_scope
from bursar.settings.raising import how_to_raise
from bursar.settings.stored import key_of

STEP = {"at": "0.8", "actions": ["notify:ann", "throttle"]}


@pytest.mark.parametrize(
    "limits",
    [
        {"limit_usd": "500", "window": "month"},
        {"limit_usd": "500", "window": "month", "timezone": "Europe/Berlin", "billing_day": 5},
        {"limit_usd": "500", "window": "month", "ladder": []},
        {"limit_tokens": 9, "window": "week", "ladder": [STEP], "grace": "0.1"},
        {"limit_turns": 9, "window": "total"},
    ],
)
def test_the_command_keeps_all_else_that_a_budget_says(limits: dict[str, Any]) -> None:
    scope = "tenant:two words"
    (budget,) = table(scope, **limits).budgets()
    command, flags = how_to_raise(budget, read_scope(scope), ()).split(" --", 1)
    assert command == "bursar budget set"
    words = iter(shlex.split(f"--{flags}"))
    said: dict[str, Any] = {flag[2:].replace("-", "_"): word for flag, word in zip(words, words, strict=True)}
    limit = next(key for key in said if key.startswith("limit_"))
    assert said[limit] == "N"
    said[limit] = limits[limit]
    if "billing_day" in said:
        said["billing_day"] = int(said["billing_day"])
    ladder = said.pop("ladder", None)
    assert read_budgets(said, ladder) == (budget,)


def test_what_is_as_by_default_is_not_said() -> None:
    (budget,) = table("tenant:acme", window="month", limit_usd="5").budgets()
    said = how_to_raise(budget, read_scope("tenant:acme"), ())
    assert said == "bursar budget set --scope tenant:acme --limit-usd N --window month"


def test_where_the_file_has_the_budget_the_file_is_named() -> None:
    (budget,) = table("tenant:acme", window="month", limit_usd="5").budgets()
    said = how_to_raise(budget, read_scope("tenant:acme"), {key_of(budget)})
    assert "in bursar.toml" in said
    assert json.dumps("tenant:acme") in said


def test_of_a_pattern_in_the_file_a_scope_gets_a_budget_of_its_own() -> None:
    (budget,) = table("tenant:*", limit_usd="5").budgets()
    said = how_to_raise(budget, read_scope("tenant:acme"), {key_of(budget)})
    assert said == "bursar budget set --scope tenant:acme --limit-usd N --window day"
