"""What budgets' counters have settled, by the ledger's word, as SQL.

One query for each kind of scope, unit and window. Where a window holds whole hours, money and tokens of the
organisation, of tenants and of agents come from the roll-ups; the rest is read from entries. A call of
unknown cost counts as the most it can have cost, as it did when it ended: the roll-ups do not have that, so
that for hours with such calls it is added from their entries.

Only calls for which something was held count as requests and turns: those that were sent, and those whose
process died (`PRESUMED` in their faults), which count as answered, as all that was held does.

Calls of tenants that were erased count for the organisation only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as sql_cast

from bursar.adapters.ledger.rows import US_PER_HOUR, US_PER_S
from bursar.adapters.ledger.schema import TOKEN_COLUMNS, entries, rollups
from bursar.domain.attribution import ERASED
from bursar.domain.ledger import Status
from bursar.domain.reservations import Counter, Period, Unit
from bursar.domain.scopes import Scope, ScopeKind
from bursar.exchange.left_behind import PRESUMED

_END_US = 2**62


@dataclass(frozen=True, slots=True)
class CountedWindow:
    """The counters of all scopes of one kind, in one unit and window.

    Attributes:
        kind: The kind.
        unit: What is counted; never `OPEN_CALLS`, of which nothing is settled.
        period: How long the window is.
        start_s: When it begins, as in `Counter`,
        end_s: and ends.
    """

    kind: ScopeKind
    unit: Unit
    period: Period
    start_s: int = 0
    end_s: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What one counter has settled, by the ledger.

    Attributes:
        amount: The sum over its calls.
        unknown_calls: Calls whose cost nobody knows; of money, those of which it is not even known what was
            held for them, which is then not in the amount.
    """

    amount: int
    unknown_calls: int


SCOPE_COLUMNS: Mapping[ScopeKind, tuple[str, ...]] = {
    ScopeKind.ORGANISATION: (),
    ScopeKind.TENANT: ("tenant",),
    ScopeKind.AGENT: ("tenant", "agent"),
    ScopeKind.KEY: ("key",),
    ScopeKind.CONVERSATION: ("tenant", "conversation"),
    ScopeKind.USER: ("tenant", "user"),
}
"""Of each kind: its columns in the ledger, the tenant's before the name's."""

_ROLLED_UP = frozenset((ScopeKind.ORGANISATION, ScopeKind.TENANT, ScopeKind.AGENT))


def read_settled(connection: Connection, windows: Iterable[CountedWindow]) -> dict[Counter, Settled]:
    """Sum up what counters have settled; one that has settled nothing is left out.

    Args:
        connection: A connection within one transaction, so that all counters see the same entries.
        windows: Which.
    """
    found: dict[Counter, Settled] = {}
    for window in windows:
        for row in connection.execute(_statement(window)):
            cells: tuple[Any, ...] = tuple(row)
            scope = _scope(window.kind, cells[:-2])
            counter = Counter(scope, window.unit, window.period, window.start_s, window.end_s)
            found[counter] = Settled(int(cells[-2]), int(cells[-1]))
    return found


def _scope(kind: ScopeKind, names: tuple[Any, ...]) -> str:
    if kind is ScopeKind.ORGANISATION:
        return str(Scope.organisation())
    tenant = names[0] if len(names) == 2 else ""
    return str(Scope(kind, tenant, names[-1]))


def _statement(window: CountedWindow) -> Any:
    parts = _parts(window).subquery()
    keys = [parts.c[name] for name in SCOPE_COLUMNS[window.kind]]
    amount, unknown = func.sum(parts.c.amount), func.sum(parts.c.unknown_calls)
    statement = select(*keys, amount, unknown).having(or_(amount != 0, unknown != 0))
    return statement.group_by(*keys) if keys else statement


