"""The entries of a cache, by name, with the time at which each dies."""

from collections.abc import Sequence
from typing import NamedTuple

from bursar.domain.bounded import BoundedDict


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


class CacheEntries(BoundedDict[bytes, Entry]):
    """Entries by prefix name, bounded: the least recently renewed leave first. One takes about 0.3 KB."""

    def live(self, name: bytes, now_s: float) -> Entry | None:
        """Return an entry that can be read now, or None."""
        entry = self.get(name)
        return entry if entry is not None and entry.expires_s > now_s else None

    def latest(self, chain: Sequence[bytes], indexes: range, now_s: float) -> tuple[int, Entry] | None:
        """Return the first live entry at the given indexes of a chain, which fall, and its index.

        Names are local: in a long prompt, hundreds are looked for.
        """
        get = self.get
        for index in indexes:
            entry = get(chain[index])
            if entry is not None and entry.expires_s > now_s:
                return index, entry
        return None

    def renew(self, name: bytes, fresh: Entry, now_s: float) -> None:
        """Let an entry live from now on, and make it where there is none.

        A live entry keeps the longer of the two times to live, and never dies earlier than it would
        have: two calls that ran side by side may have written it differently.

        Args:
            name: Its prefix.
            fresh: What it is to be, if there is none; one value may serve many prefixes.
            now_s: The time.
        """
        old = self.get(name)
        if old is not None and old.expires_s > now_s:
            if old.life_s > fresh.life_s:
                fresh = Entry(now_s + old.life_s, old.ttl, old.life_s)
            if old.expires_s > fresh.expires_s:
                fresh = fresh._replace(expires_s=old.expires_s)
        self.keep(name, fresh)

    def forget(self, name: bytes) -> bool:
        """Drop an entry; return whether there was one."""
        return self.pop(name, None) is not None
