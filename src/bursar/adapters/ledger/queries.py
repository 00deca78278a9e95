"""Reports as SQL: the database groups and sums; only a report's own rows come into Python.

Without keys, or by keys that roll-ups have, whole hours are read from `rollups` and only the hours that
`since` and `until` cut are read from `entries`. Every other report groups `entries`. The statements are
SQLAlchemy's; what is SQLite's own (unfolding a JSON column) is in `_unfold`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    TableValuedAlias,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from bursar.adapters.ledger.rows import US_PER_HOUR, tally_of
from bursar.adapters.ledger.schema import (
    AMOUNT_COLUMNS,
    COMPONENT_COST_COLUMNS,
    COMPONENT_TOKEN_COLUMNS,
    SUM_COLUMNS,
    TECHNIQUE_COLUMNS,
    TOKEN_COLUMNS,
    WOULD_SAVE_COLUMNS,
    entries,
    rollups,
)
from bursar.domain.ledger import CostBasis
from bursar.domain.report import Report, ReportKey, Row, Tally, order, saved_by_keys, share_savings

_ROLLUP_KEYS = frozenset({ReportKey.TENANT, ReportKey.AGENT, ReportKey.MODEL, ReportKey.TASK})
_ROW_COLUMNS = (*AMOUNT_COLUMNS, *(name for _, name in TOKEN_COLUMNS))
_END_US = 2**62

Sums = Mapping[str, ColumnElement[int]]


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time in microseconds since the epoch: from `since_us` to before `until_us`."""

    since_us: int = 0
    until_us: int = _END_US


def read_report(connection: Connection, by: Sequence[ReportKey], span: Span, limit: int | None) -> Report:
    """Sum a span of the ledger up and group it.

    Args:
        connection: A connection within one transaction, so that total and rows see the same entries.
        by: What to group by; may be empty.
        span: Which entries count.
        limit: How many rows are kept; None for all.
    """
    everything = _parts((), SUM_COLUMNS, span)
    sums = connection.execute(select(*_summed(everything, SUM_COLUMNS))).mappings().one()
    total = tally_of(lambda name: int(sums[name]))
    if not by:
        return Report(by=(), total=total, rows=())
    if ReportKey.COMPONENT in by:
        return _by_component(connection, by, span, limit, total)
    groups = _groups(by, span)
    found = connection.execute(_dearest_first(groups, by, limit)).mappings()
    rows = tuple(_row(group, by) for group in found)
    left = 0
    if len(rows) == limit:
        left = connection.execute(select(func.count()).select_from(groups)).scalar_one() - len(rows)
    return Report(by=tuple(by), total=total, rows=rows, rows_left=left)


def _by_component(
    connection: Connection, by: Sequence[ReportKey], span: Span, limit: int | None, total: Tally
) -> Report:
    """Report by component and whatever else; what whole calls saved is shared out over components."""
    rest = [key for key in by if key is not ReportKey.COMPONENT]
    saved = saved_by_keys(read_report(connection, rest, span, None))
    groups = connection.execute(select(_groups(by, span))).mappings()
    rows = sorted(share_savings([_row(group, by) for group in groups], by, saved), key=order)
    kept = rows if limit is None else rows[:limit]
    return Report(by=tuple(by), total=total, rows=tuple(kept), rows_left=len(rows) - len(kept))


def _groups(by: Sequence[ReportKey], span: Span) -> Subquery:
    """Select each group's keys and sums."""
    parts = _parts(by, _ROW_COLUMNS, span)
    keys = [parts.c[_label(key)] for key in by]
    return select(*keys, *_summed(parts, _ROW_COLUMNS)).group_by(*keys).subquery()


def _dearest_first(groups: Subquery, by: Sequence[ReportKey], limit: int | None) -> Select[Any]:
    """Order groups as `domain.report.order` does."""
    all_unknown = groups.c.unknown_calls == groups.c.calls
    keys = [groups.c[_label(key)] for key in by]
    return select(groups).order_by(all_unknown, groups.c.cost_nusd.desc(), *keys).limit(limit)


def _row(group: Mapping[Any, Any], by: Sequence[ReportKey]) -> Row:
    tally = Tally(
        **{name: group[name] for name in AMOUNT_COLUMNS},
        tokens={kind.value: group[name] for kind, name in TOKEN_COLUMNS},
    )
    return tally.row(tuple(group[_label(key)] for key in by), by)


def _summed(parts: Subquery, names: Sequence[str]) -> list[ColumnElement[int]]:
    return [func.coalesce(func.sum(parts.c[name]), 0).label(name) for name in names]


def _label(key: ReportKey) -> str:
    return f"key_{key.value}"


