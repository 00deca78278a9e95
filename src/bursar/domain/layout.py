"""A prompt laid out for one model: every prefix named, and its tokens counted.

A provider's cache matches whole prefixes, so what counts of a prompt is, block by block, a digest of
all that came up to there and the tokens up to there. A `Layout` holds just that.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import overload

import msgspec

from bursar.domain.prompt import Block, BlockKind, Mark, Piece, Place, Prompt, Section, digest, shared_start
from bursar.domain.tokens import PER_MILLE, TokenRatios


class Places(Sequence[Place]):
    """Where each block of a prompt stands, worked out when asked: few blocks are ever asked about.

    Args:
        piece_ends: For each piece in prompt order, the number of blocks up to its end.
        tools: Number of tools.
        system: Number of system pieces.
    """

    __slots__ = ("piece_ends", "system", "tools")

    def __init__(self, piece_ends: tuple[int, ...], tools: int, system: int) -> None:
        self.piece_ends = piece_ends
        self.tools = tools
        self.system = system

    def __len__(self) -> int:
        return self.piece_ends[-1] if self.piece_ends else 0

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Place]: ...
    def __getitem__(self, index: int | slice) -> Place | Sequence[Place]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        block = index + len(self) if index < 0 else index
        if not 0 <= block < len(self):
            raise IndexError(index)
        piece = bisect_right(self.piece_ends, block)
        within = block - (self.piece_ends[piece - 1] if piece else 0)
        if piece < self.tools:
            return Place(Section.TOOLS, piece, within)
        if piece < self.tools + self.system:
            return Place(Section.SYSTEM, piece - self.tools, within)
        return Place(Section.MESSAGES, piece - self.tools - self.system, within)


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Blocks of one prompt in prompt order, by parallel sequences indexed by block number from 0.

    Attributes:
        chain: `chain[i]` names the prefix that ends with block i, for one upstream account and model.
        ends: `ends[i]` is the estimated tokens of the prefix that ends with block i, overhead included.
        total_tokens: Those of the whole prompt.
        blocks: The blocks themselves.
        places: Where each block stands in the request.
        marks: The client's own marks, by block number, an automatic one included.
        tools_end: Number of blocks in the tools.
        system_end: Number of blocks in tools and system.
        message_ends: For each message, the number of blocks up to its end.
        result_ends: As `ends`, but of tool results only.
        front_link: Names what stands before the messages.
        prompt: What was laid out,
        scope: and for which caches,
        ratios: and by which ratios.
    """

    chain: tuple[bytes, ...]
    ends: tuple[int, ...]
    total_tokens: int
    blocks: tuple[Block, ...]
    places: Places
    marks: Mapping[int, Mark]
    tools_end: int
    system_end: int
    message_ends: tuple[int, ...]
    result_ends: tuple[int, ...]
    front_link: bytes
    prompt: Prompt
    scope: bytes
    ratios: TokenRatios

    @property
    def lasting_blocks(self) -> int:
        """Number of blocks that come again at the thread's next turn."""
        return len(self.chain) - self.prompt.passing_blocks

    def last_markable(self, end: int) -> int | None:
        """Return the last block before `end` that takes a mark, or None."""
        blocks = self.blocks
        for number in range(end - 1, -1, -1):
            if blocks[number].markable:
                return number
        return None


def lay_out(prompt: Prompt, *, scope: bytes, ratios: TokenRatios, known: Layout | None = None) -> Layout:
    """Lay a prompt out for one model.

    A prefix has the same name in every prompt that begins with it, with one exception: tools count as a
    whole. One that is added behind the others renames them all, as providers say that it invalidates
    their cache (anthropics/skills, prompt-caching page, July 2026).

    Args:
        prompt: The prompt.
        scope: What separates caches, as one byte string: upstream base URL, credential and model. At
            OpenAI also what routes a request to a machine (`cachemodel.openai.routing_scope`).
        ratios: The model's tokens per o200k token, by content class, and what the provider adds.
        known: A layout that is likely to begin as this one will: of the thread's last call. What they
            share is not worked out again.
    """
    if known is not None and _same_front(known, prompt, scope, ratios):
        begun, messages = known, shared_start(known.prompt.messages, prompt.messages)
    else:
        begun, messages = _lay_front(prompt, scope, ratios), 0
    if begun is known and prompt == begun.prompt:
        return begun
    end = begun.message_ends[messages - 1] if messages else begun.system_end
    rows = _Rows(begun, end)
    rows.add(
        begun.chain[end - 1] if messages else begun.front_link,
        prompt.messages[messages:],
        ratios.overhead.message_tokens,
    )
    piece_ends = (
        *begun.places.piece_ends[: len(prompt.tools) + len(prompt.system) + messages],
        *rows.piece_ends,
    )
    ends = begun.ends[:end] + tuple(rows.ends)
    layout = Layout(
        chain=begun.chain[:end] + tuple(rows.chain),
        ends=ends,
        total_tokens=ends[-1] if ends else 0,
        blocks=begun.blocks[:end] + tuple(rows.blocks),
        places=Places(piece_ends, len(prompt.tools), len(prompt.system)),
        marks=rows.marks,
        tools_end=begun.tools_end,
        system_end=begun.system_end,
        message_ends=begun.message_ends[:messages] + tuple(rows.piece_ends),
        result_ends=begun.result_ends[:end] + tuple(rows.result_ends),
        front_link=begun.front_link,
        prompt=prompt,
        scope=scope,
        ratios=ratios,
    )
    if prompt.auto_mark is not None:
        last = layout.last_markable(len(layout.chain))
        if last is not None:
            rows.marks.setdefault(last, prompt.auto_mark)
    return layout


