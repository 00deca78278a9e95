"""The thread that writes the content file, in batches, behind those who put content into the store.

Whatever waits when a write begins goes into it. What waits can be read meanwhile, and is bounded. A write
that fails loses its batch, which costs money only; the next one starts with a new connection.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import msgspec

from bursar.adapters.content.file import ContentFile, Room, store_failure
from bursar.adapters.content.memory import Item
from bursar.adapters.content.sealing import Seal
from bursar.errors import StoreFailed

LOG = logging.getLogger("bursar.content")

WAITING_BYTES_MAX = 64 << 20
"""What may wait to be written; beyond it content is not kept."""


@dataclass(slots=True)
class _Batch:
    """Items that are written together."""

    now_s: float
    items: dict[bytes, Item] = field(default_factory=dict[bytes, Item])


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to do between batches. It returns the names of what has gone."""

    run: Callable[[ContentFile], list[bytes]]
    done: Future[int]


class ContentWriter:
    """Owns the connection that writes, and the thread that uses it.

    Args:
        path: The file.
        room: What it may hold.
        seal: Seals content.
        file: The open file.
        present: The names of what it holds; kept up to date.
    """

    def __init__(self, path: Path, room: Room, seal: Seal, file: ContentFile, present: set[bytes]) -> None:
        self._path = path
        self._room = room
        self._seal = seal
        self._file: ContentFile | None = file
        self._present = present
        self._lock = threading.Lock()
        self._open: _Batch | None = None
        self._waiting: dict[bytes, Item] = {}
        self._waiting_bytes = 0
        self._used: set[bytes] = set()
        self._closed = False
        self.is_well = True
        self._queue: SimpleQueue[_Batch | _Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bursar-content", daemon=True)
        self._thread.start()

    def put(self, item: Item, now_s: float) -> bool:
        """Have an item written. False, and nothing done, where too much waits or the store was closed."""
        with self._lock:
            if self._closed or self._waiting_bytes + item.size_bytes > WAITING_BYTES_MAX:
                return False
            batch = self._open
            if batch is None:
                batch = self._open = _Batch(now_s)
                self._queue.put(batch)
            batch.now_s = now_s
            earlier = batch.items.get(item.name)
            batch.items[item.name] = item
            self._waiting[item.name] = item
            self._waiting_bytes += item.size_bytes - (earlier.size_bytes if earlier else 0)
        return True

    def waiting(self, name: bytes) -> Item | None:
        """Return an item that is not written yet."""
        return self._waiting.get(name)

    def use(self, name: bytes) -> None:
        """Note with the next batch that an item was used."""
        with self._lock:
            self._used.add(name)

    def hide_tenant(self, tenant: bytes) -> int:
        """Have `waiting` return none of a tenant's items any more; they are still written."""
        with self._lock:
            names = [item.name for item in self._waiting.values() if item.tenant == tenant]
            for name in names:
                del self._waiting[name]
        return len(names)

    async def run(self, job: Callable[[ContentFile], list[bytes]]) -> int:
        """Run a job on the file after everything that was put before, and return how many names it gave.

        Raises:
            StoreFailed: It could not be done.
        """
        done: Future[int] = Future()
        with self._lock:
            if self._closed:
                raise StoreFailed(f"content store {self._path}: it was closed")
            # What is put from now on comes after the job.
            self._open = None
            self._queue.put(_Job(job, done))
        # A caller that is cancelled must not take the job with it.
        return await asyncio.shield(asyncio.wrap_future(done))

    def close(self) -> None:
        """Write what waits and close the file. Blocks for one or a few writes; may be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            if isinstance(task, _Batch):
                self._write(task)
            else:
                self._do(task)
        self._disconnect()

    def _write(self, batch: _Batch) -> None:
        with self._lock:
            if self._open is batch:
                self._open = None
            used, self._used = self._used, set[bytes]()
        items = list(batch.items.values())
        try:
            sealed = [
                msgspec.structs.replace(item, content=self._seal.close(item.name, item.content))
                for item in items
            ]
            evicted = self._connect().write(sealed, used, batch.now_s)
        except Exception as error:  # noqa: BLE001 -- The thread must outlive any fault, or all later content would pile up.
            self._fail(error)
        else:
            self.is_well = True
            self._present.update(batch.items)
            self._present.difference_update(evicted)
        with self._lock:
            for item in items:
                if self._waiting.get(item.name) is item:
                    del self._waiting[item.name]
                self._waiting_bytes -= item.size_bytes

    def _do(self, job: _Job) -> None:
        try:
            names = job.run(self._connect())
        except Exception as error:  # noqa: BLE001 -- The same: whoever waits for the job learns of it.
            job.done.set_exception(self._fail(error))
        else:
            self.is_well = True
            self._present.difference_update(names)
            job.done.set_result(len(names))

    def _connect(self) -> ContentFile:
        if self._file is None:
            self._file = ContentFile(self._path, self._room)
        return self._file

    def _fail(self, error: Exception) -> StoreFailed:
        """Say what went wrong, once for each row of failures, and give the connection up."""
        if isinstance(error, StoreFailed):
            failure = error
        elif isinstance(error, (sqlite3.Error, OSError)):
            failure = store_failure(self._path, error)
        else:
            failure = StoreFailed(f"content store {self._path}: {type(error).__name__}: {error}")
        if self.is_well:
            LOG.warning("content is kept in memory only: %s", failure)
        self.is_well = False
        self._disconnect()
        return failure

    def _disconnect(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
