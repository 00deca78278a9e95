"""Rules of the three kinds of prompt caches, for tests; a test that needs other numbers replaces them."""

from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.usage import TokenClass

ANTHROPIC = CacheRules(
    model="claude-*",
    kind=CacheKind.ANTHROPIC,
    minimum_tokens=1024,
    minimum_assumed=False,
    ttls_s={"5m": 300, "1h": 3600},
    write_classes={"5m": TokenClass.CACHE_WRITE_5M, "1h": TokenClass.CACHE_WRITE_1H},
    default_ttl="5m",
    marks_max=4,
    lookback_blocks=20,
)
OPENAI_AUTOMATIC = CacheRules(
    model="gpt-5*",
    kind=CacheKind.OPENAI_AUTOMATIC,
    minimum_tokens=1024,
    minimum_assumed=False,
    ttls_s={"in_memory": 300, "24h": 86_400},
    write_classes={"in_memory": TokenClass.INPUT, "24h": TokenClass.INPUT},
    default_ttl="in_memory",
    step_tokens=128,
)
OPENAI_MARKS = CacheRules(
    model="gpt-6*",
    kind=CacheKind.OPENAI_MARKS,
    minimum_tokens=1024,
    minimum_assumed=False,
    ttls_s={"30m": 1800, "12h": 43_200},
    write_classes={"30m": TokenClass.CACHE_WRITE_30M, "12h": TokenClass.CACHE_WRITE_12H},
    default_ttl="30m",
    marks_max=4,
    matching_marks=80,
)
