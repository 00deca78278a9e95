"""Content in memory: bounded in bytes, the least recently used leaves first."""

import msgspec

from bursar.adapters.content.naming import content_name, tenant_digest
from bursar.ports import ContentKey

OVERHEAD_BYTES = 512
"""What each piece of content is counted with beside its own length."""

_SHARE_MAX = 8  # One piece of content may take an eighth of the room.


class Item(msgspec.Struct, frozen=True):
    """One piece of content.

    Attributes:
        name: `content_name` of its key.
        tenant: `tenant_digest` of its tenant.
        content: The content.
        expires_at_s: When its time to live has passed, in seconds since the epoch.
    """

    name: bytes
    tenant: bytes
    content: bytes
    expires_at_s: float

    @property
    def size_bytes(self) -> int:
        """What it takes of the room."""
        return len(self.content) + OVERHEAD_BYTES


class BoundedItems:
    """Items by name, bounded in bytes. Not thread-safe.

    Args:
        bytes_max: The room that there is.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        # From the least to the most recently used.
        self._items: dict[bytes, Item] = {}
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What all items take of the room."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: bytes, now_s: float) -> Item | None:
        """Return a live item, which then counts as just used."""
        item = self._items.get(name)
        if item is None:
            return None
        self._remove(name)
        if item.expires_at_s <= now_s:
            return None
        self._add(item)
        return item

    def put(self, item: Item) -> bool:
        """Keep an item in place of what has its name. False, and nothing kept, where it is too large."""
        self._remove(item.name)
        if item.size_bytes > self._bytes_max // _SHARE_MAX:
            return False
        self._add(item)
        if self._size_bytes > self._bytes_max:
            self._evict()
        return True

    def remove_tenant(self, tenant: bytes) -> int:
        """Remove a tenant's items and return how many those were."""
        return self._remove_all([item.name for item in self._items.values() if item.tenant == tenant])

    def remove_expired(self, now_s: float) -> int:
        """Remove what has outlived its time and return how many items those were."""
        return self._remove_all([item.name for item in self._items.values() if item.expires_at_s <= now_s])

    def _add(self, item: Item) -> None:
        self._items[item.name] = item
        self._size_bytes += item.size_bytes

    def _remove(self, name: bytes) -> None:
        item = self._items.pop(name, None)
        if item is not None:
            self._size_bytes -= item.size_bytes

    def _remove_all(self, names: list[bytes]) -> int:
        for name in names:
            self._remove(name)
        return len(names)

    def _evict(self) -> None:
        # An eighth at once: a dict is walked from its start over the holes of earlier evictions each time.
        target = self._bytes_max - self._bytes_max // 8
        size = self._size_bytes
        names: list[bytes] = []
        for item in self._items.values():
            if size <= target:
                break
            names.append(item.name)
            size -= item.size_bytes
        self._remove_all(names)


class MemoryContent:
    """A `ports.ContentStore` in memory: lost with the process, and never more than so many bytes.

    Args:
        bytes_max: The room that there is.
        is_well: False where it stands in for a file that cannot be used.
    """

    def __init__(self, bytes_max: int, *, is_well: bool = True) -> None:
        self._items = BoundedItems(bytes_max)
        self.is_well = is_well

    async def get(self, key: ContentKey, now_s: float) -> bytes | None:
        """Return what is kept under a key; see `ports.ContentStore`."""
        item = self._items.get(content_name(tenant_digest(key.tenant), key), now_s)
        return None if item is None else item.content

    async def put(self, key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        """Keep content; see `ports.ContentStore`."""
        tenant = tenant_digest(key.tenant)
        return self._items.put(Item(content_name(tenant, key), tenant, content, now_s + ttl_s))

    async def delete_tenant(self, tenant: str) -> int:
        """Delete a tenant's content; see `ports.ContentStore`."""
        return self._items.remove_tenant(tenant_digest(tenant))

    async def purge(self, now_s: float) -> int:
        """Delete what has outlived its time; see `ports.ContentStore`."""
        return self._items.remove_expired(now_s)

    def close(self) -> None:
        """Forget everything."""
        self._items = BoundedItems(0)
