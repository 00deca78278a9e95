"""Flags that say a budget, and reading them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.errors import BadSetting

if TYPE_CHECKING:
    from bursar.domain.budgets import Budget

ScopeOption = Annotated[
    str, typer.Option(help="organisation, tenant:ID, agent:TENANT/ID, key:ID, user:…, conversation:…; or *.")
]
LimitUsdOption = Annotated[str | None, typer.Option(help="US dollars, such as 500 or 0.25.")]
LimitTokensOption = Annotated[str | None, typer.Option(help="Tokens of every class.")]
LimitTurnsOption = Annotated[str | None, typer.Option(help="Calls that are answered.")]
WindowOption = Annotated[str | None, typer.Option(help="hour, day, week, month or total.")]
TimezoneOption = Annotated[
    str | None, typer.Option(help="Where days, weeks and months begin, such as Europe/Berlin (default UTC).")
]
BillingDayOption = Annotated[int | None, typer.Option(help="Day on which months begin (default 1).")]
LadderOption = Annotated[
    str | None,
    typer.Option(
        help='Steps as JSON, such as [{"at": 0.8, "actions": ["throttle"]}], or none; absent: the default.'
    ),
]
GraceOption = Annotated[
    str | None, typer.Option(help="How much further active conversations may go, such as 0.05.")
]


def read_budgets(table: Mapping[str, Any], ladder: str | None) -> "tuple[Budget, ...]":
    """Read the budgets that flags say.

    Args:
        table: Keys of `[[budgets]]`; None where a flag is absent.
        ladder: JSON, or `none`; None for the default.

    Raises:
        BadSetting: A flag is wrong, or they contradict each other.
    """
    from bursar.settings import parse_budget

    said = {key: value for key, value in table.items() if value is not None}
    if ladder is not None:
        said["ladder"] = _read_ladder(ladder)
    return parse_budget(said, "the budget").budgets()


def _read_ladder(text: str) -> Any:
    if text.strip() == "none":
        return []
    try:
        steps: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSetting(
            f'is neither "none" nor JSON ({error}); write [{{"at": 0.8, "actions": ["throttle"]}}]',
            place="--ladder",
        ) from None
    # TOML has no null, so nothing else would say what is wrong with one.
    return steps if steps is not None else "null"
