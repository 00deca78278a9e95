"""`bursar audit`: who changed what operators set, and when."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from bursar.cli.examples import examples
from bursar.cli.operating import ConfigOption, DataDirOption, JsonOption, print_json, read_settings

if TYPE_CHECKING:
    from bursar.domain.admin import AdminChange

audit_app = typer.Typer(
    help="Who changed budgets, stops, caps and keys, and when.", no_args_is_help=True, rich_markup_mode="rich"
)

# Keys are looked up by it; whoever reads the log has no use for it.
_LEFT_OUT = "secrets"


@audit_app.callback()
def audit() -> None:
    """Who changed budgets, stops, caps and keys, and when."""


@audit_app.command("list", epilog=examples("audit list"))
def show_all(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was set, changed and removed, the latest first, by command and over HTTP.

    Who made a change is the id of the key with which it was made, "api" for the operator's token, "cli:LOGIN"
    for a command, or what of Bursar's own made it.
    """
    settings = read_settings(config, data_dir)
    from pathlib import Path

    from bursar.adapters.admin.sqlite import SqliteAdmin

    admin = SqliteAdmin.open_existing(Path(settings.storage.dir))
    rows = [] if admin is None else [_row(change) for change in admin.changes(limit)]
    if as_json:
        print_json({"rows": rows})
    elif not rows:
        typer.echo("Nothing was ever changed.")
    else:
        _show(rows)


def _row(change: "AdminChange") -> dict[str, Any]:
    """Return a change for JSON; of keys without what they are looked up by."""
    from datetime import UTC, datetime

    before, after = _read(change.before), _read(change.after)
    fields = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {
        "version": change.version,
        "at": datetime.fromtimestamp(change.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": change.by,
        "kind": change.kind.value,
        "name": change.name,
        "what": "set" if change.before is None else "removed" if change.after is None else "changed",
        "fields": fields,
        "before": None if change.before is None else _shown(before),
        "after": None if change.after is None else _shown(after),
    }


def _read(content: str | None) -> dict[str, Any]:
    """Read an item's content; whatever is no object, or no JSON, is shown as it is."""
    if content is None:
        return {}
    try:
        read: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        read = content
    if not isinstance(read, dict):
        return {"content": read}
    return read  # pyright: ignore[reportUnknownVariableType] - What it holds is only shown.


def _shown(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != _LEFT_OUT}


def _show(rows: list[dict[str, Any]]) -> None:
    from bursar.cli.fitting import Column, show_fitted
    from bursar.cli.tables import console, minute

    columns = (
        Column("at"),
        Column("by", folds_to=8),
        Column("what"),
        Column("kind"),
        Column("name", folds_to=12),
        Column("fields", folds_to=10),
    )
    cells = [
        ([minute(row["at"]), row["by"], row["what"], row["kind"], row["name"], _fields(row)], None)
        for row in rows
    ]
    show_fitted(console(), "Changes", columns, cells, left_out_first=("fields", "kind"))


def _fields(row: dict[str, Any]) -> str:
    return ", ".join(row["fields"]) if row["what"] == "changed" else "–"
