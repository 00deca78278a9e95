"""Anthropic's prompt cache.

Where the documentation is silent, this is what we take to be so, each time the dearer reading:

- A mark before the longest hit whose own entry is gone writes nothing, so no entry comes into being
  there: entries are made by writes that were billed.
- A mark on a live entry renews it with the entry's own time to live. A 5 m entry that is later marked
  1 h stays a 5 m entry until it dies: its tokens are read, and only a billed write could lengthen it.
- An entry that a mark finds by looking back is renewed only if it is the one read.
- An entry at exactly 300 s is dead.

Source: anthropics/skills, prompt-caching page (July 2026), checked 2026-11-23.
"""

from bursar.cachemodel.entries import CacheEntries, Entry
from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.prompts import CacheRequest, Prefixes
from bursar.cachemodel.rules import CacheRules
from bursar.cachemodel.writes import bill


def look(entries: CacheEntries, request: CacheRequest, rules: CacheRules, now_s: float) -> CacheOutcome:
    """Say what the cache makes of a prompt. Changes nothing."""
    prefixes = request.prefixes
    ends = prefixes.ends
    marks = sorted(request.marks)[-rules.marks_max :]
    marks = [mark for mark in marks if ends[mark] >= rules.minimum_tokens]
    if not marks:
        return uncached(ends[-1] if ends else 0)

    hit = -1
    used: list[tuple[int, str]] = []
    for mark in marks:
        # Whatever lies behind the longest hit so far is no longer one.
        first = max(hit + 1, mark - rules.lookback_blocks)
        found = _latest(entries, prefixes, range(mark, first - 1, -1), rules, now_s)
        if found is None:
            continue
        if used and used[-1][0] not in request.marks:
            used.pop()
        hit = found[0]
        used.append((hit, found[1].ttl))
    written = [(mark, rules.ttl(request.marks[mark].ttl)) for mark in marks if mark > hit]
    return bill(ends, hit if used else None, used, written, rules)


def _latest(
    entries: CacheEntries, prefixes: Prefixes, indexes: range, rules: CacheRules, now_s: float
) -> tuple[int, Entry] | None:
    """Return the first live entry at the given indexes, which fall, and its index."""
    for index in indexes:
        if prefixes.ends[index] < rules.minimum_tokens:
            return None
        entry = entries.live(prefixes.chain[index], now_s)
        if entry is not None:
            return index, entry
    return None