def _parts(window: CountedWindow) -> Any:
    """Select what is to be added up: names, amounts and unknown calls."""
    since_us = window.start_s * US_PER_S
    until_us = _END_US if window.end_s is None else window.end_s * US_PER_S
    first_hour, end_hour = -(-since_us // US_PER_HOUR), until_us // US_PER_HOUR
    summed = window.unit in {Unit.NUSD, Unit.TOKENS}
    if not summed or window.kind not in _ROLLED_UP or first_hour >= end_hour:
        return _entry_parts(window, _between(since_us, until_us))
    names = [rollups.c[name] for name in SCOPE_COLUMNS[window.kind]]
    amount = rollups.c.cost_nusd if window.unit is Unit.NUSD else _tokens(rollups.c)
    whole = select(*names, amount.label("amount"), rollups.c.unknown_calls.label("unknown_calls")).where(
        rollups.c.hour >= first_hour, rollups.c.hour < end_hour, _is_counted(window.kind, rollups.c)
    )
    cut = or_(_between(since_us, first_hour * US_PER_HOUR), _between(end_hour * US_PER_HOUR, until_us))
    parts = [whole, _entry_parts(window, cut)]
    if window.unit is Unit.NUSD:
        parts.append(_bounded_parts(window.kind, first_hour, end_hour))
    return union_all(*parts)


def _bounded_parts(kind: ScopeKind, first_hour: int, end_hour: int) -> Any:
    """Select what calls of unknown cost took at most, for which roll-ups count nothing."""
    hours = (
        select(rollups.c.hour)
        .where(rollups.c.hour >= first_hour, rollups.c.hour < end_hour, rollups.c.unknown_calls > 0)
        .distinct()
        .subquery()
    )
    start_us = hours.c.hour * US_PER_HOUR
    within = and_(entries.c.at_us >= start_us, entries.c.at_us < start_us + US_PER_HOUR)
    names = [entries.c[name] for name in SCOPE_COLUMNS[kind]]
    parts = select(
        *names,
        entries.c.cost_max_nusd.label("amount"),
        literal(-1).label("unknown_calls"),
    ).select_from(hours.join(entries, within))
    return parts.where(
        entries.c.cost_nusd.is_(None), entries.c.cost_max_nusd.is_not(None), _is_counted(kind, entries.c)
    )


def _entry_parts(window: CountedWindow, condition: ColumnElement[bool]) -> Any:
    names = [entries.c[name] for name in SCOPE_COLUMNS[window.kind]]
    known = entries.c.cost_nusd
    if window.unit is Unit.NUSD:
        known = func.coalesce(known, entries.c.cost_max_nusd)
    unknown = case((known.is_(None), 1), else_=0)
    parts = select(*names, amount_of(window.unit).label("amount"), unknown.label("unknown_calls"))
    if window.kind not in _ROLLED_UP:
        # A call without a key, a user or a conversation falls under no such scope.
        condition = and_(condition, names[-1] != "")
    return parts.where(condition, _is_counted(window.kind, entries.c))


def _is_counted(kind: ScopeKind, columns: Any) -> ColumnElement[bool]:
    """Whether a call counts for a scope of a kind."""
    return true() if kind is ScopeKind.ORGANISATION else columns.tenant != ERASED


def amount_of(unit: Unit) -> ColumnElement[int]:
    """Return what one entry adds to a counter of a unit."""
    if unit is Unit.NUSD:
        return func.coalesce(entries.c.cost_nusd, entries.c.cost_max_nusd, 0)
    if unit is Unit.TOKENS:
        return _tokens(entries.c)
    if unit is Unit.OPEN_CALLS:
        return literal(0)
    presumed = sql_cast(entries.c.faults, Text).like(f'%"{PRESUMED}"%')
    sent = entries.c.model_sent != ""
    if unit is Unit.TURNS:
        sent = and_(sent, entries.c.status == Status.OK.value)
    return case((or_(sent, presumed), 1), else_=0)


def _tokens(columns: Any) -> ColumnElement[int]:
    return sum((func.coalesce(columns[name], 0) for _, name in TOKEN_COLUMNS), start=literal(0))


def _between(since_us: int, until_us: int) -> ColumnElement[bool]:
    return and_(entries.c.at_us >= since_us, entries.c.at_us < until_us)
