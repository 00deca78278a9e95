"""`[[budgets]]` of bursar.toml: what scopes may take, and what happens on the way there.

A table limits one unit over one window (`limit_usd`, `limit_tokens` or `limit_turns`), or what may come at
once (`requests_per_minute`, `tokens_per_minute`, `concurrent_calls`), or both. Stored budgets have the same
keys.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bursar.domain.budgets import (
    GRACE_PER_MILLE,
    LIMIT_MAX,
    Action,
    ActionKind,
    Budget,
    Step,
    default_ladder,
)
from bursar.domain.calendars import Calendar
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Period, Unit
from bursar.domain.scopes import ScopeKind, ScopePattern, read_pattern
from bursar.errors import BadSetting
from bursar.settings.sections import Section
from bursar.settings.values import PositiveUsd, Share, check_label, find_zone, read_per_mille, wrong

# What is wrong with one value is told with the value, what is wrong with a table as a whole without.
_VALUE = "value"
_TABLE = "budget"
_AT_MAX_PER_MILLE = 2 * PER_MILLE
_REFUSALS = frozenset({ActionKind.REFUSE, ActionKind.REFUSE_NEW})

LIMITS = {"limit_usd": Unit.NUSD, "limit_tokens": Unit.TOKENS, "limit_turns": Unit.TURNS}
"""What is limited over a window, by the key that says so."""

RATES = {
    "requests_per_minute": (Unit.REQUESTS, Period.MINUTE),
    "tokens_per_minute": (Unit.TOKENS, Period.MINUTE),
    "concurrent_calls": (Unit.OPEN_CALLS, Period.TOTAL),
}
"""What may come at once, likewise."""


def _read_count(value: Any) -> int:
    """Read a count; a fraction is refused even where it is whole, since it may have lost digits."""
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text) <= LIMIT_MAX:
        raise wrong(_VALUE, f"Input should be a whole number from 1 to {LIMIT_MAX}")
    return int(text)


Count = Annotated[int, BeforeValidator(_read_count)]


def _read_at(value: Any) -> int:
    per_mille = read_per_mille(value)
    if per_mille is None or not 0 < per_mille <= _AT_MAX_PER_MILLE:
        raise wrong(
            _VALUE,
            "Input should be a share of the limit with up to three places, above 0 up to 2, such as 0.8",
        )
    return per_mille


def _check_scope(text: str) -> str:
    try:
        pattern = read_pattern(text)
    except BadSetting as error:
        raise wrong(_VALUE, str(error)) from None
    for label in (pattern.tenant, pattern.name):
        if label is not None:
            check_label(label)
    return text


def _check_zone(name: str) -> str:
    try:
        find_zone(name)
    except BadSetting as error:
        raise wrong(_VALUE, str(error)) from None
    return name


def _check_action(text: str) -> str:
    _action(text)
    return text


def _action(text: str) -> Action:
    name, colon, notifier = text.partition(":")
    known = [kind.value for kind in ActionKind if kind is not ActionKind.NOTIFY]
    if name == ActionKind.NOTIFY and notifier:
        return Action(ActionKind.NOTIFY, check_label(notifier))
    if colon or name not in known:
        raise wrong(_VALUE, f"there is no such action; known are notify:NAME, {', '.join(known)}")
    return Action(ActionKind(name))


class LadderEntry(Section):
    """One step of `ladder`.

    Attributes:
        at: Share of the limit at which it begins.
        actions: What is done from there on.
    """

    at: Annotated[int, BeforeValidator(_read_at)]
    actions: tuple[Annotated[str, AfterValidator(_check_action)], ...]

    @model_validator(mode="after")
    def _check_actions(self) -> "LadderEntry":
        step = self.step()
        if not step.actions:
            raise wrong(_TABLE, "a step does nothing; name an action, or remove it")
        if len(set(step.actions)) < len(step.actions):
            raise wrong(_TABLE, "an action stands twice in one step; write it once")
        if self.at > PER_MILLE and any(step.does(kind) for kind in _REFUSALS):
            raise wrong(
                _TABLE,
                "refuse and refuse_new come at the limit at the latest (at = 1.0); raise the limit itself",
            )
        return self

    def step(self) -> Step:
        """Return it as budgets hold it."""
        return Step(self.at, tuple(_action(text) for text in self.actions))


def _check_ladder_list(value: Any) -> Any:
    if value is not None and not isinstance(value, list | tuple):
        raise wrong(_VALUE, "write [] for none, or a list of { at, actions }")
    return value  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.


class BudgetEntry(Section):
    """One table of `[[budgets]]`.

    Attributes:
        scope: Whom it is for: `organisation`, or a kind with a name, or with `*` for each of its own.
        limit_usd: Money, as text or a whole number; read as nanodollars.
        limit_tokens: All tokens of a call, of every class.
        limit_turns: Calls that were answered.
        requests_per_minute: Calls in one minute, answered or not.
        tokens_per_minute: Tokens in one minute.
        concurrent_calls: Calls under way.
        window: Over what the limit counts; a conversation's counts in total by default.
        timezone: IANA name of the zone in which days, weeks and months begin; default UTC.
        billing_day: Day on which months begin; default 1.
        ladder: Its steps, rising. Absent: the default ladder for a month's money of the organisation or a
            tenant, none for all others.
        grace: How much further calls of active conversations may go where new ones are refused; default 0.05.
    """

    scope: Annotated[str, AfterValidator(_check_scope)]
    limit_usd: PositiveUsd | None = None
    limit_tokens: Count | None = None
    limit_turns: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_calls: Count | None = None
    window: Literal["hour", "day", "week", "month", "total"] | None = None
    timezone: Annotated[str, AfterValidator(_check_zone)] | None = None
    billing_day: Annotated[int, Field(ge=1, le=31)] | None = None
    ladder: Annotated[tuple[LadderEntry, ...] | None, BeforeValidator(_check_ladder_list)] = None
    grace: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_missing_scope(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and "scope" not in table:
            raise wrong(_TABLE, 'scope is missing; write whom it is for, such as scope = "tenant:acme"')
        return table  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.

    @property
    def pattern(self) -> ScopePattern:
        """Whom it is for."""
        return read_pattern(self.scope)

    @property
    def limited(self) -> tuple[str, ...]:
        """Those of its keys that limit something."""
        return tuple(key for key in (*LIMITS, *RATES) if getattr(self, key) is not None)

    @property
    def period(self) -> Period:
        """How long its window is."""
        return Period(self.window) if self.window is not None else Period.TOTAL

    @model_validator(mode="after")
    def _check_limits(self) -> "BudgetEntry":
        windowed = [key for key in self.limited if key in LIMITS]
        if len(windowed) > 1:
            raise wrong(_TABLE, f"holds both {' and '.join(windowed)}; write a table for each")
        if not self.limited:
            raise wrong(_TABLE, f"limits nothing; write one of {', '.join((*LIMITS, *RATES))}")
        if not windowed:
            self._check_idle()
        elif self.window is None and self.pattern.kind is not ScopeKind.CONVERSATION:
            raise wrong(_TABLE, f"says no window for {windowed[0]}; write hour, day, week, month or total")
        if self.billing_day is not None and self.window != Period.MONTH:
            raise wrong(_TABLE, 'billing_day counts for window = "month" only; remove it')
        return self

    def _check_idle(self) -> None:
        for key in ("window", "timezone", "billing_day", "ladder", "grace"):
            if getattr(self, key) is not None:
                raise wrong(_TABLE, f"{key} counts beside {', '.join(LIMITS)} only; remove it")

    @model_validator(mode="after")
    def _check_ladder(self) -> "BudgetEntry":
        for lower, higher in pairwise(self.ladder or ()):
            if higher.at <= lower.at:
                raise wrong(
                    _TABLE,
                    f"the steps of a ladder rise, but {_share(higher.at)} follows {_share(lower.at)}"
                    + ("; put their actions into one step" if higher.at == lower.at else "; sort them"),
                )
        return self

    def budgets(self) -> tuple[Budget, ...]:
        """Return the limits that it sets, each as a budget."""
        return tuple(self._each())

    def _each(self) -> Iterator[Budget]:
        for key in self.limited:
            limit: int = getattr(self, key)
            if key in RATES:
                yield Budget(self.pattern, RATES[key][0], limit, RATES[key][1])
                continue
            unit = LIMITS[key]
            zone = UTC if self.timezone is None else find_zone(self.timezone)
            yield Budget(
                pattern=self.pattern,
                unit=unit,
                limit=limit,
                period=self.period,
                calendar=Calendar(zone, self.billing_day or 1),
                ladder=default_ladder(self.pattern, unit, self.period)
                if self.ladder is None
                else tuple(entry.step() for entry in self.ladder),
                grace_per_mille=GRACE_PER_MILLE if self.grace is None else self.grace,
            )


def _share(per_mille: int) -> str:
    whole, rest = divmod(per_mille, PER_MILLE)
    return f"{whole}.{f'{rest:03d}'.rstrip('0') or '0'}"


def _check_array(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise wrong(_VALUE, "Input should be an array of tables; write [[budgets]] above each")
    return value  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.


def _check_apart(entries: tuple[BudgetEntry, ...]) -> tuple[BudgetEntry, ...]:
    """Refuse two limits on the same: which of them counts would depend on their order."""
    seen: dict[tuple[ScopePattern, Unit, Period], int] = {}
    for number, entry in enumerate(entries):
        for budget in entry.budgets():
            first = seen.setdefault((budget.pattern, budget.unit, budget.period), number)
            if first != number:
                raise wrong(
                    _TABLE,
                    f"{first} and {number} (counted from 0) both limit the {SAID[budget.unit]} of "
                    f"{budget.pattern} per {budget.period.value}; remove one",
                )
    return entries


SAID = {
    Unit.NUSD: "money",
    Unit.TOKENS: "tokens",
    Unit.TURNS: "turns",
    Unit.REQUESTS: "requests",
    Unit.OPEN_CALLS: "concurrent calls",
}
"""What a limit is on, in words."""


def budgets_of(entries: Iterable[BudgetEntry]) -> tuple[Budget, ...]:
    """Return all limits that tables set, in order."""
    return tuple(budget for entry in entries for budget in entry.budgets())


BudgetEntries = Annotated[
    tuple[BudgetEntry, ...], BeforeValidator(_check_array), AfterValidator(_check_apart)
]
"""`[[budgets]]`: no two limit the same unit of the same scopes over the same period."""