def _same_front(known: Layout, prompt: Prompt, scope: bytes, ratios: TokenRatios) -> bool:
    """Whether everything before the messages' first block is as it was."""
    other = known.prompt
    return (
        known.ratios is ratios
        and known.scope == scope
        and other.tools == prompt.tools
        and other.system == prompt.system
        and other.tools_salt == prompt.tools_salt
        and other.system_salt == prompt.system_salt
        and other.messages_salt == prompt.messages_salt
    )


def _lay_front(prompt: Prompt, scope: bytes, ratios: TokenRatios) -> Layout:
    """Lay out tools and system only."""
    nothing = Layout((), (), 0, (), Places((), 0, 0), {}, 0, 0, (), (), b"", prompt, scope, ratios)
    rows = _Rows(nothing, 0)
    # The section's name keeps a text that moves from system to messages from matching itself.
    link = digest(digest(scope) + b"tools" + prompt.tools_salt + _name_of_all(prompt.tools))
    link = rows.add(link, prompt.tools, 0)
    tools_end = len(rows.chain)
    link = digest(link + b"system" + prompt.system_salt)
    link = rows.add(link, prompt.system, ratios.overhead.system_tokens)
    return Layout(
        chain=tuple(rows.chain),
        ends=tuple(rows.ends),
        total_tokens=rows.ends[-1] if rows.ends else 0,
        blocks=tuple(rows.blocks),
        places=Places(tuple(rows.piece_ends), len(prompt.tools), len(prompt.system)),
        marks=rows.marks,
        tools_end=tools_end,
        system_end=len(rows.chain),
        message_ends=(),
        result_ends=tuple(rows.result_ends),
        front_link=digest(link + b"messages" + prompt.messages_salt),
        prompt=prompt,
        scope=scope,
        ratios=ratios,
    )


def _name_of_all(tools: Sequence[Piece]) -> bytes:
    return digest(b"".join([block.digest for tool in tools for block in tool.blocks]))


class _Rows:
    """The columns of a layout, as they grow behind the first blocks of another.

    Args:
        begun: That other layout.
        end: How many of its blocks stay.
    """

    __slots__ = (
        "_first",
        "_result_tokens",
        "_tokens",
        "blocks",
        "chain",
        "ends",
        "marks",
        "per_mille",
        "piece_ends",
        "result_ends",
    )

    def __init__(self, begun: Layout, end: int) -> None:
        overhead = begun.ratios.overhead
        # Tools come first, so what they and the request as a whole bring about belongs to the first
        # block, and every prefix holds it.
        added_tokens = overhead.request_tokens + (overhead.tools_tokens if begun.prompt.tools else 0)
        self.per_mille = begun.ratios.per_mille
        self._first = end
        self._tokens = begun.ends[end - 1] if end else added_tokens
        self._result_tokens = begun.result_ends[end - 1] if end else 0
        # An automatic mark is left out: it moves with the prompt's end.
        self.marks: dict[int, Mark] = {
            number: mark
            for number, mark in begun.marks.items()
            if number < end and begun.blocks[number].mark is not None
        }
        self.chain: list[bytes] = []
        self.ends: list[int] = []
        self.blocks: list[Block] = []
        self.piece_ends: list[int] = []
        self.result_ends: list[int] = []

    def add(self, link: bytes, pieces: Sequence[Piece], piece_tokens: int) -> bytes:
        """Append a section's pieces and return the link of its last block.

        Names are local and nothing is called but `digest`: this runs for every new block.
        """
        chain, ends, results, per_mille = self.chain, self.ends, self.result_ends, self.per_mille
        first = self._first
        tokens = ends[-1] if ends else self._tokens
        result_tokens = results[-1] if results else self._result_tokens
        for piece in pieces:
            before = tokens
            tokens = start = tokens + piece_tokens
            # Rounded up once per piece, so that a text in two blocks has no more tokens than in one.
            scaled = 0
            for block in piece.blocks:
                link = digest(link + block.digest)
                scaled += block.base_tokens * per_mille[block.content_class]
                tokens = start - (-scaled // PER_MILLE)
                if block.kind is BlockKind.TOOL_RESULT:
                    result_tokens += tokens - before
                before = tokens
                chain.append(link)
                ends.append(tokens)
                results.append(result_tokens)
                if block.mark is not None:
                    self.marks[first + len(chain) - 1] = block.mark
            self.blocks += piece.blocks
            self.piece_ends.append(first + len(chain))
        return link
