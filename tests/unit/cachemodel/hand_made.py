"""Prompts and rules made by hand, for the tests of the cache model."""

from collections.abc import Sequence
from dataclasses import dataclass

from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, TokenRatios
from bursar.domain.usage import TokenClass

AS_O200K = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)

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
    ttls_s={"in_memory": 300, "24h": 86400},
    write_classes={"in_memory": TokenClass.INPUT, "24h": TokenClass.INPUT},
    default_ttl="in_memory",
    step_tokens=128,
)
OPENAI_MARKS = CacheRules(
    model="gpt-6*",
    kind=CacheKind.OPENAI_MARKS,
    minimum_tokens=1024,
    minimum_assumed=False,
    ttls_s={"30m": 1800, "12h": 43200},
    write_classes={"30m": TokenClass.CACHE_WRITE_30M, "12h": TokenClass.CACHE_WRITE_12H},
    default_ttl="30m",
    marks_max=4,
    matching_marks=80,
)

FIVE = Mark("5m")
HOUR = Mark("1h")


@dataclass(frozen=True)
class Row:
    """Prefixes without a prompt behind them: names and sizes only."""

    chain: tuple[bytes, ...]
    ends: tuple[int, ...]
    message_ends: tuple[int, ...] = ()


def row(*ends: int, name: str = "", message_ends: Sequence[int] = ()) -> Row:
    """Prefixes that end at the given tokens; rows of one name share their common part."""
    chain = tuple(f"{name}{index}".encode() for index in range(len(ends)))
    return Row(chain, ends, tuple(message_ends))


def block(text: str, tokens: int = 1000, mark: Mark | None = None, *, markable: bool = True) -> Block:
    return Block(
        kind=BlockKind.TEXT,
        content_class=ContentClass.CHAT,
        digest=digest(text.encode()),
        base_tokens=tokens,
        markable=markable,
        mark=mark,
    )


def piece(*blocks: Block, role: Role = Role.USER) -> Piece:
    return Piece(role, blocks)


@dataclass(frozen=True)
class Settings:
    """What a request says besides its texts, as far as caches care."""

    model: str = "m"
    tools: tuple[str, ...] = ("search", "book")
    system: str = "policy"
    messages: tuple[str, ...] = ("hello",)
    system_salt: bytes = b""
    messages_salt: bytes = b""


def laid_out(settings: Settings) -> Layout:
    """A layout of 1,000 tokens a block."""
    prompt = Prompt(
        tools=tuple(piece(block(name), role=Role.SYSTEM) for name in settings.tools),
        system=(piece(block(settings.system), role=Role.SYSTEM),),
        messages=tuple(piece(block(text)) for text in settings.messages),
        system_salt=settings.system_salt,
        messages_salt=settings.messages_salt,
    )
    return lay_out(prompt, scope=settings.model.encode(), ratios=AS_O200K)
