"""How what lies past the longest hit is billed, where writes exist only at marks."""

from collections.abc import Sequence

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.rules import CacheRules
from bursar.domain.usage import TokenClass

Written = Sequence[tuple[int, str]]


def bill(
    ends: Sequence[int], hit: int | None, renewed: Written, written: Written, rules: CacheRules
) -> CacheOutcome:
    """Split a prompt into read, written and plain tokens.

    With A the end of the hit, longer times to live are billed first: to the last 1 h mark past A (B) the
    1 h price, B − A tokens; from there to the last 5 m mark (C) the 5 m price, C − B; the rest is plain
    input. A 1 h mark behind a 5 m one, which Anthropic refuses, bills everything before it as 1 h.

    Args:
        ends: Tokens up to each prefix's end.
        hit: Index of the longest hit.
        renewed: Live entries that are used, in prompt order, the hit included.
        written: Marks past the hit, in prompt order, by prefix index and time to live.
        rules: The model's rules.

    Source: anthropics/skills, prompt-caching page (July 2026), checked 2026-11-23; for OpenAI's 30 m and
    12 h the same split is assumed.
    """
    read = billed_to = ends[hit] if hit is not None else 0
    writes: dict[TokenClass, int] = {}
    # Marks stand in prompt order, so the last of each time to live is the one that counts.
    last_by_ttl = {ttl: index for index, ttl in written}
    longest_first = (
        sorted(last_by_ttl, key=lambda name: -rules.ttls_s[name]) if len(last_by_ttl) > 1 else last_by_ttl
    )
    for ttl in longest_first:
        end = ends[last_by_ttl[ttl]]
        if end > billed_to:
            token_class = rules.write_classes[ttl]
            writes[token_class] = writes.get(token_class, 0) + end - billed_to
            billed_to = end
    return CacheOutcome(
        read_tokens=read,
        writes=writes,
        input_tokens=ends[-1] - billed_to,
        hit=hit,
        kept=(*renewed, *written),
    )
