"""What budgets do, in words for the operator, and what is probably not meant in them."""

from collections.abc import Collection, Iterator
from datetime import UTC

from bursar.domain.budgets import ActionKind, Budget
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Period, Unit
from bursar.policy.budgets.amount_texts import percent, spoken_limit
from bursar.settings import Settings
from bursar.settings.budgets import BudgetEntry
from bursar.settings.explaining import as_key
from bursar.settings.notify import unknown_notifiers

_BY_MIDNIGHT = frozenset({Period.DAY, Period.WEEK, Period.MONTH})
_REFUSALS = frozenset({ActionKind.REFUSE, ActionKind.REFUSE_NEW})

Doubt = tuple[str, str, str]
"""Place, problem and mend of a remark."""


def limit_meaning(budget: Budget) -> str:
    """Say what a budget limits: `$500.00 a month (Europe/Berlin, from the 5th)`."""
    said = spoken_limit(budget.unit, budget.limit, budget.period)
    if budget.period not in _BY_MIDNIGHT:
        return said
    zone, day = budget.calendar.zone, budget.calendar.billing_day
    where = "UTC" if zone is UTC else str(zone)
    return f"{said} ({where}, from day {day})" if day != 1 else f"{said} ({where})"


def ladder_meaning(budget: Budget) -> str:
    """Say what happens on the way to a budget's limit, and at it."""
    parts = [
        f"at {percent(step.at_per_mille)}: {', '.join(said)}"
        for step in budget.ladder
        if (said := [str(action) for action in step.actions if action.kind not in _REFUSALS])
    ]
    parts.append(_refusal(budget))
    return "; ".join(parts)


def _refusal(budget: Budget) -> str:
    hard = percent(budget.hard_limit * PER_MILLE // budget.limit)
    if budget.new_limit is None:
        return f"no call beyond {hard}"
    new = percent(budget.new_limit * PER_MILLE // budget.limit)
    return f"no new conversation's call beyond {new}, none of an active one beyond {hard}"


def doubts_about_budgets(settings: Settings) -> Iterator[Doubt]:
    """Yield what in the budgets does nothing, or not what it says."""
    for number, entry in enumerate(settings.budgets):
        yield from _about_entry(f"budgets.{number}", entry, settings.notify)
    limits_money = any(entry.limit_usd is not None for entry in settings.budgets)
    admits = settings.unpriced == "admit"
    if settings.unpriced_worst_case_usd is not None and not admits:
        yield (
            "unpriced_worst_case_usd",
            "does nothing while calls to models without a price are refused",
            'set unpriced = "admit", or remove this',
        )
    if admits and limits_money and settings.unpriced_worst_case_usd is None:
        yield (
            "unpriced",
            "where a budget limits money, calls to models without a price are refused all the same",
            "set unpriced_worst_case_usd",
        )


def _about_entry(place: str, entry: BudgetEntry, notifiers: Collection[str]) -> Iterator[Doubt]:
    for budget in entry.budgets():
        steps = budget.ladder
        names = list(unknown_notifiers((budget,), notifiers))
        if names:
            by_default = " that it has by default" if entry.ladder is None else ""
            tables = " and ".join(f"[notify.{as_key(name)}]" for name in names)
            yield (
                f"{place}.ladder",
                f"nobody is told at the steps{by_default}: no such notifier is set up ({', '.join(names)})",
                f"add {tables}",
            )
        if entry.grace is not None and not any(step.does(ActionKind.REFUSE_NEW) for step in steps):
            yield f"{place}.grace", "does nothing without a step that says refuse_new", "remove it"
        idle = entry.timezone is not None and budget.period not in _BY_MIDNIGHT
        if idle and budget.unit in {Unit.NUSD, Unit.TOKENS, Unit.TURNS} and budget.period is entry.period:
            yield (
                f"{place}.timezone",
                "does nothing for this window: only days, weeks and months begin at midnight",
                "remove it",
            )
