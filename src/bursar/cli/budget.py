"""`bursar budget`: how budgets stand, and setting them while the server runs."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bursar.cli.budget_checks import dry_run, reconcile
from bursar.cli.budget_flags import (
    BillingDayOption,
    GraceOption,
    LadderOption,
    LimitTokensOption,
    LimitTurnsOption,
    LimitUsdOption,
    ScopeOption,
    TimezoneOption,
    WindowOption,
    read_budgets,
)
from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    open_admin,
    print_json,
    read_scope_option,
    read_settings,
)
from bursar.errors import CallerMistake
from bursar.settings import Settings

if TYPE_CHECKING:
    from bursar.domain.budgets import Budget

budget_app = typer.Typer(
    help="How budgets stand, and setting them while the server runs.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_ROWS_OF_PATTERN_MAX = 50


@budget_app.callback()
def budget() -> None:
    """How budgets stand, and setting them while the server runs."""


@budget_app.command(epilog=examples("budget show"))
def show(
    *,
    scope: Annotated[
        str | None, typer.Option(help="Of these only, such as tenant:acme or agent:acme/*.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"Every scope of a pattern, not the {_ROWS_OF_PATTERN_MAX} fullest.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how budgets stand: used, held for calls under way, and where they are heading.

    Reads ledger and journals beside a running server or without one, or Redis where calls are held there.
    Budgets for several scopes, such as tenant:*, have a row for each that has used anything.
    """
    settings = read_settings(config, data_dir)
    pattern = None if scope is None else read_scope_option(scope, "--scope")
    from bursar.cli.budget_screen import fullest, show_states, stops_object
    from bursar.cli.tables import console
    from bursar.wiring.overview import Overview

    overview = Overview(settings, time.time())
    states = overview.states(pattern)
    shown = states if every else fullest(states, _ROWS_OF_PATTERN_MAX)
    stops = overview.counts.stops
    if as_json:
        rows = [{**state.as_object(), "alert_state": state.alert_state} for state in shown]
        print_json({"rows": rows, "stops": stops_object(stops)})
    else:
        show_states(console(), shown, stops, left_out=len(states) - len(shown))


@budget_app.command("set", epilog=examples("budget set"))
def set_(
    *,
    scope: ScopeOption,
    limit_usd: LimitUsdOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_turns: LimitTurnsOption = None,
    requests_per_minute: Annotated[str | None, typer.Option(help="Calls in one minute.")] = None,
    tokens_per_minute: Annotated[str | None, typer.Option(help="Tokens in one minute.")] = None,
    concurrent_calls: Annotated[str | None, typer.Option(help="Calls under way at once.")] = None,
    window: WindowOption = None,
    timezone: TimezoneOption = None,
    billing_day: BillingDayOption = None,
    ladder: LadderOption = None,
    grace: GraceOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a budget, in the place of one for the same scope, unit and window.

    A running server takes it up within about two seconds. What bursar.toml itself limits is changed there;
    name that with --config, so that this is seen. A limit below what is used already refuses from the start.
    """
    settings = read_settings(config, data_dir)
    budgets = read_budgets(
        {
            "scope": scope,
            "limit_usd": limit_usd,
            "limit_tokens": limit_tokens,
            "limit_turns": limit_turns,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "concurrent_calls": concurrent_calls,
            "window": window,
            "timezone": timezone,
            "billing_day": billing_day,
            "grace": grace,
        },
        ladder,
    )
    from bursar.settings.budget_meanings import ladder_meaning, limit_meaning
    from bursar.settings.budgets import budgets_of
    from bursar.settings.stored import budget_item, in_force, refuse_owned, replaced_by, table_of

    counts = in_force(budgets_of(settings.budgets), None)
    for each in budgets:
        refuse_owned(counts, each)
    _warn_of_notifiers(budgets, settings)
    admin, act = open_admin(settings), act_now()
    before = admin.read()
    replaced = [replaced_by(before, each) for each in budgets]
    changes = [admin.put(budget_item(each, act)) for each in budgets]
    if as_json:
        print_json(
            {
                "budgets": [table_of(each) for each in budgets],
                "changed": [change is not None for change in changes],
                "was": [None if each is None else table_of(each) for each in replaced],
            }
        )
        return
    for each, change, former in zip(budgets, changes, replaced, strict=True):
        done = "set" if change is not None else "was set already"
        typer.echo(f"{done}: {each.pattern}: {limit_meaning(each)}; {ladder_meaning(each)}")
        if former is not None and change is not None:
            typer.echo(f"was: {limit_meaning(former)}; {ladder_meaning(former)}")


def _warn_of_notifiers(budgets: "Sequence[Budget]", settings: Settings) -> None:
    """Say whom ladders tell in vain."""
    from bursar.settings.explaining import as_key
    from bursar.settings.notify import unknown_notifiers

    names = list(unknown_notifiers(budgets, settings.notify))
    if names:
        tables = " and ".join(f"[notify.{as_key(name)}]" for name in names)
        typer.echo(
            f"bursar: warning: nobody is told at steps of its ladder: no such notifier is set up "
            f"({', '.join(names)}); add {tables} to bursar.toml, and name that with --config, or set another "
            f"--ladder",
            err=True,
        )


@budget_app.command(epilog=examples("budget unset"))
def unset(
    *,
    scope: ScopeOption,
    window: WindowOption = None,
    unit: Annotated[
        str | None, typer.Option(help="Only this one: usd, tokens, turns, requests or calls.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove budgets of a scope that were set by command: all of them, or those of a window or unit."""
    settings = read_settings(config, data_dir)
    pattern = read_scope_option(scope, "--scope")
    from bursar.policy.budgets.amount_texts import suffix_of
    from bursar.settings.stored import removals, spoken_name, stored_budgets, table_of

    admin = open_admin(settings)
    state = admin.read()
    stored = stored_budgets(state)
    found = [
        each
        for each in stored
        if each.pattern == pattern
        and window in {None, each.period.value}
        and unit in {None, suffix_of(each.unit)}
    ]
    if not found:
        known = ", ".join(spoken_name(each) for each in stored) or "none"
        raise CallerMistake(f"--scope: no such budget of {pattern} was set by command; set are: {known}")
    act = act_now()
    for kind, name, item in removals(state, found, act):
        if item is None:
            admin.remove(kind, name, act.by, act.at_s)
        else:
            admin.put(item)
    if as_json:
        print_json({"removed": [table_of(each) for each in found]})
        return
    for each in found:
        typer.echo(f"removed: {spoken_name(each)}")


budget_app.command(epilog=examples("budget reconcile"))(reconcile)
budget_app.command("dry-run", epilog=examples("budget dry-run"))(dry_run)
