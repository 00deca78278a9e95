"""OpenAI's `prompt_cache_key`: an agent's calls go to the machine that keeps its prefix.

OpenAI routes by a hash of the prompt's first tokens and this key (PROVIDERS.md). Calls of one agent get one
key, whatever their tenant, so that what shares a prefix stays together; calls of nobody's agent share one
too. Splitting a busy agent's key further would spare machines that OpenAI says it overflows at about 15
calls a minute, but each part would pay for the prefix anew, and what an overflow costs is not known.
"""

import msgspec

from bursar.cachemodel.rules import CacheKind
from bursar.domain.decision import Decision
from bursar.domain.ledger import Technique
from bursar.domain.prompt import digest
from bursar.policy.case import Case


def plan_cache_key(case: Case) -> Decision | None:
    """Choose a key, or None where the client chose one or there is no such thing."""
    if case.rules.kind is CacheKind.ANTHROPIC or case.has_cache_key:
        return None
    name = digest(case.agent.encode("utf-8", "surrogatepass")).hex()[:16]
    return Decision(
        Technique.PREFIX_CACHE,
        "an agent's calls meet at one cache",
        fields={"prompt_cache_key": msgspec.json.encode(f"bursar-{name}")},
    )
