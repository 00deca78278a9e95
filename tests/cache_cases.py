"""Calls as the techniques see them, made by hand: prompts of blocks of known size, at round prices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cache_rules
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, TokenRatios
from bursar.domain.usage import TokenClass
from bursar.policy.case import Case
from bursar.view.rhythm import Return

NOW_S = 1_764_000_000.0
FIVE, HOUR = Mark("5m"), Mark("1h")
NEVER = Return(0.0, 0.0)

# A round minimum makes the sizes in tables easy to read.
ANTHROPIC = replace(cache_rules.ANTHROPIC, minimum_tokens=1000)
OPENAI_MARKS = replace(cache_rules.OPENAI_MARKS, minimum_tokens=1000)
OPENAI_AUTOMATIC = cache_rules.OPENAI_AUTOMATIC


def rates(read_per_mille: int = 100) -> dict[TokenClass, int]:
    """Input costs 1,000; writes 1,250 (5 m) and 2,000 (1 h); reads as said."""
    return {
        TokenClass.INPUT: 1000,
        TokenClass.OUTPUT: 5000,
        TokenClass.CACHE_READ: read_per_mille,
        TokenClass.CACHE_WRITE_5M: 1250,
        TokenClass.CACHE_WRITE_30M: 1250,
        TokenClass.CACHE_WRITE_1H: 2000,
        TokenClass.CACHE_WRITE_12H: 2000,
    }


def laid_out(
    *,
    tools: int = 0,
    system: int = 0,
    messages: Sequence[Sequence[int]] = ((1,),),
    marks: Mapping[int, Mark] | None = None,
    unmarkable: Sequence[int] = (),
) -> Layout:
    """A layout by tokens: of the tools, of the system text, and of each block of each message.

    Marks and unmarkable blocks go by block number; messages alternate, the first is the user's.
    """
    marks = marks or {}
    number = 0

    def piece(role: Role, sizes: Sequence[int]) -> Piece:
        nonlocal number
        blocks: list[Block] = []
        for size in sizes:
            blocks.append(
                Block(
                    kind=BlockKind.TOOL if role is Role.SYSTEM else BlockKind.TEXT,
                    content_class=ContentClass.CHAT,
                    digest=digest(f"{number} {size}".encode()),
                    base_tokens=size,
                    markable=number not in unmarkable,
                    mark=marks.get(number),
                )
            )
            number += 1
        return Piece(role, tuple(blocks))

    prompt = Prompt(
        tools=(piece(Role.SYSTEM, [tools]),) if tools else (),
        system=(piece(Role.SYSTEM, [system]),) if system else (),
        messages=tuple(
            piece(Role.ASSISTANT if i % 2 else Role.USER, sizes) for i, sizes in enumerate(messages)
        ),
    )
    ratios = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
    return lay_out(prompt, scope=b"account", ratios=ratios)


def case(layout: Layout, **changes: Any) -> Case:
    """A call that nothing is known about yet and nothing follows."""
    known: dict[str, Any] = {
        "layout": layout,
        "options": CacheOptions(),
        "rules": ANTHROPIC,
        "rates": rates(),
        "thread": NEVER,
        "prefix": NEVER,
        "system_varies": False,
        "agent": "desk",
        "has_cache_key": False,
        "cache": ProviderCache(),
        "now_s": NOW_S,
    }
    return Case(**{**known, **changes})


def warmed(layout: Layout, marks: Mapping[int, Mark], rules: CacheRules = ANTHROPIC) -> ProviderCache:
    """A provider's cache that has just answered a prompt with these marks."""
    cache = ProviderCache()
    cache.keep(layout, cache.look(layout, marks, rules, NOW_S - 10), rules, NOW_S - 10)
    return cache
