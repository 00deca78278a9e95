"""`bursar stop` and `bursar resume`: the emergency brake."""

from typing import Annotated

import typer

from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    open_admin,
    print_json,
    read_scope_option,
    read_settings,
    used_directory,
)
from bursar.errors import CallerMistake

_ScopeArgument = Annotated[
    str, typer.Argument(metavar="SCOPE", help="organisation, tenant:acme, agent:acme/desk, agent:desk, …")
]


def stop(
    scope: _ScopeArgument,
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a scope at once: its calls are refused until it is resumed. Calls under way go on to their end.

    A running server takes it up within about a second. Works with a budget or without one,
    but only on a data directory that a server has used: elsewhere it would stop nothing.
    """
    settings = read_settings(config, data_dir)
    pattern = read_scope_option(scope, "SCOPE")
    from bursar.settings.stored import stop_item

    # Elsewhere nothing would be stopped, whatever is said here.
    used_directory(settings)
    change = open_admin(settings).put(stop_item(pattern, reason, act_now()))
    if as_json:
        print_json({"scope": str(pattern), "reason": reason, "stopped": True, "changed": change is not None})
    else:
        typer.echo(f"{pattern} is stopped; bursar resume {pattern} lets it go on")


def resume(
    scope: _ScopeArgument,
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a scope go on that was stopped."""
    settings = read_settings(config, data_dir)
    pattern = read_scope_option(scope, "SCOPE")
    from bursar.domain.admin import ItemKind

    used_directory(settings)
    admin, act = open_admin(settings), act_now()
    if admin.remove(ItemKind.STOP, str(pattern), act.by, act.at_s) is None:
        stopped = ", ".join(sorted(admin.read().items.get(ItemKind.STOP, {}))) or "nothing"
        raise CallerMistake(f"SCOPE: {pattern} is not stopped; stopped is: {stopped}")
    if as_json:
        print_json({"scope": str(pattern), "stopped": False, "changed": True})
    else:
        typer.echo(f"{pattern} goes on")
