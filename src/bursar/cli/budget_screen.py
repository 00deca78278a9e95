"""Budgets on the terminal, and their parts of `--json`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from bursar.cli.fitting import Column, show_fitted
from bursar.cli.tables import UNKNOWN, minute, places_for, titled_table, usd
from bursar.domain.reservations import Unit
from bursar.domain.scopes import ScopePattern
from bursar.policy.budgets.amount_texts import exact, spoken, spoken_limit, suffix_of
from bursar.policy.budgets.states import BudgetState

if TYPE_CHECKING:
    from bursar.adapters.budgets_rebuild import Drift
    from bursar.replay.dry_run import DryRun

_COLUMNS = (
    Column("scope", folds_to=16),
    Column("window"),
    *(Column(name, is_number=True) for name in ("used", "limit", "held", "used %", "forecast")),
    Column("alert", folds_to=13),
    Column("resets at", folds_to=10),
)
_LEFT_OUT_FIRST = ("forecast", "held", "used %", "resets at", "alert")


def fullest(states: Sequence[BudgetState], rows_max: int) -> list[BudgetState]:
    """Return all budgets of single scopes, and of each budget for several the scopes that used most of it."""
    kept: list[BudgetState] = []
    # Budgets are values that cannot be sorted; which one it is decides.
    order = {id(state.budget): number for number, state in enumerate(states)}
    by_budget = sorted(states, key=lambda state: order[id(state.budget)])
    for _, group in groupby(by_budget, key=lambda state: id(state.budget)):
        rows = sorted(group, key=_used, reverse=True)
        kept += rows if rows[0].budget.pattern.scope is not None else rows[:rows_max]
    return sorted(kept, key=_used, reverse=True)


def _used(state: BudgetState) -> tuple[int, str]:
    level = state.level
    return (level.settled + level.held) * 1_000_000 // state.budget.limit, state.counter.scope


def show_states(
    screen: Console, states: Sequence[BudgetState], stops: Mapping[ScopePattern, str], *, left_out: int
) -> None:
    """Show how budgets stand."""
    if states:
        rows = [(_cells(state), "red" if state.is_blocked else None) for state in states]
        show_fitted(screen, "Budgets", _COLUMNS, rows, left_out_first=_LEFT_OUT_FIRST)
    else:
        screen.print("No budget is in force here; bursar budget set makes one.")
    if left_out:
        screen.print(f"{left_out:,} more that have used less; --all shows them.", style="dim")
    for pattern, reason in stops.items():
        said = Text(f"Stopped: {pattern}", style="bold red")
        screen.print(said.append(f" ({reason})" if reason else "", style="not bold"))


def _cells(state: BudgetState) -> list[str]:
    unit, level, limit = state.budget.unit, state.level, state.budget.limit
    alert = state.alert
    reached = "" if alert is None else f"{alert.at_per_mille / 10:g} %"
    told = state.alert_state or ""
    return [
        state.counter.scope,
        state.budget.period.value,
        _amount(unit, level.settled, limit),
        _amount(unit, limit, limit),
        _amount(unit, level.held, limit) if level.held else UNKNOWN,
        state.usage_pct,
        UNKNOWN if state.forecast is None else _amount(unit, state.forecast, limit),
        " ".join(part for part in (reached, told, "blocked" if state.is_blocked else "") if part) or UNKNOWN,
        minute(state.resets_at),
    ]


def _amount(unit: Unit, amount: int, limit: int) -> str:
    return usd(amount, places_for((limit,))) if unit is Unit.NUSD else spoken(unit, amount)


def stops_object(stops: Mapping[ScopePattern, str]) -> list[dict[str, str]]:
    """Return what is stopped as `--json` gives it."""
    return [{"scope": str(pattern), "reason": reason} for pattern, reason in stops.items()]


def drift_object(drift: "Drift") -> dict[str, Any]:
    """Return a counter that differs from the ledger as `--json` gives it."""
    counter = drift.counter
    return {
        "scope": counter.scope,
        "unit": suffix_of(counter.unit),
        "window": counter.period.value,
        "starts_at": _utc(counter.start_s) if counter.end_s is not None else None,
        "counter": exact(counter.unit, drift.level.settled),
        "ledger": exact(counter.unit, drift.settled.amount),
        "unknown_calls": drift.settled.unknown_calls,
        "under_way": drift.is_moving,
    }


def show_drifts(screen: Console, drifts: Sequence["Drift"], *, fixed: bool) -> None:
    """Show counters that differ from the ledger."""
    if not drifts:
        screen.print("Every counter is what the ledger says.")
        return
    columns = (
        Column("scope", folds_to=16),
        Column("window"),
        Column("since", folds_to=10),
        Column("counter", is_number=True),
        Column("ledger", is_number=True),
    )
    rows = [(_drift_cells(drift), "dim" if drift.is_moving else None) for drift in drifts]
    moving = sum(drift.is_moving for drift in drifts)
    title = "Counters that differ from the ledger" + (", and are mended" if fixed and not moving else "")
    show_fitted(screen, title, columns, rows, left_out_first=("since",))
    if moving:
        screen.print(
            f"Calls are under way on {moving:,} of them (dim): that may be all the difference, and they are "
            f"left as they are. Ask again when these have ended."
        )
    if fixed and 0 < moving < len(drifts):
        screen.print(f"The other {len(drifts) - moving:,} are mended.")
    if not fixed and moving < len(drifts):
        screen.print("bursar budget reconcile --fix sets them to what the ledger says.")


def _drift_cells(drift: "Drift") -> list[str]:
    counter = drift.counter
    return [
        counter.scope,
        counter.period.value,
        minute(counter.start_s) if counter.end_s is not None else "ever",
        spoken(counter.unit, drift.level.settled),
        spoken(counter.unit, drift.settled.amount),
    ]


def show_dry_run(screen: Console, trial: "DryRun") -> None:
    """Show what a limit would have refused."""
    budget, refused = trial.budget, trial.refused
    limit = spoken_limit(budget.unit, budget.limit, budget.period)
    if trial.calls:
        said = (
            f"{budget.pattern} at {limit}: of {trial.calls:,} calls since {_utc(trial.since_s)} "
            f"({spoken(Unit.NUSD, trial.cost_nusd)}), {refused.calls:,} would have been refused "
            f"({spoken(Unit.NUSD, refused.cost_nusd)})."
        )
    else:
        said = f"{budget.pattern} at {limit}: no call of {budget.pattern} since {_utc(trial.since_s)}."
    screen.print(Text(said))
    if trial.refused_live:
        screen.print(
            f"Refused live in that time, and not in the sum: {trial.refused_live:,} more.", style="yellow"
        )
    if trial.unknown_calls and budget.unit is Unit.NUSD:
        screen.print(
            f"{trial.unknown_calls:,} calls of unknown cost take nothing here; they may have taken more.",
            style="yellow",
        )
    if not refused.calls:
        return
    table = titled_table("Refused")
    for name in ("tenant", "agent"):
        table.add_column(name)
    for name in ("calls", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    places = places_for((refused.cost_nusd,))
    for tenant, agent, each in trial.agents():
        first = UNKNOWN if each.first_at_s is None else _utc(each.first_at_s)
        table.add_row(tenant, agent, f"{each.calls:,}", usd(each.cost_nusd, places), first)
    screen.print(table)


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
