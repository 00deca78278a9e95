"""One provider's prompt caches, over time."""

from collections.abc import Mapping

from bursar.cachemodel import anthropic, openai
from bursar.cachemodel.entries import CacheEntries, Entry
from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.prompts import CacheOptions, CacheRequest, Prefixes
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.prompt import Mark

_DEFAULT_OPTIONS = CacheOptions()
_LOOK = {
    CacheKind.ANTHROPIC: anthropic.look,
    CacheKind.OPENAI_AUTOMATIC: openai.look_automatic,
    CacheKind.OPENAI_MARKS: openai.look_at_marks,
}


class ProviderCache:
    """What a provider keeps of prompts, as far as their names say.

    It holds all accounts and models side by side, since their prefixes have different names. Not
    thread-safe.

    Args:
        entries_max: How many entries are kept; the least recently renewed leave first.
    """

    def __init__(self, entries_max: int = 500_000) -> None:
        self._entries = CacheEntries(entries_max)

    def look(
        self,
        prefixes: Prefixes,
        marks: Mapping[int, Mark],
        rules: CacheRules | None,
        now_s: float,
        options: CacheOptions = _DEFAULT_OPTIONS,
    ) -> CacheOutcome:
        """Say what the provider would read and write for a prompt sent now. Changes nothing.

        Args:
            prefixes: The prompt's prefixes.
            marks: Cache marks, by index of the prefix that they end.
            rules: The model's rules; None where it is taken to have no cache.
            now_s: The time.
            options: What the request says about caching besides its marks.
        """
        ends = prefixes.ends
        total_tokens = ends[-1] if ends else 0
        if rules is None or total_tokens < rules.minimum_tokens:
            return uncached(total_tokens)
        return _LOOK[rules.kind](self._entries, CacheRequest(prefixes, marks, options), rules, now_s)

    def keep(self, prefixes: Prefixes, outcome: CacheOutcome, rules: CacheRules | None, now_s: float) -> None:
        """Take note that the response to a prompt begins: what it wrote can be read from now on.

        Args:
            prefixes: The prompt's prefixes.
            outcome: What `look` said when it was sent.
            rules: The rules that were given to `look`.
            now_s: When the response began.
        """
        if rules is None or not outcome.kept:
            return
        chain, renew = prefixes.chain, self._entries.renew
        fresh = {ttl: Entry(now_s + life_s, ttl, life_s) for ttl, life_s in rules.ttls_s.items()}
        for index, ttl in outcome.kept:
            renew(chain[index], fresh[ttl], now_s)

    def entry(self, name: bytes, now_s: float) -> Entry | None:
        """Return what is kept of a prefix, by its name in the chain, or None."""
        return self._entries.live(name, now_s)

    def deepest(self, prefixes: Prefixes, end: int, now_s: float, *, first: int = 0) -> int | None:
        """Return the index of the last of a prompt's prefixes from `first` to before `end` that is kept.

        Returns:
            The index; None where none of them is.
        """
        found = self._entries.latest(prefixes.chain, range(end - 1, first - 1, -1), now_s)
        return found[0] if found is not None else None

    def forget(self, name: bytes) -> bool:
        """Drop one entry, by its name in the chain; return whether there was one."""
        return self._entries.forget(name)

    def evict(self, prefixes: Prefixes) -> int:
        """Drop every prefix of a prompt, as a provider short of memory does; return how many there were."""
        return sum([self._entries.forget(name) for name in prefixes.chain])

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
