"""OpenAI's `prompt_cache_key`: calls that share a prefix go to the machine that keeps it.

OpenAI routes by a hash of the prompt's first tokens and this key, and spreads a pair that comes more
often than about 15 times a minute over further machines, where its prefix is cold (PROVIDERS.md). So
calls get a key by their shared prefix; where that alone comes too often for one machine, by conversation
too, in as many groups as the rate needs.
"""

import msgspec

from bursar.cachemodel.rules import CacheKind
from bursar.domain.decision import Decision
from bursar.domain.ledger import Technique
from bursar.domain.prompt import digest
from bursar.policy.case import Case

_CALLS_A_MINUTE_PER_KEY = 15
_GROUPS_MAX = 1024


def plan_cache_key(case: Case) -> Decision | None:
    """Choose a key, or None where no prefix is shared, the client chose one, or there is no such thing."""
    layout = case.layout
    if case.rules.kind is CacheKind.ANTHROPIC or case.has_cache_key or not layout.system_end:
        return None
    groups = 1
    # Doubling keeps half of the conversations where they are when the number of groups changes.
    while groups * _CALLS_A_MINUTE_PER_KEY < case.calls_a_minute and groups < _GROUPS_MAX:
        groups *= 2
    name = digest(b"".join([block.digest for block in layout.blocks[: layout.system_end]])).hex()[:16]
    group = digest(case.conversation.encode("utf-8", "surrogatepass"))[0:2]
    key = f"bursar-{name}-{int.from_bytes(group) % groups}"
    return Decision(
        Technique.PREFIX_CACHE,
        "calls with one prefix meet at one cache",
        fields={"prompt_cache_key": msgspec.json.encode(key)},
    )
