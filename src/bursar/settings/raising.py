"""How a person raises the limit of a budget: by a command with all that the budget is, or in bursar.toml."""

import json
import shlex
from collections.abc import Collection, Iterator
from typing import Any

from msgspec.structs import replace

from bursar.domain.budgets import Budget, default_ladder
from bursar.domain.scopes import Scope, ScopePattern
from bursar.settings.stored import Key, key_of, table_of

_AS_FLAGS = ("window", "timezone", "billing_day", "grace")


def how_to_raise(budget: Budget, scope: Scope, own: Collection[Key]) -> str:
    """Say how the limit of a budget is raised for one of its scopes.

    Args:
        budget: The budget in force.
        scope: Whose limit it is. Of a budget for several scopes it gets one of its own.
        own: Keys of the budgets that bursar.toml has.

    Returns:
        A command, with N for the new limit and with all else that the budget says, since the command puts
        another in its place; or what to change in the file, where that has a budget of just this scope.
    """
    meant = replace(budget, pattern=ScopePattern.only(scope))
    if key_of(meant) in own:
        return (
            f"change it in bursar.toml, in the [[budgets]] of scope {json.dumps(str(scope))}, and restart "
            f"bursar serve"
        )
    return f"bursar budget set {' '.join(_flags(meant))}"


def _flags(budget: Budget) -> Iterator[str]:
    table = table_of(budget)
    limit = next(key for key in table if key.startswith("limit_"))
    yield f"--scope {shlex.quote(table['scope'])} --{_flag(limit)} N"
    for key in _AS_FLAGS:
        # A month begins on its first day unless something else is said.
        if key in table and (key, table[key]) != ("billing_day", 1):
            yield f"--{_flag(key)} {shlex.quote(str(table[key]))}"
    if budget.ladder != default_ladder(budget.pattern, budget.unit, budget.period):
        ladder: list[dict[str, Any]] = table["ladder"]
        yield f"--ladder {shlex.quote(json.dumps(ladder)) if ladder else 'none'}"


def _flag(key: str) -> str:
    return key.replace("_", "-")
