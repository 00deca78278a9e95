"""Prompts and rules made by hand, for the tests of the cache model."""

from collections.abc import Sequence
from dataclasses import dataclass

from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, TokenRatios

AS_O200K = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)

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
