"""Budgets and stops that operators set while the gateway runs: as the admin store keeps them, and in force.

A stored budget is a table of the form of `[[budgets]]`, with one limit. A conversation's own limits are an
array of such tables. What bursar.toml says of the same scopes, unit and window goes before them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, TypeVar

import msgspec

from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.budgets import GRACE_PER_MILLE, Budget
from bursar.domain.money import usd_text
from bursar.domain.prices import PER_MILLE
from bursar.domain.reservations import Period, Unit
from bursar.domain.scopes import Scope, ScopePattern, read_pattern
from bursar.errors import BadSetting, StoreFailed
from bursar.policy.budgets.amount_texts import suffix_of
from bursar.settings import parse_budget
from bursar.settings.budgets import LIMITS, RATES, SAID, budgets_of

T = TypeVar("T")

_TABLES: msgspec.json.Decoder[dict[str, Any] | list[dict[str, Any]]] = msgspec.json.Decoder(
    dict[str, Any] | list[dict[str, Any]]
)
_STOP = msgspec.json.Decoder(dict[str, str])

Key = tuple[ScopePattern, Unit, Period]
"""What no two budgets in force share."""

_LIMIT_KEYS = {unit: key for key, unit in LIMITS.items()}
_RATE_KEYS = {unit_and_period: key for key, unit_and_period in RATES.items()}


class Act(msgspec.Struct, frozen=True):
    """A change that somebody makes.

    Attributes:
        by: Who.
        at_s: When.
    """

    by: str
    at_s: float


class InForce(msgspec.Struct, frozen=True):
    """What counts for calls: the file's budgets and what operators set.

    Attributes:
        budgets: All of them; of two with the same key the first counts.
        stops: What is stopped, and why; an empty reason where nobody said.
        own: Keys of the file's, which operators do not change.
        ignored: Names of what is stored and does not count, since the file has the same by now.
    """

    budgets: tuple[Budget, ...]
    stops: Mapping[ScopePattern, str]
    own: frozenset[Key]
    ignored: tuple[str, ...] = ()


def key_of(budget: Budget) -> Key:
    """Return what no other budget in force shares."""
    return budget.pattern, budget.unit, budget.period


def in_force(own: Sequence[Budget], state: AdminState | None) -> InForce:
    """Put together what counts.

    Args:
        own: The file's budgets.
        state: What operators set; None where nothing ever was.

    Raises:
        StoreFailed: Something that is stored cannot be read. To pass over it might be to lift a limit.
    """
    keys = frozenset(key_of(budget) for budget in own)
    if state is None:
        return InForce(tuple(own), {}, keys)
    others = stored_budgets(state)
    return InForce(
        budgets=(*own, *(budget for budget in others if key_of(budget) not in keys)),
        stops={
            _read(item, lambda item: read_pattern(item.name)): _reason(item)
            for item in state.items.get(ItemKind.STOP, {}).values()
        },
        own=keys,
        ignored=tuple(spoken_name(budget) for budget in others if key_of(budget) in keys),
    )


def stored_budgets(state: AdminState) -> tuple[Budget, ...]:
    """Return the budgets that operators set, conversations' own limits first.

    Raises:
        StoreFailed: One cannot be read.
    """
    return tuple(
        budget
        for kind in (ItemKind.CONVERSATION, ItemKind.BUDGET)
        for item in state.items.get(kind, {}).values()
        for budget in _read(item, _budgets_in)
    )


def replaced_by(state: AdminState, budget: Budget) -> Budget | None:
    """Return the stored budget that another takes the place of.

    Returns:
        None where there is none, or it cannot be read: to set it again is what mends that.
    """
    item = state.items.get(ItemKind.BUDGET, {}).get(budget_name(budget))
    try:
        return None if item is None else next(iter(_read(item, _budgets_in)), None)
    except StoreFailed:
        return None


def removals(
    state: AdminState, budgets: Sequence[Budget], act: Act
) -> Iterator[tuple[ItemKind, str, AdminItem | None]]:
    """Yield what has to change so that stored budgets are gone: items by kind and name, as they are then.

    Args:
        state: What operators set.
        budgets: Some of `stored_budgets`.
        act: Who removes them, and when.

    Yields:
        None in the place of an item that is to be removed.
    """
    keys = {key_of(budget) for budget in budgets}
    for name in state.items.get(ItemKind.BUDGET, {}).keys() & {budget_name(budget) for budget in budgets}:
        yield ItemKind.BUDGET, name, None
    for name, item in state.items.get(ItemKind.CONVERSATION, {}).items():
        own = _read(item, _budgets_in)
        left = [budget for budget in own if key_of(budget) not in keys]
        if not left:
            yield ItemKind.CONVERSATION, name, None
        elif len(left) < len(own):
            yield ItemKind.CONVERSATION, name, conversation_item(name, left, act)


def spoken_name(budget: Budget) -> str:
    """Name a budget for people: by its scopes, unit and window."""
    return f"{budget.pattern} {suffix_of(budget.unit)} {budget.period.value}"


def budget_name(budget: Budget) -> str:
    """Name a stored budget in the admin store: by its scopes, unit and window."""
    return f"{budget.pattern} {budget.unit.value} {budget.period.value}"


def budget_item(budget: Budget, act: Act) -> AdminItem:
    """Write a budget as an item of the admin store."""
    return AdminItem(ItemKind.BUDGET, budget_name(budget), json.dumps(table_of(budget)), act.at_s, act.by)


def conversation_item(name: str, budgets: Iterable[Budget], act: Act) -> AdminItem:
    """Write a conversation's own limits, under the name of its scope, as an item of the admin store."""
    tables = [table_of(budget) for budget in budgets]
    return AdminItem(ItemKind.CONVERSATION, name, json.dumps(tables), act.at_s, act.by)


