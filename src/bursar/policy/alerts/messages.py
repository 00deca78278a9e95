"""What people are told when a budget has reached a step: plain text, made of names and amounts only.

Nothing of a prompt, an answer or a key is ever in it: those are no part of `Facts`.
"""

import shlex
from collections.abc import Iterator

import msgspec

from bursar.domain.alerts import Alert, Message
from bursar.domain.budgets import ActionKind
from bursar.domain.calendars import Calendar
from bursar.domain.money import NUSD_PER_USD, divide_half_even
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Unit
from bursar.policy.budgets.amount_texts import percent, spoken, spoken_limit, suffix_of
from bursar.policy.budgets.states import forecast

_HOUR_S = 3600
_NUSD_PER_CENT = NUSD_PER_USD // 100

# A limit that is reached in years from now needs no date.
_FAR_S = 5 * 366 * 86_400

# Names come from callers; a mail's subject is one short line.
_NAME_CHARS_MAX = 80

_EFFECTS = {
    ActionKind.PREFER_CHEAPER.value: "cheaper models are preferred",
    ActionKind.THROTTLE.value: "calls are throttled",
    ActionKind.REFUSE_NEW.value: "new conversations are refused",
    ActionKind.REFUSE.value: "calls are refused",
}


class Driver(msgspec.Struct, frozen=True):
    """Something that took a part of what was settled.

    Attributes:
        name: Its name; empty where calls had none.
        amount: What it took in the window, in the unit of the budget.
    """

    name: str
    amount: int


class Facts(msgspec.Struct, frozen=True):
    """What is known around a crossing, from the ledger.

    Attributes:
        last_hour: What was settled in the hour before; None where the ledger could not say.
        drivers: What took most in the window, by what it is ("agents"), the most first; what could not be
            read is absent.
    """

    last_hour: int | None = None
    drivers: tuple[tuple[str, tuple[Driver, ...]], ...] = ()


def write_message(alert: Alert, facts: Facts, calendar: Calendar, raising: str = "") -> Message:
    """Write what is told of an alert.

    Args:
        alert: The alert.
        facts: What is known around it.
        calendar: In whose time zone times are said.
        raising: How its limit is raised; empty where the budget is not known, for the command in general.
    """
    counter = alert.counter
    scope, limit = one_line(counter.scope), spoken_limit(counter.unit, alert.limit, counter.period)
    lines = [
        *_amounts(alert, calendar),
        *_effects(alert),
        "",
        *_pace(alert, facts, calendar),
        *_drivers(alert, facts),
        "",
        *_remedies(alert, raising),
    ]
    return Message(f"Bursar: {scope} has used {percent(alert.at_per_mille)} of {limit}", "\n".join(lines))


def sample_message(notifier: str) -> Message:
    """Write what `bursar alert test` sends."""
    return Message(
        f"Bursar: a test of notifier {one_line(notifier)}",
        "Nothing has happened. Whoever reads this is told when a budget reaches a step that says "
        f"notify:{one_line(notifier)}.",
    )


def one_line(text: str, chars_max: int = _NAME_CHARS_MAX) -> str:
    """Return a text as it may stand in a line: callers choose names, and could write lines of their own."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= chars_max else f"{printable[: chars_max - 1]}…"


def _said(unit: Unit, amount: int) -> str:
    """Write an amount; from a dollar up, to the cent."""
    if unit is Unit.NUSD and amount >= NUSD_PER_USD:
        amount = divide_half_even(amount, _NUSD_PER_CENT) * _NUSD_PER_CENT
    return spoken(unit, amount)


def _amounts(alert: Alert, calendar: Calendar) -> Iterator[str]:
    counter = alert.counter
    used = percent(alert.settled * PER_MILLE // alert.limit)
    limit = spoken_limit(counter.unit, alert.limit, counter.period)
    yield f"{one_line(counter.scope)} has used {_said(counter.unit, alert.settled)} of {limit} ({used})."
    if counter.end_s is not None:
        yield f"The window: {calendar.text(counter.start_s)} to {calendar.text(counter.end_s)}."


def _effects(alert: Alert) -> Iterator[str]:
    effects = [_EFFECTS[action] for action in alert.actions if action in _EFFECTS]
    if effects:
        yield f"From here on {' and '.join(effects)}."


def _pace(alert: Alert, facts: Facts, calendar: Calendar) -> Iterator[str]:
    unit, now_s = alert.counter.unit, alert.crossed_at_s
    if facts.last_hour is not None:
        yield f"In the last hour: {_said(unit, facts.last_hour)}."
    ahead = forecast(alert.counter, alert.settled, now_s)
    if ahead is not None:
        yield f"By the window's end, at the pace since it began: {_said(unit, ahead)}."
    if alert.settled >= alert.limit:
        yield "The limit has been reached."
    elif facts.last_hour:
        yield f"At the last hour's rate, {_reached(alert, facts.last_hour, _HOUR_S, calendar)}."
    elif ahead is not None and alert.settled > 0:
        passed_s = int(now_s) - alert.counter.start_s
        yield f"At the pace since the window began, {_reached(alert, alert.settled, passed_s, calendar)}."


def _reached(alert: Alert, amount: int, in_s: int, calendar: Calendar) -> str:
    """Say when the limit is reached if so much is settled in so many seconds."""
    at_s = int(alert.crossed_at_s) - (alert.settled - alert.limit) * in_s // amount
    end_s = alert.counter.end_s
    if end_s is not None and at_s >= end_s:
        return "the limit is not reached before the window ends"
    if at_s - alert.crossed_at_s > _FAR_S:
        return "the limit is not reached for years"
    return f"the limit is reached about {calendar.text(at_s)}"


def _drivers(alert: Alert, facts: Facts) -> Iterator[str]:
    for what, drivers in facts.drivers:
        said = [
            f"{one_line(driver.name) or 'unnamed'} ({_said(alert.counter.unit, driver.amount)})"
            for driver in drivers
        ]
        if said:
            yield f"Most by {what}: {', '.join(said)}."


def _remedies(alert: Alert, raising: str) -> Iterator[str]:
    counter = alert.counter
    # A name that could not be pasted into a shell is left for people to find.
    scope = shlex.quote(counter.scope) if counter.scope.isprintable() else "SCOPE"
    yield f"To look: bursar budget show --scope {scope}"
    yield "To see who spends: bursar report --by agent,conversation --since 24h"
    if not raising or not raising.isprintable():
        raising = (
            f"bursar budget set --scope {scope} --limit-{suffix_of(counter.unit)} N "
            f"--window {counter.period.value}"
        )
    yield f"To raise the limit: {raising}"
    yield f"To stop all its calls: bursar stop {scope}"
    yield f"To say that you look after it: bursar alert ack {alert.alert_id}"
