"""What drove a budget's spending, as SQL: how much a scope took in a span, and of what."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, func, select

from bursar.adapters.ledger.queries import Span
from bursar.adapters.ledger.schema import entries
from bursar.adapters.ledger.settled import SCOPE_COLUMNS, amount_of
from bursar.domain.reservations import Unit
from bursar.domain.scopes import Scope


class DriverKind(StrEnum):
    """What spending is split by."""

    AGENT = "agent"
    CONVERSATION = "conversation"
    MODEL = "model"


def read_amount(connection: Connection, scope: Scope, unit: Unit, span: Span) -> int:
    """Return what a scope took in a span: money, tokens, turns or requests."""
    amount = func.coalesce(func.sum(amount_of(unit)), 0)
    return int(connection.execute(select(amount).where(_of(scope, span))).scalar_one())


def read_drivers(
    connection: Connection, scope: Scope, unit: Unit, span: Span, most: int
) -> dict[DriverKind, Sequence[tuple[str, int]]]:
    """Return what took most of what a scope took in a span, by each kind.

    The most comes first, so many of each kind; what took nothing is left out.
    """
    found: dict[DriverKind, Sequence[tuple[str, int]]] = {}
    amount = func.sum(amount_of(unit)).label("amount")
    for kind in DriverKind:
        name = entries.c[kind.value]
        groups = select(name, amount).where(_of(scope, span)).group_by(name).having(amount > 0)
        rows = connection.execute(groups.order_by(amount.desc(), name).limit(most))
        found[kind] = [(str(row[0]), int(row[1])) for row in rows]
    return found


def _of(scope: Scope, span: Span) -> ColumnElement[bool]:
    columns = SCOPE_COLUMNS[scope.kind]
    names = (scope.tenant, scope.name)[-len(columns) :] if columns else ()
    return and_(
        entries.c.at_us >= span.since_us,
        entries.c.at_us < span.until_us,
        *(entries.c[column] == name for column, name in zip(columns, names, strict=True)),
    )
