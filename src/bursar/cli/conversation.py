"""`bursar conversation`: letting one go on that its cap or a loop has stopped."""

import time
from typing import Annotated

import typer

from bursar.cli.budget_flags import LimitTokensOption, LimitTurnsOption, LimitUsdOption
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
from bursar.domain.attribution import DEFAULT
from bursar.errors import CallerMistake

conversation_app = typer.Typer(
    help="Letting a conversation go on that its cap or a loop has stopped.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@conversation_app.callback()
def conversation() -> None:
    """Letting a conversation go on that its cap or a loop has stopped."""


@conversation_app.command(epilog=examples("conversation resume"))
def resume(
    name: Annotated[str, typer.Argument(metavar="ID", help="The conversation, as x-bursar-conversation.")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose conversation it is.")] = DEFAULT,
    limit_usd: LimitUsdOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_turns: LimitTurnsOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if no cap stops it, or its cap does not rise.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a conversation go on: after a loop, or beyond the cap that has stopped it.

    After a loop no limit needs to be named. A cap is raised for that conversation alone, and it goes on
    where it stopped; a running server takes either up within about two seconds. Where its caps come from
    bursar.toml, name that with --config.
    """
    settings = read_settings(config, data_dir)
    from bursar.cli.budget_screen import show_states
    from bursar.cli.tables import console
    from bursar.domain.scopes import Scope, ScopeKind, ScopePattern
    from bursar.policy.budgets.caps import raise_caps
    from bursar.settings.stored import cap_item, read_limits
    from bursar.settings.stored_loops import resumed_item
    from bursar.wiring.caps import was_refused
    from bursar.wiring.overview import Overview

    said = {"limit_usd": limit_usd, "limit_tokens": limit_tokens, "limit_turns": limit_turns}
    table = {key: text for key, text in said.items() if text is not None}
    scope = Scope(ScopeKind.CONVERSATION, tenant, name)
    limits = read_limits(table, "the new cap") if table else {}
    admin = open_admin(settings)
    looped = resumed_item(admin.read(), scope, act_now())
    if looped is None and not limits:
        raise CallerMistake(
            f"{scope} was not stopped for a loop; to raise its cap, name one of --limit-usd, "
            "--limit-tokens and --limit-turns"
        )
    if looped is not None:
        admin.put(looped)
        if not as_json:
            typer.echo(f"{scope} goes on: the loop that it was stopped for is forgiven.")
            if not limits:
                return
    pattern = ScopePattern.only(scope)
    if limits:
        before = Overview(settings, time.time())
        caps = raise_caps(
            scope,
            before.states(pattern),
            limits,
            was_refused=was_refused(before.last_call(scope)),
            force=force,
        )
        admin.put(cap_item(before.counts, before.state, scope, caps, act_now()))
    states = Overview(settings, time.time()).states(pattern)
    if as_json:
        print_json({"rows": [state.as_object() for state in states]})
    else:
        show_states(console(), states, {}, left_out=0)
