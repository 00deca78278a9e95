"""One commit: a group's entries and their roll-ups, in few and wide statements.

A step of SQLite releases Python's global lock, and taking it back from a busy event loop costs up to
5 ms. With one step per entry, a commit of 64 entries beside a busy loop took 200-300 ms; with many rows
in each statement it takes 20 ms, and without contention both take some 0.6 ms (measured 2026-11-24).
"""

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from bursar.adapters.ledger.rows import Cell, Row, entry_of, rollup_key, rollup_row
from bursar.adapters.ledger.schema import ROLLUP_KEYS, SUM_COLUMNS, entries, rollups
from bursar.domain.ledger import Entry
from bursar.domain.report import Tally
from bursar.exchange.left_behind import PRESUMED

Member = tuple[Row, Entry]
"""An entry, and its row of `entries`."""

_ROWS_PER_STATEMENT = 64

_NAMED = "operation_id IN (SELECT value FROM json_each(?))"


def write_group(connection: sqlite3.Connection, members: Sequence[Member]) -> None:
    """Insert those entries that are new and add them to their roll-ups, in one transaction.

    One that was presumed gives way to the one that really came of its call, and so do its amounts.

    Raises:
        sqlite3.Error: Nothing was written.
    """
    fresh: dict[Cell, Member] = {}
    for member in members:
        first = fresh.setdefault(member[0][0], member)
        if _gives_way(first[1], member[1]):
            fresh[member[0][0]] = member
    try:
        with transaction(connection):
            insert_anew(connection, list(fresh.values()))
    except sqlite3.IntegrityError:
        # Some were recorded before. That is rare, so only then is it worth asking which.
        with transaction(connection):
            take_back(connection, _drop_known(connection, fresh))
            insert_anew(connection, list(fresh.values()))


def _gives_way(known: Entry, entry: Entry) -> bool:
    """Whether a known entry only stands for a call, of which another says what really came of it."""
    return PRESUMED in known.faults and PRESUMED not in entry.faults


def _drop_known(connection: sqlite3.Connection, fresh: dict[Cell, Member]) -> list[Entry]:
    """Drop what was recorded before. Returns the entries that give way to what is left."""
    giving_way: list[Entry] = []
    columns = ", ".join(_quoted(column.name for column in entries.columns))
    select = f"SELECT {columns} FROM entries WHERE {_NAMED}"  # noqa: S608 -- All names are the schema's own.
    for row in connection.execute(select, (_names(fresh),)):
        known = entry_of(row)
        if _gives_way(known, fresh[known.operation_id][1]):
            giving_way.append(known)
        else:
            del fresh[known.operation_id]
    return giving_way


def take_back(connection: sqlite3.Connection, giving_way: Sequence[Entry]) -> None:
    """Delete entries, and take them out of their roll-ups. Needs a transaction."""
    named = _names(entry.operation_id for entry in giving_way)
    connection.execute(f"DELETE FROM entries WHERE {_NAMED}", (named,))  # noqa: S608 -- as above
    tallies = _tallies(giving_way)
    width = len(ROLLUP_KEYS)
    rows = [rollup_row(key, tally) for key, tally in tallies.items()]
    _execute(connection, rollups, [(*row[:width], *map(_negated, row[width:])) for row in rows])
    # The entry that follows may belong to another one.
    is_key = " AND ".join(f"{name} = ?" for name in _quoted(ROLLUP_KEYS))
    connection.executemany(f"DELETE FROM rollups WHERE calls = 0 AND {is_key}", list(tallies))  # noqa: S608 -- as above


def _negated(cell: Cell) -> int:
    return -int(cell or 0)


def _names(operation_ids: Iterable[Cell]) -> str:
    return orjson.dumps(list(operation_ids)).decode()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Commit what is done within, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself rolls back on some errors (a full disk, say); then there is nothing left to undo.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def insert_anew(connection: sqlite3.Connection, members: Sequence[Member]) -> None:
    """Insert entries that are new, and add them to their roll-ups. Needs a transaction."""
    tallies = _tallies(entry for _, entry in members)
    _execute(connection, entries, [row for row, _ in members])
    _execute(connection, rollups, [rollup_row(key, tally) for key, tally in tallies.items()])


def _tallies(counted: Iterable[Entry]) -> dict[Row, Tally]:
    """Add entries up, by the roll-ups that they belong to."""
    tallies: dict[Row, Tally] = {}
    for entry in counted:
        key = rollup_key(entry)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = Tally()
        tally.add(entry)
    return tallies


def _execute(connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> None:
    width = len(table.columns)
    most = min(_ROWS_PER_STATEMENT, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // width)
    for start in range(0, len(rows), most):
        some = rows[start : start + most]
        connection.execute(_statement(table, len(some)), tuple(chain.from_iterable(some)))


@cache
def _statement(table: Table, row_count: int) -> str:
    """Return the statement that inserts so many rows; for roll-ups, that adds them to what is there.

    There is one per count of rows, so that each is prepared once per connection.
    """
    names = _quoted(column.name for column in table.columns)
    row = f"({', '.join('?' * len(names))})"
    insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {', '.join([row] * row_count)}"  # noqa: S608 -- All names are the schema's own.
    if table is not rollups:
        return insert
    sums = ", ".join(f"{name} = rollups.{name} + excluded.{name}" for name in _quoted(SUM_COLUMNS))
    return f"{insert} ON CONFLICT ({', '.join(_quoted(ROLLUP_KEYS))}) DO UPDATE SET {sums}"


def _quoted(names: Iterable[str]) -> list[str]:
    quote = sqlite.dialect().identifier_preparer.quote
    return [quote(name) for name in names]
