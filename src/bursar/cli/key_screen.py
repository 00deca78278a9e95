"""What keys look like on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from bursar.cli.tables import UNKNOWN, titled_table
from bursar.settings import parse_budget
from bursar.settings.budget_meanings import limit_meaning


def show_keys(screen: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Show keys, each with its limits."""
    if not rows:
        screen.print("There are no keys: whoever reaches the gateway is let in. bursar key create makes one.")
        return
    table = titled_table("Virtual keys")
    for name in ("id", "tenant", "agent", "role", "allows", "limits", "state", "expires"):
        table.add_column(name)
    for row in rows:
        allowed = [*row["models"], *(f"task {task}" for task in row["tasks"])]
        limits = [limit for said in row["limits"] for limit in parse_budget(said, row["id"]).budgets()]
        state = row["state"]
        if row["former_until"] is not None and state == "active":
            state += f", the former until {row['former_until']}"
        table.add_row(
            row["id"],
            row["tenant"],
            row["agent"],
            row["role"],
            ", ".join(allowed) or "all",
            "; ".join(limit_meaning(limit) for limit in limits) or UNKNOWN,
            state,
            row["expires_at"] or "never",
        )
    screen.print(table)
