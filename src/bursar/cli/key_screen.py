"""What keys look like on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from bursar.cli.fitting import Column, show_fitted
from bursar.cli.tables import UNKNOWN, minute
from bursar.settings import parse_budget
from bursar.settings.budget_meanings import limit_meaning

_COLUMNS = (
    Column("id"),
    Column("tenant", folds_to=8),
    Column("agent", folds_to=8),
    Column("role"),
    Column("allows", folds_to=8),
    Column("limits", folds_to=12),
    Column("state", folds_to=10),
    Column("expires", folds_to=10),
)


def show_keys(screen: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Show keys, each with its limits."""
    if not rows:
        screen.print("There are no keys: whoever reaches the gateway is let in. bursar key create makes one.")
        return
    cells = [(_cells(row), "dim" if row["state"] != "active" else None) for row in rows]
    show_fitted(screen, "Virtual keys", _COLUMNS, cells, left_out_first=("expires", "allows", "role"))


def _cells(row: dict[str, Any]) -> list[str]:
    allowed = [*row["models"], *(f"task {task}" for task in row["tasks"])]
    limits = [limit for said in row["limits"] for limit in parse_budget(said, row["id"]).budgets()]
    state = row["state"]
    if row["former_until"] is not None and state == "active":
        state += f", the former until {minute(row['former_until'])}"
    return [
        row["id"],
        row["tenant"],
        row["agent"],
        row["role"],
        ", ".join(allowed) or "all",
        "; ".join(limit_meaning(limit) for limit in limits) or UNKNOWN,
        state,
        minute(row["expires_at"]),
    ]
