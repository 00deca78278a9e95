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

from bisect import bisect_left

from bursar.cachemodel.entries import CacheEntries
from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.prompts import CacheRequest
from bursar.cachemodel.rules import CacheRules
from bursar.cachemodel.writes import bill


def look(entries: CacheEntries, request: CacheRequest, rules: CacheRules, now_s: float) -> CacheOutcome:
    """Say what the cache makes of a prompt. Changes nothing."""
    chain, ends = request.prefixes.chain, request.prefixes.ends
    if not request.marks:
        return uncached(ends[-1] if ends else 0)
    shortest = bisect_left(ends, rules.minimum_tokens)
    marks = [mark for mark in sorted(request.marks)[-rules.marks_max :] if mark >= shortest]
    if not marks:
        return uncached(ends[-1] if ends else 0)

    hit = -1
    used: list[tuple[int, str]] = []
    for mark in marks:
        # Whatever lies behind the longest hit so far is no longer one.
        first = max(hit + 1, mark - rules.lookback_blocks, shortest)
        found = entries.latest(chain, range(mark, first - 1, -1), now_s)
        if found is None:
            continue
        if used and used[-1][0] not in request.marks:
            used.pop()
        hit = found[0]
        used.append((hit, found[1].ttl))
    written = [(mark, rules.ttl(request.marks[mark].ttl)) for mark in marks if mark > hit]
    return bill(ends, hit if used else None, used, written, rules)
