"""The entries of a cache, by name, with the time at which each dies."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A prefix that is kept.

    Attributes:
        expires_s: When it dies: it can be read before, not at, that time.
        ttl: Name of its time to live.
        life_s: The same in seconds: by how much a hit puts its death off.
    """

    expires_s: float
    ttl: str
    life_s: int


class CacheEntries:
    """Entries by prefix name, bounded: the least recently renewed leave first, in batches.

    Args:
        entries_max: How many are kept. One takes about 0.3 KB.
    """

    def __init__(self, entries_max: int) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._entries_max = entries_max

    def live(self, name: bytes, now_s: float) -> Entry | None:
        """Return an entry that can be read now, or None."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.expires_s > now_s else None

    def renew(self, name: bytes, fresh: Entry, now_s: float) -> None:
        """Let an entry live from now on, and make it where there is none.

        A live entry keeps the longer of the two times to live, and never dies earlier than it would
        have: two calls that ran side by side may have written it differently.

        Args:
            name: Its prefix.
            fresh: What it is to be, if there is none; one value may serve many prefixes.
            now_s: The time.
        """
        entries = self._entries
        old = entries.pop(name, None)
        if old is not None and old.expires_s > now_s:
            if old.life_s > fresh.life_s:
                fresh = Entry(now_s + old.life_s, old.ttl, old.life_s)
            if old.expires_s > fresh.expires_s:
                fresh = fresh._replace(expires_s=old.expires_s)
        entries[name] = fresh
        if len(entries) > self._entries_max:
            # One by one, each eviction would walk over the holes that earlier ones left in the dict.
            for oldest in list(entries)[: max(1, self._entries_max // 8)]:
                del entries[oldest]

    def forget(self, name: bytes) -> bool:
        """Drop an entry; return whether there was one."""
        return self._entries.pop(name, None) is not None

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
