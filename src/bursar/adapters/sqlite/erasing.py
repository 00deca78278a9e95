"""Taking things out of a store's file so that no byte of them stays behind."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from bursar.adapters.sqlite.connection import writer_connection
from bursar.adapters.sqlite.kind import StoreKind
from bursar.adapters.sqlite.opening import failing
from bursar.errors import StoreFailed


@contextmanager
def erasing(kind: StoreKind, path: Path, *, is_small: bool = False) -> Generator[sqlite3.Connection]:
    """Give a connection whose deletions overwrite what they delete, and empty the write-ahead log at the end.

    Whoever uses it begins and commits transactions.

    Args:
        kind: What the file is.
        path: The file.
        is_small: Whether the file is also written anew as a whole, which takes what others deleted before,
            without overwriting it, out of it too.

    Raises:
        StoreFailed: It could not be written, or others keep the log from being emptied: trying again is safe.
    """
    with failing(kind, path), closing(writer_connection(path)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if is_small:
            connection.execute("VACUUM")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFailed(
                f"{kind.name} {path}: others read it all the time, so that what was deleted still stands in "
                f"its write-ahead log; try again"
            )
