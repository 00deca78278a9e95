"""The working content store in one SQLite file, behind a front in memory."""

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from bursar.adapters.content.file import (
    FILE_NAME,
    ContentFile,
    ContentReader,
    Room,
    open_file,
    store_failure,
)
from bursar.adapters.content.memory import BoundedItems, Item
from bursar.adapters.content.naming import content_name, tenant_digest
from bursar.adapters.content.sealing import NoSeal, Seal
from bursar.adapters.content.writer import ContentWriter
from bursar.ports import ContentKey

LOG = logging.getLogger("bursar.content")

_SHARE_MAX = 8  # One piece of content may take an eighth of the file's room.


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """How a store is kept.

    Attributes:
        room: What the file may hold.
        front_bytes_max: What is kept in memory too, in bytes.
        seal: Encryption at rest.
    """

    room: Room = field(default_factory=Room)
    front_bytes_max: int = 32 << 20
    seal: Seal = field(default_factory=NoSeal)


class SqliteContent:
    """A `ports.ContentStore` in a file. Use it from one event loop.

    The event loop looks at memory only: the front, what waits to be written, and the names of what the
    file holds, so that a miss costs a microsecond. The file is read by a thread of its own.
    """

    def __init__(self, path: Path, options: ContentOptions, file: ContentFile, present: set[bytes]) -> None:
        self._path = path
        self._options = options
        self._present = present
        self._front = BoundedItems(options.front_bytes_max)
        self._writer = ContentWriter(path, options.room, options.seal, file, present)
        self._reader: ContentReader | None = None
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bursar-content-reader")
        # Names that are being read and were neither put nor deleted meanwhile.
        self._fetching: set[bytes] = set()

    @classmethod
    def open(cls, data_dir: Path, options: ContentOptions | None = None) -> Self:
        """Open the store of a data directory, which is made where there is none.

        Raises:
            CorruptStore: Its file is damaged, or is none of ours; it is left untouched.
            StoreFailed: It cannot be opened or written.
        """
        options = options or ContentOptions()
        path = data_dir / FILE_NAME
        file, present = open_file(path, options.room)
        return cls(path, options, file, present)

    @property
    def is_well(self) -> bool:
        """Whether the last write went well. While it did not, content is kept in the front only."""
        return self._writer.is_well

    async def get(self, key: ContentKey, now_s: float) -> bytes | None:
        """Return what is kept under a key; see `ports.ContentStore`."""
        name = content_name(tenant_digest(key.tenant), key)
        item = self._front.get(name, now_s)
        if item is None:
            item = self._writer.waiting(name)
        if item is not None:
            if name in self._present:
                self._writer.use(name)
            return item.content if item.expires_at_s > now_s else None
        if name not in self._present:
            return None
        return await self._fetch(name, now_s)

    async def put(self, key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        """Keep content; see `ports.ContentStore`."""
        tenant = tenant_digest(key.tenant)
        item = Item(content_name(tenant, key), tenant, content, now_s + ttl_s)
        if item.size_bytes > self._options.room.bytes_max // _SHARE_MAX or not self._writer.put(item, now_s):
            return False
        self._fetching.discard(item.name)
        self._front.put(item)
        return True

    async def delete_tenant(self, tenant: str) -> int:
        """Delete a tenant's content; see `ports.ContentStore`."""
        name = tenant_digest(tenant)
        self._fetching.clear()
        self._front.remove_tenant(name)
        self._writer.hide_tenant(name)
        return await self._writer.run(lambda file: file.delete_tenant(name))

    async def purge(self, now_s: float) -> int:
        """Delete what has outlived its time; see `ports.ContentStore`."""
        self._front.remove_expired(now_s)
        return await self._writer.run(lambda file: file.purge(now_s))

    def close(self) -> None:
        """Write what waits and close the file. Blocks for one or a few writes; may be called again."""
        self._writer.close()
        self._reading.shutdown()
        self._drop_reader()

    async def _fetch(self, name: bytes, now_s: float) -> bytes | None:
        self._fetching.add(name)
        loop = asyncio.get_running_loop()
        item = await loop.run_in_executor(self._reading, self._read, name, now_s)
        unchanged = name in self._fetching
        self._fetching.discard(name)
        if item is None:
            return None
        self._writer.use(name)
        if unchanged:
            self._front.put(item)
        return item.content

    def _read(self, name: bytes, now_s: float) -> Item | None:
        """Read and open an item, in the reader's thread."""
        try:
            if self._reader is None:
                self._reader = ContentReader(self._path)
            item = self._reader.read(name, now_s)
        except sqlite3.Error as error:
            LOG.warning("kept content cannot be read: %s", store_failure(self._path, error))
            self._drop_reader()
            return None
        if item is None:
            return None
        content = self._options.seal.open(name, item.content)
        return None if content is None else msgspec.structs.replace(item, content=content)

    def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