def stop_item(pattern: ScopePattern, reason: str, act: Act) -> AdminItem:
    """Write an emergency stop as an item of the admin store."""
    return AdminItem(ItemKind.STOP, str(pattern), json.dumps({"reason": reason}), act.at_s, act.by)


def table_of(budget: Budget) -> dict[str, Any]:
    """Write a budget as the table of `[[budgets]]` that says the same."""
    table: dict[str, Any] = {"scope": str(budget.pattern)}
    rate = _RATE_KEYS.get((budget.unit, budget.period))
    if rate is not None:
        return {**table, rate: budget.limit}
    table[_LIMIT_KEYS[budget.unit]] = usd_text(budget.limit) if budget.unit is Unit.NUSD else budget.limit
    table["window"] = budget.period.value
    zone, billing_day = budget.calendar.zone, budget.calendar.billing_day
    if zone is not UTC:
        table["timezone"] = str(zone)
    if budget.period is Period.MONTH:
        table["billing_day"] = billing_day
    # An absent ladder may be the default one, so that an empty one is said, too.
    table["ladder"] = [
        {"at": _share(step.at_per_mille), "actions": [str(action) for action in step.actions]}
        for step in budget.ladder
    ]
    if budget.grace_per_mille != GRACE_PER_MILLE:
        table["grace"] = _share(budget.grace_per_mille)
    return table


def cap_item(counts: InForce, state: AdminState, scope: Scope, caps: Sequence[Budget], act: Act) -> AdminItem:
    """Write new caps of a conversation beside those of its own limits that stay.

    Args:
        counts: What is in force.
        state: What operators set so far.
        scope: The conversation.
        caps: What is new.
        act: Who sets it, and when.

    Raises:
        BadSetting: bursar.toml has a cap for just this conversation.
    """
    for cap in caps:
        refuse_owned(counts, cap)
    keys = {key_of(cap) for cap in caps}
    item = state.items.get(ItemKind.CONVERSATION, {}).get(str(scope))
    own = () if item is None else _read(item, _budgets_in)
    others = [budget for budget in own if key_of(budget) not in keys]
    return conversation_item(str(scope), [*others, *caps], act)


def refuse_owned(counts: InForce, budget: Budget) -> None:
    """Refuse to set a budget that the file has.

    Raises:
        BadSetting: It has it.
    """
    if key_of(budget) in counts.own:
        raise BadSetting(
            f"bursar.toml limits the {SAID[budget.unit]} of {budget.pattern} per {budget.period.value} "
            f"itself; change it there, and restart bursar serve"
        )


def read_limits(table: Mapping[str, Any], place: str) -> dict[Unit, int]:
    """Read a conversation's new limits: any of `limit_usd`, `limit_tokens` and `limit_turns`.

    Raises:
        BadSetting: One is wrong, or there is none, or something else.
    """
    for key in table:
        if key not in LIMITS:
            raise BadSetting(f"{key[:40]!r} is unknown; known here: {', '.join(LIMITS)}", place=place)
    if not table:
        raise BadSetting(f"no limit is said; name one of {', '.join(LIMITS)}", place=place)
    return {
        LIMITS[key]: parse_budget({"scope": "conversation:*", key: value}, place).budgets()[0].limit
        for key, value in table.items()
    }


def _budgets_in(item: AdminItem) -> tuple[Budget, ...]:
    content = _TABLES.decode(item.content)
    tables = content if isinstance(content, list) else [content]
    return budgets_of(parse_budget(table, _said(item)) for table in tables)


def _reason(item: AdminItem) -> str:
    return _read(item, lambda item: _STOP.decode(item.content)).get("reason", "")


def _read(item: AdminItem, read: Callable[[AdminItem], T]) -> T:
    try:
        return read(item)
    except (BadSetting, msgspec.DecodeError, RecursionError) as error:
        raise StoreFailed(
            f"the admin store: {item.kind.value} {_said(item)!r} cannot be read ({error}); set it again, or "
            f"upgrade Bursar if a newer one wrote it"
        ) from error


def _share(per_mille: int) -> str:
    return f"{per_mille // PER_MILLE}.{per_mille % PER_MILLE:03d}"


def _said(item: AdminItem) -> str:
    """Return an item's name with its unit as people know it."""
    return item.name.replace(f" {Unit.NUSD.value} ", f" {suffix_of(Unit.NUSD)} ")
