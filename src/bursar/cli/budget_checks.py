"""`bursar budget reconcile` and `dry-run`: budgets against the ledger."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

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
from bursar.cli.operating import ConfigOption, DataDirOption, JsonOption, print_json, read_settings
from bursar.errors import CallerMistake

if TYPE_CHECKING:
    from bursar.adapters.ledger.sqlite import LedgerReader
    from bursar.replay.dry_run import DryRun

_IN_MEMORY = (
    "Counters are in the memory of bursar serve, so there is nothing to compare or mend from outside: it "
    "brings them to what the ledger says whenever it starts. bursar budget show goes by the ledger itself."
)


def reconcile(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Set counters to what the ledger says.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the counters in Redis with the ledger, and mend them where asked.

    Best at rest: counters on which calls are under way are shown, and left as they are.
    """
    settings = read_settings(config, data_dir)
    from bursar.cli.budget_screen import drift_object, show_drifts
    from bursar.cli.tables import console
    from bursar.wiring.overview import Overview

    overview = Overview(settings, time.time())
    if not overview.is_shared:
        if as_json:
            print_json({"store": "memory", "fixed": False, "drifts": [], "note": _IN_MEMORY})
        else:
            console().print(_IN_MEMORY)
        return
    drifts = overview.drifts(mends=fix)
    if as_json:
        print_json(
            {
                "store": "redis",
                "fixed": fix and any(not drift.is_moving for drift in drifts),
                "drifts": [drift_object(drift) for drift in drifts],
            }
        )
    else:
        show_drifts(console(), drifts, fixed=fix)


def dry_run(
    *,
    scope: ScopeOption,
    limit_usd: LimitUsdOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_turns: LimitTurnsOption = None,
    window: WindowOption = None,
    timezone: TimezoneOption = None,
    billing_day: BillingDayOption = None,
    ladder: LadderOption = None,
    grace: GraceOption = None,
    since: Annotated[
        str, typer.Option(help="Calls from then on: 2026-11-01, 7d, 24h. UTC unless it says.")
    ] = "30d",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a limit would have refused, by the ledger's calls in the order of time.

    A refused call takes nothing, so that later ones may fit. Calls are judged by what they took; a live limit
    holds what each may take at most, and so stops a little earlier.
    """
    settings = read_settings(config, data_dir)
    table = {
        "scope": scope,
        "limit_usd": limit_usd,
        "limit_tokens": limit_tokens,
        "limit_turns": limit_turns,
        "window": window,
        "timezone": timezone,
        "billing_day": billing_day,
        "grace": grace,
    }
    (budget,) = read_budgets(table, ladder)
    from pathlib import Path

    from bursar.adapters.ledger.sqlite import LedgerReader
    from bursar.cli.budget_screen import show_dry_run
    from bursar.cli.report import read_time
    from bursar.cli.tables import console
    from bursar.replay.dry_run import DryRun

    since_s = read_time(since, time.time(), option="--since")
    if since_s is None:
        raise CallerMistake("--since: names no time; write a date (2026-11-01) or a span back from now (30d)")
    trial = DryRun(budget, since_s)
    asyncio.run(_make_again(trial, LedgerReader.open(Path(settings.storage.dir))))
    if as_json:
        print_json(trial.as_object())
    else:
        show_dry_run(console(), trial)


async def _make_again(trial: "DryRun", ledger: "LedgerReader") -> None:
    for entry in ledger.entries(since_s=float(trial.begins_s)):
        await trial.look(entry)
