"""The SQLite file of the working content store. Synchronous; every connection belongs to one thread."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bursar.adapters.content.memory import Item
from bursar.errors import CorruptStore, StoreFailed

FILE_NAME = "content.db"

_APPLICATION_ID = 0x42757243  # "BurC": tells our file from other programs'.
_VERSION = 1
_BUSY_TIMEOUT_S = 5.0
_CACHE_KIB = 8 * 1024
_EVICTED_AT_ONCE = 256
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS content (
    name BLOB NOT NULL UNIQUE,
    tenant BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    expires_at_s REAL NOT NULL,
    used_at_s REAL NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS content_by_tenant ON content (tenant);
CREATE INDEX IF NOT EXISTS content_by_expiry ON content (expires_at_s);
CREATE INDEX IF NOT EXISTS content_by_use ON content (used_at_s);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""

_INSERT = (
    "INSERT INTO content (name, tenant, size_bytes, expires_at_s, used_at_s, sealed) VALUES (?,?,?,?,?,?)"
)


@dataclass(frozen=True, slots=True)
class Room:
    """What the file may hold; beyond it the least recently used leaves.

    Attributes:
        bytes_max: Bytes, counted as `Item.size_bytes` does.
        items_max: Pieces of content. Each one's name is kept in memory, some 110 bytes.
    """

    bytes_max: int = 1 << 30
    items_max: int = 200_000


class ContentFile:
    """One open file, for writing.

    Args:
        path: The file.
        room: What it may hold.
        create: Whether to make it where there is none. Not set when it is opened again: a file that has
            vanished must be noticed.

    Raises:
        sqlite3.Error: It cannot be opened or is no database.
        CorruptStore: It is none of ours.
        StoreFailed: Another version wrote it.
    """

    def __init__(self, path: Path, room: Room, *, create: bool = False) -> None:
        self._room = room
        self._connection = _connect(path, "rwc" if create else "rw")
        try:
            self._prepare(path)
            self._items, self._size_bytes = self._connection.execute(
                "SELECT count(*), coalesce(sum(size_bytes), 0) FROM content"
            ).fetchone()
        except BaseException:
            self._connection.close()
            raise

    def names(self) -> set[bytes]:
        """Return the names of all that it holds."""
        return {name for (name,) in self._connection.execute("SELECT name FROM content")}

    def write(self, items: Sequence[Item], used: Iterable[bytes], now_s: float) -> list[bytes]:
        """Write items and note the use of others, in one transaction.

        Args:
            items: Items whose content is sealed.
            used: Names of what was read since.
            now_s: The time.

        Returns:
            The names of what had to leave.
        """
        items_before, size_before = self._items, self._size_bytes
        try:
            with self._transaction():
                self._delete("name = ?", ((item.name,) for item in items))
                self._connection.executemany(
                    _INSERT,
                    [(i.name, i.tenant, i.size_bytes, i.expires_at_s, now_s, i.content) for i in items],
                )
                self._items += len(items)
                self._size_bytes += sum([item.size_bytes for item in items])
                self._connection.executemany(
                    "UPDATE content SET used_at_s = ? WHERE name = ?", [(now_s, name) for name in used]
                )
                return self._evict()
        except BaseException:
            self._items, self._size_bytes = items_before, size_before
            raise

    def delete_tenant(self, tenant: bytes) -> list[bytes]:
        """Delete a tenant's items for good and return their names."""
        with self._transaction():
            names = self._delete("tenant = ?", [(tenant,)])
        # Deleted content is overwritten in the file (secure_delete), but still stands in the log.
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("a reader keeps the write-ahead log from being emptied")
        return names

    def purge(self, now_s: float) -> list[bytes]:
        """Delete what has outlived its time and return the names."""
        with self._transaction():
            return self._delete("expires_at_s <= ?", [(now_s,)])

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _prepare(self, path: Path) -> None:
        connection = self._connection
        application_id, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and application_id != _APPLICATION_ID:
            raise corrupt(path, "it is a database of another program")
        if tables and version != _VERSION:
            raise StoreFailed(f"content store {path}: another version of Bursar wrote it; move it away")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        if not tables:
            connection.executescript(_SCHEMA)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)

    def _delete(self, condition: str, parameters: Iterable[tuple[object, ...]]) -> list[bytes]:
        names: list[bytes] = []
        for values in parameters:
            rows = self._connection.execute(
                f"DELETE FROM content WHERE {condition} RETURNING name, size_bytes",  # noqa: S608 - The condition is one of ours, its values are bound.
                values,
            ).fetchall()
            self._items -= len(rows)
            self._size_bytes -= sum([size for _, size in rows])
            names += [name for name, _ in rows]
        return names

    def _evict(self) -> list[bytes]:
        """Make an eighth of the room where there is none left."""
        room = self._room
        if self._size_bytes <= room.bytes_max and self._items <= room.items_max:
            return []
        bytes_left, items_left = room.bytes_max * 7 // 8, room.items_max * 7 // 8
        names: list[bytes] = []
        while self._size_bytes > bytes_left or self._items > items_left:
            oldest = self._connection.execute(
                "SELECT name FROM content ORDER BY used_at_s, rowid LIMIT ?", (_EVICTED_AT_ONCE,)
            ).fetchall()
            if not oldest:
                # Another process has deleted what we had counted.
                self._items = self._size_bytes = 0
            for (name,) in oldest:
                names += self._delete("name = ?", [(name,)])
                if self._size_bytes <= bytes_left and self._items <= items_left:
                    break
        return names


class ContentReader:
    """One open file, for reading only, beside the writer.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path, "ro")

    def read(self, name: bytes, now_s: float) -> Item | None:
        """Return a live item, its content sealed."""
        row = self._connection.execute(
            "SELECT tenant, sealed, expires_at_s FROM content WHERE name = ? AND expires_at_s > ?",
            (name, now_s),
        ).fetchone()
        return None if row is None else Item(name, *row)

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def open_file(path: Path, room: Room) -> tuple[ContentFile, set[bytes]]:
    """Open a file, which is made where there is none, and check it.

    Returns:
        The file, and the names of all that it holds.

    Raises:
        CorruptStore: It is damaged, or is none of ours; it is left untouched.
        StoreFailed: It cannot be opened or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = ContentFile(path, room, create=True)
        try:
            return file, file.names()
        except BaseException:
            file.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise store_failure(path, error) from error


def store_failure(path: Path, error: sqlite3.Error | OSError) -> StoreFailed:
    """Say what an error means, naming the file and a way to mend it."""
    # Extended codes hold the primary one in their low byte.
    code: int = getattr(error, "sqlite_errorcode", -1) & 0xFF
    if code in _DAMAGED:
        return corrupt(path, str(error))
    return StoreFailed(f"content store {path}: {error}; check the file, its directory and the disk's room")


def corrupt(path: Path, reason: str) -> CorruptStore:
    """Say that a file is damaged or is none of ours."""
    return CorruptStore(
        f"content store {path}: {reason}; the file was left untouched: move it away to begin a new one "
        f"(only what it would have saved is lost)"
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        # Opened by whoever opens the store; it then belongs to one thread.
        check_same_thread=False,
    )
