"""A prompt as providers see it: a row of blocks in prompt order (tools, system, messages).

Blocks are known by a digest of their content *without* cache marks, since clients move marks from turn
to turn. A prompt's chain of digests names each of its prefixes; that is what a provider's cache, a
thread and a memo are keyed by. No text is kept here.
"""

from enum import StrEnum

import msgspec
import xxhash


class Section(StrEnum):
    """The parts of a prompt, in prompt order."""

    TOOLS = "tools"
    SYSTEM = "system"
    MESSAGES = "messages"


class BlockKind(StrEnum):
    """What a block is, in terms that all dialects share."""

    TOOL = "tool"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    THINKING = "thinking"
    IMAGE = "image"
    OTHER = "other"


class ContentClass(StrEnum):
    """Kinds of text that tokenizers treat differently; token ratios are kept per class."""

    POLICY = "policy"
    CHAT = "chat"
    ASSISTANT = "assistant"
    JSON = "json"
    CODE = "code"
    CJK = "cjk"
    MEDIA = "media"  # Images, documents, recordings: their tokens are the provider's formula, not a text's.


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A cache mark: the prefix that ends with its block is to be kept for a time to live.

    Attributes:
        ttl: `"5m"` or `"1h"` at Anthropic; `"30m"` or `"12h"` at OpenAI from 5.6.
    """

    ttl: str


class Block(msgspec.Struct, frozen=True, gc=False):
    """One content block, as far as it is the same wherever it stands.

    Attributes:
        kind: What it is.
        content_class: Which token ratio applies.
        digest: 16 bytes that name its content without cache marks.
        base_tokens: Tokens by o200k, without any model's ratio; images by the dialect's formula.
        markable: Whether the provider accepts a cache mark on it.
        mark: The client's own mark.
    """

    kind: BlockKind
    content_class: ContentClass
    digest: bytes
    base_tokens: int
    markable: bool = True
    mark: Mark | None = None


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One member of a section's list: a tool definition, a system block, or a whole message.

    Attributes:
        role: Who speaks; `SYSTEM` for tools and system text.
        blocks: Its blocks, in order; never empty.
        echo: For an assistant's message, a digest of its text and tool-call ids only: what a client
            sends back of a response, however else it writes it. Empty for others.
        features: What it holds that a dialect asks about of whole prompts, such as images.
    """

    role: Role
    blocks: tuple[Block, ...]
    echo: bytes = b""
    features: frozenset[str] = frozenset()


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a block stands: `section[piece]`, its block `block`."""

    section: Section
    piece: int
    block: int


class Prompt(msgspec.Struct, frozen=True, gc=False):
    """A whole prompt: pieces in prompt order, and what distinguishes equal text under other settings.

    Attributes:
        tools: Tool definitions.
        system: System blocks.
        messages: Messages, in order.
        tools_salt: What makes equal tools differ to the provider's cache (nothing, as a rule).
        system_salt: Settings whose change keeps cached tools but not the rest (speed, web search,
            citations).
        messages_salt: Settings whose change keeps tools and system but not messages (tool_choice,
            images, thinking).
        auto_mark: The client asked the provider to mark the last markable block by itself
            (Anthropic's top-level `cache_control`).
        passing_blocks: Blocks at the end that we added for this call only: the next turn comes without, so
            that no mark of ours stands there.
    """

    tools: tuple[Piece, ...]
    system: tuple[Piece, ...]
    messages: tuple[Piece, ...]
    tools_salt: bytes = b""
    system_salt: bytes = b""
    messages_salt: bytes = b""
    auto_mark: Mark | None = None
    passing_blocks: int = 0

    def pieces(self) -> tuple[Piece, ...]:
        """All pieces in prompt order."""
        return self.tools + self.system + self.messages


# A client that moves its cache marks writes the last few messages anew at each turn.
_REWRITTEN_MAX = 8


def shared_start(known: tuple[Piece, ...], pieces: tuple[Piece, ...]) -> int:
    """Return how many pieces two prompts share from the start, as far as that is cheap to tell.

    Remembered pieces are the same objects, so that comparing them takes nanoseconds. Prompts that differ
    earlier than in the last few pieces of the shorter one are taken to share nothing.
    """
    count = min(len(known), len(pieces))
    least = max(0, count - _REWRITTEN_MAX)
    while count > least and known[count - 1] is not pieces[count - 1]:
        count -= 1
    return count if known[:count] == pieces[:count] else 0


digest = xxhash.xxh3_128_digest
"""Name content by 16 bytes (XXH3-128): fast, and not for anything that must resist forgery."""
