"""The thread that makes entries durable, in group commits.

Whatever waits when a commit begins goes into it. Nothing lingers for company, but a group is handed over only
when the event loop has run what was ready: under load that makes a third fewer commits, and a lone call does
not notice. A group's callers are woken together, which costs one call into the event loop.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from bursar.adapters.ledger.group import Member, write_group
from bursar.adapters.ledger.rows import entry_row
from bursar.adapters.ledger.schema import LEDGER
from bursar.adapters.sqlite.connection import store_failure, writer_connection
from bursar.domain.ledger import Entry
from bursar.errors import EntryRefused, StoreFailed

GROUP_MAX = 512
"""Entries in one commit at most."""

WAITING_MAX = 65_536
"""Entries that may wait at most (some 200 MB); beyond it calls fail rather than pile up."""


_Waiter = asyncio.Future[StoreFailed | None]


@dataclass(slots=True)
class _Group:
    """Entries that share a commit, and who waits for it: given None, or why it failed."""

    loop: asyncio.AbstractEventLoop
    handed_over: bool = False
    members: list[Member] = field(default_factory=list[Member])
    waiters: list[_Waiter] = field(default_factory=list[_Waiter])


class GroupWriter:
    """Owns the connection that writes, and the thread that uses it.

    Args:
        path: The file, which exists and is at the newest schema.
        connection: An open writer's connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._lock = threading.Lock()
        self._open: _Group | None = None
        self._waiting = 0
        self._closed = False
        self._queue: SimpleQueue[_Group | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bursar-ledger", daemon=True)
        self._thread.start()

    async def write(self, entry: Entry) -> None:
        """Return once the entry is durable. One that is cancelled meanwhile is written all the same.

        Raises:
            StoreFailed: It could not be made durable.
        """
        try:
            # Here, not in the thread: an entry that cannot be written must fail only its own call.
            row = entry_row(entry)
        except (ValueError, TypeError) as error:
            raise EntryRefused(f"ledger {self._path}: entry {entry.operation_id!r}: {error}") from error
        # One that is cancelled ends its own wait only.
        failure = await self._join((row, entry))
        if failure is not None:
            # Each call raises an error of its own: one that is shared would collect all their traces.
            raise type(failure)(str(failure))

    def close(self) -> None:
        """Commit what waits and close the file. Blocks for one or a few commits."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._open is not None:
                self._hand_over(self._open)
        self._queue.put(None)
        self._thread.join()

    def _join(self, member: Member) -> _Waiter:
        """Put an entry into the group that gathers while the last commit runs."""
        loop = asyncio.get_running_loop()
        waiter: _Waiter = loop.create_future()
        with self._lock:
            if self._closed:
                raise StoreFailed(f"ledger {self._path}: it was closed")
            if self._waiting >= WAITING_MAX:
                raise StoreFailed(
                    f"ledger {self._path}: {self._waiting} entries wait to be written; the disk is too slow"
                )
            group = self._open
            if group is None or group.loop is not loop or len(group.members) >= GROUP_MAX:
                if group is not None:
                    self._hand_over(group)
                group = self._open = _Group(loop)
                loop.call_soon(self._end_gathering, group)
            group.members.append(member)
            group.waiters.append(waiter)
            self._waiting += 1
        return waiter

    def _end_gathering(self, group: _Group) -> None:
        """Hand a group over from the event loop."""
        with self._lock:
            self._hand_over(group)

    def _hand_over(self, group: _Group) -> None:
        """Give a group to the thread, once. Needs the lock."""
        if not group.handed_over:
            group.handed_over = True
            self._queue.put(group)

    def _run(self) -> None:
        while (group := self._queue.get()) is not None:
            with self._lock:
                if self._open is group:
                    self._open = None
            failure = self._commit(group.members)
            with self._lock:
                self._waiting -= len(group.members)
            try:
                group.loop.call_soon_threadsafe(_wake, group.waiters, failure)
            except RuntimeError:
                # The loop was closed meanwhile, so that nobody waits any more.
                continue
        self._disconnect()

    def _commit(self, members: Sequence[Member]) -> StoreFailed | None:
        try:
            if self._connection is None:
                self._connection = writer_connection(self._path)
            write_group(self._connection, members)
        except sqlite3.Error as error:
            failure = store_failure(LEDGER, self._path, error)
        except Exception as error:  # noqa: BLE001 -- The thread must outlive any fault, or every later call would hang.
            failure = StoreFailed(f"ledger {self._path}: {type(error).__name__}: {error}")
        else:
            return None
        # What state a failed connection is in is not worth knowing: the next group gets a new one.
        self._disconnect()
        return failure

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _wake(waiters: Sequence[_Waiter], failure: StoreFailed | None) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(failure)
