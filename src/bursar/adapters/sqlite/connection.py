"""Connections to a store's file, and what SQLite's errors mean to whoever must mend them."""

import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from bursar.adapters.sqlite.kind import StoreKind
from bursar.errors import CorruptStore, StoreFailed

BUSY_TIMEOUT_S = 5.0
"""How long a commit waits for another process's commit before it fails."""

_CACHED_STATEMENTS = 256
_CACHE_KIB = 16 * 1024

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, and it goes on by itself",
    sqlite3.SQLITE_BUSY: f"another process held it for more than {BUSY_TIMEOUT_S:g} s",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its directory exists and is writable",
    sqlite3.SQLITE_IOERR: "the disk reported an error or has no room; check it",
}


def writer_connection(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a file for one writer.

    Args:
        path: The file.
        create: Whether to make it where there is none. Never set again once it was open: a file that
            has vanished must be noticed, not replaced by an empty one.

    Raises:
        sqlite3.Error: It cannot be opened, or is no database.
    """
    connection = _connect(path, "rwc" if create else "rw")
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        _turn_on_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def reader_connection(path: Path) -> sqlite3.Connection:
    """Open a file for reading only, beside any writers.

    Raises:
        sqlite3.Error: It is not there, cannot be opened, or is no database.
    """
    return _connect(path, "ro")


def store_failure(kind: StoreKind, path: Path, error: sqlite3.Error | OSError) -> StoreFailed:
    """Say what an error of the database means, naming the file and a way to mend it."""
    if not isinstance(error, sqlite3.Error):
        return StoreFailed(
            f"{kind.name} {path}: {error.strerror or error}; check the directory and its permissions"
        )
    code = _primary_code(error)
    if code in _CORRUPT:
        return corrupt(kind, path, str(error))
    return StoreFailed(f"{kind.name} {path}: {_REASONS.get(code, str(error))} ({error})")


def corrupt(kind: StoreKind, path: Path, reason: str) -> CorruptStore:
    """Say that a file is damaged or is none of ours."""
    return CorruptStore(
        f"{kind.name} {path}: {reason}; the file was left untouched: restore it from a backup, "
        f"or move it away to begin a new {kind.name}"
    )


def _primary_code(error: sqlite3.Error) -> int:
    # Extended codes hold the primary one in their low byte. Errors of the Python module have none.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        # Transactions are begun by hand; the module's own would begin them too late to be IMMEDIATE.
        isolation_level=None,
        cached_statements=_CACHED_STATEMENTS,
        # The writer's connection is opened by whoever opens the store and then belongs to its thread.
        check_same_thread=False,
    )


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log, which stays on in the file."""
    # SQLite does not wait on a busy file here as it does elsewhere, so that two processes which open a
    # new file at the same moment would fail each other.
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
        else:
            return
