"""The comparison of conversations that were held out with those that were not, as SQL.

Whether there are any is asked of an index that holds nothing else, so that a ledger without a holdout is
not read through for it.
"""

from sqlalchemy import Connection, and_, case, func, literal_column, or_, select

from bursar.adapters.ledger.queries import Span
from bursar.adapters.ledger.rows import US_PER_S
from bursar.adapters.ledger.schema import entries
from bursar.domain.attribution import ERASED
from bursar.domain.holdout import FAILED, HELD_OUT, OPTIMISED, S_PER_DAY, Comparison, Group, comparison_of

_US_PER_DAY = S_PER_DAY * US_PER_S

# Written out, not bound: an index of a part of a table serves only what is seen to lie in that part.
_IS_HELD_OUT = entries.c.mode == literal_column(f"'{HELD_OUT}'")

_DAY = entries.c.at_us // _US_PER_DAY

_CALLS = func.count().label("calls")
_UNKNOWN = func.sum(case((entries.c.cost_nusd.is_(None), 1), else_=0)).label("unknown_calls")
_FAILED = func.sum(case((entries.c.status.in_(sorted(FAILED)), 1), else_=0)).label("failed_calls")
_COST = func.coalesce(func.sum(entries.c.cost_nusd), 0).label("cost_nusd")


def read_comparison(connection: Connection, span: Span) -> Comparison | None:
    """Compare the conversations of a span that were held out with those that were not, as `compare` does.

    Args:
        connection: A connection.
        span: Which entries count.

    Returns:
        The two groups; None where nothing was held out.
    """
    # Of erased tenants' calls nobody knows which were one conversation.
    within = and_(
        entries.c.at_us >= span.since_us, entries.c.at_us < span.until_us, entries.c.tenant != ERASED
    )
    held_out = and_(_IS_HELD_OUT, within)
    first_us, last_us = connection.execute(
        select(func.min(entries.c.at_us), func.max(entries.c.at_us)).where(held_out)
    ).one()
    if first_us is None:
        return None
    first_day, last_day = first_us // _US_PER_DAY, last_us // _US_PER_DAY
    counted = and_(
        within,
        entries.c.at_us >= first_day * _US_PER_DAY,
        entries.c.at_us < (last_day + 1) * _US_PER_DAY,
        or_(
            _IS_HELD_OUT, and_(entries.c.mode == OPTIMISED, _DAY.in_(select(_DAY).where(held_out).distinct()))
        ),
    )
    each = (
        select(entries.c.mode, _CALLS, _UNKNOWN, _FAILED, _COST)
        .where(counted)
        .group_by(entries.c.mode, entries.c.tenant, entries.c.conversation)
        .subquery()
    )
    names = ("calls", "unknown_calls", "failed_calls", "cost_nusd")
    found = connection.execute(
        select(each.c.mode, func.count(), *(func.sum(each.c[name]) for name in names)).group_by(each.c.mode)
    )
    return comparison_of({mode: Group(*map(int, sums)) for mode, *sums in found})
