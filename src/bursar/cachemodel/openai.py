"""OpenAI's prompt caches: automatic before GPT-5.6, at breakpoints from there on.

Assumed where the documentation is silent, each time the dearer reading:

- Automatic: an unused prefix dies at the low end of the documented range, and a match is as fine as the
  caller's cut of the prompt (whole blocks, for a `Layout`).
- At breakpoints: in implicit mode a match is also possible where an earlier request's automatic
  breakpoint may have stood, that is, at the end of each earlier message. In either mode only the hit and
  entries at the request's own breakpoints are renewed.

Source: the types of openai-python (August 2026), checked 2026-11-23.
"""

from bisect import bisect_left

from bursar.cachemodel.entries import CacheEntries
from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.prompts import CacheRequest
from bursar.cachemodel.rules import CacheRules
from bursar.cachemodel.writes import bill


def routing_scope(scope: bytes, cache_key: str) -> bytes:
    """Return the scope for `lay_out` of a request that has a `prompt_cache_key`.

    OpenAI routes a request by a hash of its first 256 tokens or so and this key, and a machine knows only
    its own cache; so prompts with different keys are taken never to meet. The first tokens need no place
    in the scope: prompts that share a prefix of the minimum length share them.

    Args:
        scope: Upstream base URL, credential and model.
        cache_key: The request's `prompt_cache_key`; empty where it has none.
    """
    return scope + b"\0" + cache_key.encode("utf-8", "surrogatepass")


def look_automatic(
    entries: CacheEntries, request: CacheRequest, rules: CacheRules, now_s: float
) -> CacheOutcome:
    """Say what the automatic cache makes of a prompt. Changes nothing."""
    chain, ends = request.prefixes.chain, request.prefixes.ends
    if not ends:
        return uncached(0)
    first = bisect_left(ends, rules.minimum_tokens)
    ttl = rules.ttl(request.options.ttl)
    kept = tuple((index, ttl) for index in range(first, len(ends)))
    for index in range(len(ends) - 1, first - 1, -1):
        if entries.live(chain[index], now_s) is not None:
            read = ends[index] // rules.step_tokens * rules.step_tokens
            if read >= rules.minimum_tokens:
                return CacheOutcome(read, {}, ends[-1] - read, index, kept)
            break
    return CacheOutcome(0, {}, ends[-1], None, kept)


def look_at_marks(
    entries: CacheEntries, request: CacheRequest, rules: CacheRules, now_s: float
) -> CacheOutcome:
    """Say what the cache with breakpoints makes of a prompt. Changes nothing."""
    chain, ends = request.prefixes.chain, request.prefixes.ends
    if not ends:
        return uncached(0)
    ttls = _breakpoints(request, rules)
    explicit = sorted(request.marks)[-rules.matching_marks :]
    message_ends = request.prefixes.message_ends if request.options.implicit else ()
    implicit = [end - 1 for end in message_ends[-rules.matching_marks :]]

    used: list[tuple[int, str]] = []
    for index in sorted({*explicit, *implicit, *ttls}, reverse=True):
        if index < 0 or ends[index] < rules.minimum_tokens:
            break
        if used and index not in ttls:
            continue
        entry = entries.live(chain[index], now_s)
        if entry is not None:
            used.append((index, entry.ttl))
    hit = used[0][0] if used else -1
    written = [(i, ttl) for i, ttl in ttls.items() if i > hit and ends[i] >= rules.minimum_tokens]
    return bill(ends, hit if used else None, used[::-1], written, rules)


def _breakpoints(request: CacheRequest, rules: CacheRules) -> dict[int, str]:
    """Return the breakpoints that the request writes, in prompt order, with their times to live."""
    default = rules.ttl(request.options.ttl)
    ttls: dict[int, str] = {}
    slots = rules.marks_max - 1 if request.options.implicit else rules.marks_max
    for index in sorted(request.marks)[-slots:]:
        ttl = request.marks[index].ttl
        ttls[index] = ttl if ttl in rules.ttls_s else default
    if request.options.implicit:
        message_ends = request.prefixes.message_ends
        # A mark by the client at the same place has the say about its time to live.
        ttls.setdefault((message_ends[-1] if message_ends else len(request.prefixes.ends)) - 1, default)
    return dict(sorted(ttls.items()))
