"""`bursar key`: virtual keys, and what they allow."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli.budget_flags import LimitTokensOption, LimitTurnsOption, LimitUsdOption, WindowOption
from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    open_admin,
    print_json,
    read_settings,
)
from bursar.settings import Settings

if TYPE_CHECKING:
    from bursar.wiring.keys import KeyDesk

key_app = typer.Typer(
    help="Virtual keys: who may call, as whom, and for what.", no_args_is_help=True, rich_markup_mode="rich"
)

_IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as bursar key list names it.")]


@key_app.callback()
def key() -> None:
    """Virtual keys: who may call, as whom, and for what."""


@key_app.command(epilog=examples("key create"))
def create(
    *,
    tenant: Annotated[str, typer.Option(help="The tenant that it is for; * for whichever the caller names.")],
    agent: Annotated[str | None, typer.Option(help="The only agent that it is for.")] = None,
    role: Annotated[str, typer.Option(help="agent: calls; reader: sees budgets; admin: both and more.")] = (
        "agent"
    ),
    models: Annotated[
        str | None, typer.Option(help='Only these, such as "claude-haiku-*,gpt-6-mini".')
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these, as x-bursar-task names them.")] = None,
    limit_usd: LimitUsdOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_turns: LimitTurnsOption = None,
    window: WindowOption = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: 90d, 12h, 2027-01-31 (UTC).")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once, here: only its hash is kept.

    A running server takes it up within about two seconds. From the first key on, calls without one are
    refused, unless bursar.toml says otherwise ([server] require_key).
    """
    said = {
        "tenant": tenant,
        "agent": agent,
        "role": role,
        "models": models,
        "tasks": tasks,
        "limit_usd": limit_usd,
        "limit_tokens": limit_tokens,
        "limit_turns": limit_turns,
        "window": window,
        "expires": expires,
    }
    desk = _desk(read_settings(config, data_dir))
    issued = desk.create({name: text for name, text in said.items() if text is not None})
    _tell(issued, "made", as_json=as_json)


@key_app.command("list", epilog=examples("key list"))
def list_(
    *, config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List all keys that were ever made; none of them can be shown again."""
    settings = read_settings(config, data_dir)
    from pathlib import Path

    from bursar.adapters.admin.sqlite import SqliteAdmin
    from bursar.cli.key_screen import show_keys
    from bursar.cli.tables import console
    from bursar.wiring.keys import KeyDesk

    admin = SqliteAdmin.open_existing(Path(settings.storage.dir))
    rows = [] if admin is None else KeyDesk(admin, act_now()).rows()
    if as_json:
        print_json({"rows": rows})
    else:
        show_keys(console(), rows)


@key_app.command(epilog=examples("key rotate"))
def rotate(
    key_id: _IdArgument,
    *,
    overlap: Annotated[
        str, typer.Option(help="How long the former is still taken; 0 ends it at once.")
    ] = "24h",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new secret in the place of a key's former one. Its id, rights, limits and spending stay.

    The new one is shown once, here. Where the former has leaked: --overlap 0.
    """
    issued = _desk(read_settings(config, data_dir)).rotate(key_id, overlap)
    _tell(issued, "rotated", as_json=as_json)


@key_app.command(epilog=examples("key revoke"))
def revoke(
    key_id: _IdArgument,
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key for good. A running server refuses it within about two seconds; calls under way go on."""
    done = _desk(read_settings(config, data_dir)).revoke(key_id)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{key_id} {'is' if done['changed'] else 'was already'} revoked")


def _desk(settings: Settings) -> "KeyDesk":
    from bursar.wiring.keys import KeyDesk

    return KeyDesk(open_admin(settings), act_now(), prefix="--")


def _tell(issued: dict[str, Any], done: str, *, as_json: bool) -> None:
    """Show a key for the only time: alone on standard output, so that a script can take it from there."""
    if as_json:
        print_json(issued)
        return
    typer.echo(issued["key"])
    typer.echo(
        f"bursar: {done}: {issued['id']}, role {issued['role']}, tenant {issued['tenant']}, agent "
        f"{issued['agent']}. Keep the key now: it is not shown again.",
        err=True,
    )
