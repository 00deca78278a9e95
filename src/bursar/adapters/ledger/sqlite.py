"""The ledger in one SQLite file."""

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, bindparam, create_engine, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from bursar.adapters.ledger.drivers import DriverKind, read_amount, read_drivers
from bursar.adapters.ledger.holdout import read_comparison
from bursar.adapters.ledger.queries import Span, read_report
from bursar.adapters.ledger.rows import at_us, entry_of
from bursar.adapters.ledger.schema import LEDGER, entries
from bursar.adapters.ledger.settled import CountedWindow, Settled, read_settled
from bursar.adapters.ledger.writer import GroupWriter
from bursar.adapters.sqlite.connection import reader_connection, writer_connection
from bursar.adapters.sqlite.opening import bring_up_to_date, exists, failing
from bursar.domain.ledger import Entry
from bursar.domain.report import Report, ReportKey
from bursar.domain.reservations import Counter, Unit
from bursar.domain.scopes import Scope
from bursar.errors import CallerMistake

FILE_NAME = "ledger.db"


class LedgerReader:
    """Reads a ledger, beside whoever writes it.

    Args:
        path: The file, at the newest schema.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Open the ledger of a data directory for reading.

        Raises:
            CallerMistake: There is none.
            CorruptStore: Its file is damaged, or is no ledger of ours.
            StoreFailed: It cannot be read, or its schema is not this version's.
        """
        path = data_dir / FILE_NAME
        if not exists(LEDGER, path):
            raise CallerMistake(
                f"no ledger in {data_dir}: bursar serve makes one there with its first call; "
                f"name the directory that it uses with --data-dir"
            )
        return cls(path)

    def report(
        self,
        by: Sequence[ReportKey] = (),
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        limit: int | None = None,
    ) -> Report:
        """Sum the calls of a span of time up and group them.

        Args:
            by: What to group by; may be empty.
            since_s: Calls that arrived then or later; None for the first.
            until_s: Calls that arrived before then; None for the last.
            limit: How many rows are kept; None for all. The total counts everything.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        with self._reading() as connection:
            span = _span(since_s, until_s)
            found = read_report(connection, by, span, limit)
            return replace(found, holdout=read_comparison(connection, span))

    def settled(self, windows: Iterable[CountedWindow]) -> dict[Counter, Settled]:
        """Sum up what budgets' counters have settled; one that has settled nothing is left out.

        Args:
            windows: The kinds of scopes, units and windows.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        with self._reading() as connection:
            return read_settled(connection, windows)

    def drivers(
        self, scope: Scope, unit: Unit, since_s: float, until_s: float, most: int
    ) -> dict[DriverKind, Sequence[tuple[str, int]]]:
        """Say what took most of what a scope took in a span of time, by each kind; see `read_drivers`.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        with self._reading() as connection:
            return read_drivers(connection, scope, unit, _span(since_s, until_s), most)

    def amount(self, scope: Scope, unit: Unit, since_s: float, until_s: float) -> int:
        """Return what a scope took in a span of time, as far as it is known.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        with self._reading() as connection:
            return read_amount(connection, scope, unit, _span(since_s, until_s))

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        """Give a connection within one transaction: all parts must be sums over the same entries."""
        engine = create_engine("sqlite://", creator=lambda: reader_connection(self._path), poolclass=NullPool)
        try:
            with failing(LEDGER, self._path), engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                yield connection
        finally:
            engine.dispose()

    def entries(self, since_s: float | None = None, until_s: float | None = None) -> Iterator[Entry]:
        """Yield the calls of a span of time as they were recorded, by time of arrival.

        Times come back to the microsecond, everything else exactly. Entries are read as they are asked for.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        span = _span(since_s, until_s)
        with failing(LEDGER, self._path), closing(reader_connection(self._path)) as connection:
            for row in connection.execute(_ENTRIES, (span.since_us, span.until_us)):
                yield entry_of(row)

    def find(self, operation_id: str) -> Entry | None:
        """Return a call as it was recorded; None where it was not.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        return self._first(_ENTRY, operation_id)

    def last_call(self, tenant: str, conversation: str) -> Entry | None:
        """Return the call of a conversation that arrived last; None where there is none.

        Raises:
            StoreFailed: The ledger could not be read.
        """
        return self._first(_LATEST, tenant, conversation)

    def _first(self, statement: str, *values: str) -> Entry | None:
        with failing(LEDGER, self._path), closing(reader_connection(self._path)) as connection:
            row = connection.execute(statement, values).fetchone()
            return None if row is None else entry_of(row)


class SqliteLedger(LedgerReader):
    """A `ports.Ledger` in a file. Use it from one event loop at a time; processes may share the file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path)
        self._writer = GroupWriter(path, connection)

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Open the ledger of a data directory, which is made where there is none, and bring it up to date.

        Raises:
            CorruptStore: Its file is damaged, or is no ledger of ours; it is left untouched.
            StoreFailed: It cannot be written, or a newer Bursar wrote it.
        """
        path = data_dir / FILE_NAME
        bring_up_to_date(LEDGER, path)
        with failing(LEDGER, path):
            return cls(path, writer_connection(path))

    async def record(self, entry: Entry) -> None:
        """Return once the entry is durable. Recording an operation id again changes nothing.

        An entry whose caller is cancelled meanwhile is recorded all the same.

        Raises:
            StoreFailed: It could not be made durable.
        """
        await self._writer.write(entry)

    def close(self) -> None:
        """Commit what waits and close the file. Blocks for one or a few commits; may be called again."""
        self._writer.close()


def _span(since_s: float | None, until_s: float | None) -> Span:
    return Span(
        **({} if since_s is None else {"since_us": at_us(since_s)}),
        **({} if until_s is None else {"until_us": at_us(until_s)}),
    )


_ENTRIES = str(
    select(*entries.columns)
    .where(entries.c.at_us >= bindparam("since_us"), entries.c.at_us < bindparam("until_us"))
    .order_by(entries.c.at_us, entries.c.operation_id)
    .compile(dialect=sqlite.dialect())
)

_ENTRY = str(
    select(*entries.columns)
    .where(entries.c.operation_id == bindparam("operation_id"))
    .compile(dialect=sqlite.dialect())
)

_LATEST = str(
    select(*entries.columns)
    .where(entries.c.tenant == bindparam("tenant"), entries.c.conversation == bindparam("conversation"))
    .order_by(entries.c.at_us.desc(), entries.c.operation_id.desc())
    .compile(dialect=sqlite.dialect())
)
