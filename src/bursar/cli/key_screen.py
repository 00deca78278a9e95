"""What keys look like on a terminal and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from bursar.cli.tables import UNKNOWN, titled_table
from bursar.domain.budgets import Budget
from bursar.domain.keys import VirtualKey
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern
from bursar.settings.budget_meanings import limit_meaning
from bursar.settings.keys import ANY
from bursar.settings.stored import table_of


def limits_of(key_id: str, budgets: Iterable[Budget]) -> list[Budget]:
    """Return those budgets that limit just one key."""
    pattern = ScopePattern.only(Scope(ScopeKind.KEY, "", key_id))
    return [budget for budget in budgets if budget.pattern == pattern]


def key_object(key: VirtualKey, limits: Sequence[Budget], now_s: float) -> dict[str, Any]:
    """Return a key as `--json` gives it; what it is looked up by is not among it."""
    rights = key.rights
    replaced = [secret.until_s for secret in key.secrets if secret.until_s is not None]
    until_s = max(replaced, default=None)
    return {
        "id": key.id,
        "tenant": rights.tenant or ANY,
        "agent": rights.agent or ANY,
        "role": rights.role.value,
        "models": list(rights.models),
        "tasks": list(rights.tasks),
        "limits": [table_of(budget) for budget in limits],
        "state": _state(key, now_s),
        "created_at": _utc(key.created_at_s),
        "expires_at": _utc(rights.expires_at_s),
        "revoked_at": _utc(key.revoked_at_s),
        "former_until": _utc(until_s) if until_s is not None and until_s > now_s else None,
    }


def show_keys(screen: Console, rows: Mapping[str, tuple[dict[str, Any], Sequence[Budget]]]) -> None:
    """Show keys, by id, each with its limits."""
    if not rows:
        screen.print("There are no keys: whoever reaches the gateway is let in. bursar key create makes one.")
        return
    table = titled_table("Virtual keys")
    for name in ("id", "tenant", "agent", "role", "allows", "limits", "state", "expires"):
        table.add_column(name)
    for row, limits in rows.values():
        allowed = [*row["models"], *(f"task {task}" for task in row["tasks"])]
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


def _state(key: VirtualKey, now_s: float) -> str:
    if key.revoked_at_s is not None:
        return "revoked"
    expires_at_s = key.rights.expires_at_s
    return "expired" if expires_at_s is not None and expires_at_s <= now_s else "active"


def _utc(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
