"""`bursar tenant`: erasing what is kept of one."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    print_json,
    read_settings,
    used_directory,
)
from bursar.domain.attribution import ERASED
from bursar.errors import CallerMistake

if TYPE_CHECKING:
    from bursar.wiring.erasing import Eraser, Found

tenant_app = typer.Typer(
    help="Erasing what is kept of a tenant.", no_args_is_help=True, rich_markup_mode="rich"
)

_STORES = {
    "ledger": "calls in the ledger; their amounts stay in the organisation's sums, as nobody's",
    "content": "pieces of working content: kept answers, summaries, full tool results",
    "admin": "budgets, stops, caps, loops and keys, and entries in the log of changes to them",
    "alerts": "alerts, and messages of others' that name it",
    "anomalies": "findings of unusual spending",
    "counters": "counters in Redis",
}


@tenant_app.callback()
def tenant() -> None:
    """Erasing what is kept of a tenant."""


@tenant_app.command(epilog=examples("tenant erase"))
def erase(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The tenant, as bursar report names it.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase all that is kept of a tenant, for good; the organisation's sums stay what they are.

    A server that runs on the directory forgets what it has in memory; its virtual keys end. What bursar.toml
    says of the tenant is listed and stays. Nothing is left to be erased twice: it may be called again at any
    time, and after a failure must be.
    """
    settings = read_settings(config, data_dir)
    from bursar.wiring.erasing import Eraser

    used_directory(settings)
    if tenant_id == ERASED:
        raise CallerMistake(f"ID: {ERASED} stands for tenants that were erased; nothing is known of them")
    eraser = Eraser(settings, tenant_id, act_now())
    found = eraser.find()
    if not as_json:
        _show(tenant_id, found)
    if not dry_run and not found.is_nothing:
        if not yes:
            _ask(tenant_id, as_json=as_json)
        found = eraser.erase()
    if as_json:
        print_json(_object(eraser, found, is_dry_run=dry_run))
    elif not dry_run and any(found.counts.values()):
        typer.echo(f"{tenant_id} is erased; the log of changes calls it {eraser.name}.")


def _ask(tenant_id: str, *, as_json: bool) -> None:
    if as_json:
        raise CallerMistake("--json: nobody can be asked; say --yes to erase, or --dry-run to look")
    typer.confirm(f"Erase all this of {tenant_id}, for good?", abort=True)


def _show(tenant_id: str, found: "Found") -> None:
    for store, count in found.counts.items():
        if count:
            typer.echo(f"{count:>9,}  {_STORES[store]}")
    if found.is_nothing:
        at_s = found.erased_at_s
        when = (
            ""
            if at_s is None
            else f"; it was erased at {datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"
        )
        typer.echo(f"Nothing is kept of {tenant_id}{when}.")
    if found.under_way:
        typer.echo(f"{found.under_way:>9,}  calls under way, which have to end first")
    for place in found.left:
        typer.echo(f"left: {place} in bursar.toml; remove it there, and restart bursar serve")


def _object(eraser: "Eraser", found: "Found", *, is_dry_run: bool) -> dict[str, Any]:
    return {
        "tenant": eraser.tenant,
        "name_in_log": eraser.name,
        "dry_run": is_dry_run,
        "erased": dict(found.counts),
        "left": list(found.left),
        "under_way": found.under_way,
    }
