"""Taking a tenant out of the ledger, while the organisation's sums stay what they are.

A call of an erased tenant stays as an entry that says when it was, what it used and what it cost, and nothing
of whom it was for: under the tenant `ERASED`, and under an operation id that nobody was ever told. So every
sum over all tenants, in every window, is the same as before; and what was one tenant's cannot be told from
what was another erased one's.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.dialects import sqlite

from bursar.adapters.ledger.group import insert_anew, take_back, transaction
from bursar.adapters.ledger.rows import entry_of, entry_row
from bursar.adapters.ledger.schema import LEDGER, entries
from bursar.adapters.sqlite.connection import reader_connection
from bursar.adapters.sqlite.erasing import erasing
from bursar.adapters.sqlite.opening import failing
from bursar.domain.attribution import ERASED, Attribution
from bursar.domain.ledger import Attempt, Entry, Status

_ENTRIES_AT_ONCE = 500
"""Calls under way wait for a commit of so many: some 50 ms."""

_DRAWN_BYTES = 16

_NAME_COLUMNS = ("agent", "conversation", "user", "key")


@dataclass(frozen=True, slots=True)
class Traces:
    """What a ledger has of a tenant.

    Attributes:
        calls: How many entries.
        names: All names of its agents, conversations, users and keys.
    """

    calls: int
    names: frozenset[tuple[str, str]]

    def of(self, column: str) -> frozenset[str]:
        """Return the names of one kind: `agent`, `conversation`, `user` or `key`."""
        return frozenset(name for kind, name in self.names if kind == column)


def read_traces(path: Path, tenant: str) -> Traces:
    """Say what a ledger has of a tenant.

    Raises:
        StoreFailed: It could not be read.
    """
    with failing(LEDGER, path), closing(reader_connection(path)) as connection:
        connection.execute("BEGIN")
        (calls,) = connection.execute("SELECT count(*) FROM entries WHERE tenant = ?", (tenant,)).fetchone()
        names = frozenset(
            (column, name)
            for column in _NAME_COLUMNS
            for (name,) in connection.execute(_NAMES[column], (tenant,))
            if name
        )
    return Traces(calls, names)


def erase_from_ledger(path: Path, tenant: str) -> int:
    """Make a tenant's entries nobody's. May be broken off at any time, and called again.

    Returns:
        How many entries those were.

    Raises:
        StoreFailed: Some may still be the tenant's.
    """
    with erasing(LEDGER, path) as connection:
        found = connection.execute("SELECT rowid FROM entries WHERE tenant = ? ORDER BY rowid", (tenant,))
        rows = [row for (row,) in found]
        for start in range(0, len(rows), _ENTRIES_AT_ONCE):
            with transaction(connection):
                _make_nobodys(connection, rows[start : start + _ENTRIES_AT_ONCE], tenant)
    return len(rows)


def nobodys(entry: Entry, operation_id: str) -> Entry:
    """Return an entry without whom it was for; every quantity stays.

    Args:
        entry: The entry.
        operation_id: One that says nothing, in the place of its own.
    """
    return msgspec.structs.replace(
        entry,
        operation_id=operation_id,
        attribution=Attribution(ERASED, ERASED),
        # What was never sent may name a model as a caller wrote it.
        model=entry.model if entry.attempts or entry.status is Status.OK else "",
        thread="",
        turn=0,
        attempts=tuple(_renamed(each, operation_id, number) for number, each in enumerate(entry.attempts, 1)),
        # These name scopes.
        decisions=(),
    )


def draw_operation_id() -> str:
    """Return an operation id that says nothing."""
    return f"{ERASED}-{secrets.token_hex(_DRAWN_BYTES)}"


def _renamed(attempt: Attempt, operation_id: str, number: int) -> Attempt:
    return msgspec.structs.replace(attempt, attempt_id=f"{operation_id}/{number}")


def _make_nobodys(connection: sqlite3.Connection, rows: Sequence[int], tenant: str) -> None:
    """Put entries in the place of a tenant's, and of their roll-ups."""
    least, most = rows[0], rows[-1]
    wanted = frozenset(rows)
    # Somebody else may have erased some of them meanwhile.
    found = connection.execute(_BETWEEN, (least, most, tenant)).fetchall()
    known = [entry_of(cells) for rowid, *cells in found if rowid in wanted]
    made = [nobodys(entry, draw_operation_id()) for entry in known]
    take_back(connection, known)
    insert_anew(connection, [(entry_row(entry), entry) for entry in made])


_quote = sqlite.dialect().identifier_preparer.quote

# All names are the schema's own.
_NAMES = {
    column: f"SELECT DISTINCT {_quote(column)} FROM entries WHERE tenant = ?"  # noqa: S608 -- as above
    for column in _NAME_COLUMNS
}
_COLUMNS = ", ".join(_quote(column.name) for column in entries.columns)
_BETWEEN = f"SELECT rowid, {_COLUMNS} FROM entries WHERE rowid BETWEEN ? AND ? AND tenant = ? ORDER BY rowid"  # noqa: S608 -- as above