def _parts(by: Sequence[ReportKey], names: Sequence[str], span: Span) -> Subquery:
    """Select the addends of a report: their keys, and those of `SUM_COLUMNS` that are named."""
    first_hour = -(-span.since_us // US_PER_HOUR)
    end_hour = span.until_us // US_PER_HOUR
    if not _ROLLUP_KEYS.issuperset(by) or first_hour >= end_hour:
        return _entry_parts(by, names, _between(span.since_us, span.until_us)).subquery()
    keys = [rollups.c[key.value].label(_label(key)) for key in by]
    whole = select(*keys, *(rollups.c[name] for name in names)).where(
        rollups.c.hour >= first_hour, rollups.c.hour < end_hour
    )
    cut = or_(
        _between(span.since_us, first_hour * US_PER_HOUR), _between(end_hour * US_PER_HOUR, span.until_us)
    )
    return union_all(whole, _entry_parts(by, names, cut)).subquery()


def _between(since_us: int, until_us: int) -> ColumnElement[bool]:
    return and_(entries.c.at_us >= since_us, entries.c.at_us < until_us)


def _entry_parts(
    by: Sequence[ReportKey], names: Sequence[str], condition: ColumnElement[bool]
) -> Select[*tuple[Any, ...]]:
    """Select the addends from single entries; by tag and component, one for each of an entry's."""
    source: FromClause = entries
    sums: Sums = _CALL_SUMS
    keys: list[ColumnElement[str]] = []
    for key in by:
        if key is ReportKey.TAG:
            tag = _unfold("tags")
            source = source.outerjoin(tag, true())
            pair = func.json_extract(tag.c.value, "$[0]") + "=" + func.json_extract(tag.c.value, "$[1]")
            value: ColumnElement[str] = func.coalesce(pair, "")
        elif key is ReportKey.COMPONENT:
            component = _unfold("components")
            source = source.outerjoin(component, true())
            sums = _component_sums(component)
            value = func.coalesce(component.c.key, "")
        else:
            value = entries.c[key.value]
        keys.append(value.label(_label(key)))
    return select(*keys, *(sums[name].label(name) for name in names)).select_from(source).where(condition)


def _unfold(column: str) -> TableValuedAlias:
    """Return a JSON column's members as rows of `key` and `value`."""
    return func.json_each(entries.c[column]).table_valued(
        "key", "value", name=f"each_{column}", joins_implicitly=True
    )


def _component_sums(component: TableValuedAlias) -> Sums:
    """Return what one component of a call adds; a call without components counts whole."""
    whole = component.c.key.is_(None)

    def member(path: str) -> ColumnElement[int]:
        return func.json_extract(component.c.value, path)

    cost = case((whole, entries.c.cost_nusd), else_=member("$.cost_nusd"))
    return {
        **_CALL_SUMS,
        "unknown_calls": case((cost.is_(None), 1), else_=0),
        "cost_nusd": func.coalesce(cost, 0),
        **{
            name: func.coalesce(case((whole, entries.c[name]), else_=member(f"$.tokens.{kind.value}")), 0)
            for kind, name in TOKEN_COLUMNS
        },
    }


def _call_sums() -> Sums:
    """Return what one call adds to each of `SUM_COLUMNS`, just as `Tally.add` has it."""
    cost, baseline = entries.c.cost_nusd, entries.c.baseline_nusd
    unknown = cost.is_(None)
    compared = and_(cost.is_not(None), baseline.is_not(None))
    estimated = and_(entries.c.basis == CostBasis.ESTIMATED.value, cost.is_not(None))
    sums: dict[str, ColumnElement[int]] = {
        "calls": literal(1),
        "unknown_calls": case((unknown, 1), else_=0),
        "uncompared_calls": case((compared, 0), else_=1),
        "cost_nusd": func.coalesce(cost, 0),
        "baseline_nusd": case((compared, baseline), else_=0),
        "saved_nusd": case((compared, baseline - cost), else_=0),
        "estimated_nusd": case((estimated, cost), else_=0),
        "estimated_max_nusd": case((estimated, func.coalesce(entries.c.cost_max_nusd, cost)), else_=0),
    }
    for _, name in TOKEN_COLUMNS:
        sums[name] = func.coalesce(entries.c[name], 0)
    for technique, name in TECHNIQUE_COLUMNS:
        sums[name] = func.coalesce(entries.c.shares[technique.value].as_integer(), 0)
    for technique, name in WOULD_SAVE_COLUMNS:
        sums[name] = func.coalesce(entries.c.would_save[technique.value].as_integer(), 0)
    share = entries.c.components
    for component, name in COMPONENT_TOKEN_COLUMNS:
        counts = [share[(component.value, "tokens", kind.value)].as_integer() for kind, _ in TOKEN_COLUMNS]
        sums[name] = sum((func.coalesce(count, 0) for count in counts), start=literal(0))
    for component, name in COMPONENT_COST_COLUMNS:
        sums[name] = func.coalesce(share[(component.value, "cost_nusd")].as_integer(), 0)
    return sums


_CALL_SUMS = _call_sums()
