"""`bursar conversation`: letting one go on that its cap or a loop has stopped."""

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

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
from bursar.settings import Settings

if TYPE_CHECKING:
    from bursar.domain.reservations import Unit
    from bursar.domain.scopes import Scope
    from bursar.policy.budgets.states import BudgetState

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
    tenant: Annotated[
        str | None, typer.Option(help=f"Whose conversation it is; without it, {DEFAULT}'s.")
    ] = None,
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
    from bursar.domain.scopes import Scope, ScopeKind
    from bursar.settings.stored import read_limits

    said = {"limit_usd": limit_usd, "limit_tokens": limit_tokens, "limit_turns": limit_turns}
    table = {key: text for key, text in said.items() if text is not None}
    limits = read_limits(table, "the new cap") if table else {}
    scope = Scope(ScopeKind.CONVERSATION, DEFAULT if tenant is None else tenant, name)
    try:
        forgiven, states = _let_go_on(settings, scope, limits, force=force)
    except CallerMistake as mistake:
        others = _stopped_tenants(settings, name) - {DEFAULT} if tenant is None else set[str]()
        if len(others) != 1:
            raise
        raise CallerMistake(
            f"{mistake}. A conversation {name} of tenant {(other := others.pop())} is stopped: did you mean "
            f"--tenant {shlex.quote(other)}?"
        ) from None
    if as_json:
        print_json({"rows": [state.as_object() for state in states]})
        return
    if forgiven:
        typer.echo(f"{scope} goes on: the loop that it was stopped for is forgiven.")
    if forgiven and not limits:
        _tell_of_caps(states)
        return
    from bursar.cli.budget_screen import show_states
    from bursar.cli.tables import console

    show_states(console(), states, {}, left_out=0)


def _let_go_on(
    settings: Settings, scope: "Scope", limits: "Mapping[Unit, int]", *, force: bool
) -> "tuple[bool, Sequence[BudgetState]]":
    """Forgive a conversation's loop, raise its caps, and say whether there was a loop, and how caps stand."""
    from bursar.domain.scopes import ScopePattern
    from bursar.policy.budgets.caps import how_to_raise_caps, raise_caps
    from bursar.settings.stored import cap_item
    from bursar.settings.stored_loops import resumed_item
    from bursar.wiring.caps import was_refused
    from bursar.wiring.overview import Overview

    pattern = ScopePattern.only(scope)
    admin = open_admin(settings)
    looped = resumed_item(admin.read(), scope, act_now())
    before = Overview(settings, time.time())
    if looped is not None:
        admin.put(looped)
    elif not limits:
        how = how_to_raise_caps(before.states(pattern)) or (
            "to raise its cap, name one of --limit-usd, --limit-tokens and --limit-turns"
        )
        raise CallerMistake(f"{scope} was not stopped for a loop; {how}")
    if limits:
        refused = was_refused(before.last_call(scope))
        caps = raise_caps(scope, before.states(pattern), limits, was_refused=refused, force=force)
        admin.put(cap_item(before.counts, before.state, scope, caps, act_now()))
    return looped is not None, Overview(settings, time.time()).states(pattern)


def _tell_of_caps(states: "Sequence[BudgetState]") -> None:
    """Say what still stops a conversation whose loop is forgiven."""
    from bursar.policy.budgets.caps import how_to_raise_caps

    reached = [state for state in states if state.level.settled + state.level.held >= state.budget.limit]
    how = how_to_raise_caps(reached)
    if how:
        typer.echo(f"But it is still stopped by a cap: {how}.")


def _stopped_tenants(settings: Settings, name: str) -> set[str]:
    """Return the tenants of which a conversation of a name is stopped, by a loop or a cap."""
    from bursar.domain.scopes import ScopeKind, ScopePattern, read_scope
    from bursar.settings.stored_loops import read_loop_stops
    from bursar.wiring.caps import was_refused
    from bursar.wiring.overview import Overview

    overview = Overview(settings, time.time())
    found = {
        stop.tenant
        for stop in read_loop_stops(overview.state)
        if stop.conversation == name and not stop.is_resumed
    }
    for state in overview.states(ScopePattern(ScopeKind.CONVERSATION, None, name)):
        scope = read_scope(state.counter.scope)
        if state.is_blocked or was_refused(overview.last_call(scope)):
            found.add(scope.tenant)
    return found
