"""A prompt laid out for one model: every prefix named, and its tokens counted.

A provider's cache matches whole prefixes, so what counts of a prompt is, block by block, a digest of
all that came up to there and the tokens up to there. A `Layout` holds just that.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import msgspec

from bursar.domain.prompt import Block, Mark, Piece, Place, Prompt, Section, digest
from bursar.domain.tokens import PER_MILLE, TokenRatios


@dataclass(frozen=True, slots=True)
class Places(Sequence[Place]):
    """Where each block of a prompt stands, worked out when asked: few blocks are ever asked about.

    Attributes:
        piece_ends: For each piece in prompt order, the number of blocks up to its end.
        tools: Number of tools.
        system: Number of system pieces.
    """

    piece_ends: tuple[int, ...]
    tools: int
    system: int

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


class Layout(msgspec.Struct, frozen=True):
    """Blocks of one prompt in prompt order, by parallel sequences indexed by block number from 0.

    Attributes:
        chain: `chain[i]` names the prefix that ends with block i, for one upstream account and model.
        ends: `ends[i]` is the estimated tokens of the prefix that ends with block i, overhead included.
        blocks: The blocks themselves.
        places: Where each block stands in the request.
        marks: The client's own marks, by block number, an automatic one included.
        tools_end: Number of blocks in the tools.
        system_end: Number of blocks in tools and system.
        message_ends: For each message, the number of blocks up to its end.
    """

    chain: tuple[bytes, ...]
    ends: tuple[int, ...]
    blocks: tuple[Block, ...]
    places: Sequence[Place]
    marks: Mapping[int, Mark]
    tools_end: int
    system_end: int
    message_ends: tuple[int, ...]

    @property
    def total_tokens(self) -> int:
        """Estimated tokens of the whole prompt."""
        return self.ends[-1] if self.ends else 0

    def last_markable(self, end: int) -> int | None:
        """Return the last block before `end` that takes a mark, or None."""
        return next((i for i in range(end - 1, -1, -1) if self.blocks[i].markable), None)


def lay_out(prompt: Prompt, *, scope: bytes, ratios: TokenRatios) -> Layout:
    """Lay a prompt out for one model.

    A prefix has the same name in every prompt that begins with it, with one exception: tools count as a
    whole. One that is added behind the others renames them all, as providers say that it invalidates
    their cache (anthropics/skills, prompt-caching page, July 2026).

    Args:
        prompt: The prompt.
        scope: What separates caches, as one byte string: upstream base URL, credential and model. At
            OpenAI also what routes a request to a machine (`cachemodel.openai.routing_scope`).
        ratios: The model's tokens per o200k token, by content class, and what the provider adds.
    """
    rows = _Rows(ratios)
    link = digest(scope)
    overhead = ratios.overhead
    # The section's name keeps a text that moves from system to messages from matching itself.
    link = digest(link + b"tools" + prompt.tools_salt + _name_of_all(prompt.tools))
    link = rows.add(link, prompt.tools, 0)
    tools_end = len(rows.chain)
    link = digest(link + b"system" + prompt.system_salt)
    link = rows.add(link, prompt.system, overhead.system_tokens)
    system_end = len(rows.chain)
    link = digest(link + b"messages" + prompt.messages_salt)
    rows.add(link, prompt.messages, overhead.message_tokens)

    # Tools come first, so what they and the request as a whole bring about belongs to the first block,
    # and every prefix holds it.
    fixed_tokens = overhead.request_tokens + (overhead.tools_tokens if tools_end else 0)
    ends = tuple([end + fixed_tokens for end in rows.ends]) if fixed_tokens else tuple(rows.ends)
    before_messages = len(prompt.tools) + len(prompt.system)
    layout = Layout(
        chain=tuple(rows.chain),
        ends=ends,
        blocks=tuple(rows.blocks),
        places=Places(tuple(rows.piece_ends), len(prompt.tools), len(prompt.system)),
        marks=rows.marks,
        tools_end=tools_end,
        system_end=system_end,
        message_ends=tuple(rows.piece_ends[before_messages:]),
    )
    if prompt.auto_mark is not None:
        last = layout.last_markable(len(layout.chain))
        if last is not None:
            rows.marks.setdefault(last, prompt.auto_mark)
    return layout


def _name_of_all(tools: Sequence[Piece]) -> bytes:
    return digest(b"".join([block.digest for tool in tools for block in tool.blocks]))


class _Rows:
    """The columns of a layout, as they grow."""

    __slots__ = ("_per_mille", "blocks", "chain", "ends", "marks", "piece_ends")

    def __init__(self, ratios: TokenRatios) -> None:
        self._per_mille = ratios.per_mille
        self.chain: list[bytes] = []
        self.ends: list[int] = []
        self.blocks: list[Block] = []
        self.marks: dict[int, Mark] = {}
        self.piece_ends: list[int] = []

    def add(self, link: bytes, pieces: Sequence[Piece], piece_tokens: int) -> bytes:
        """Append a section's pieces and return the link of its last block.

        Names are local and `TokenRatios.convert` is written out: this runs for every block of every
        call.
        """
        chain, ends, per_mille = self.chain, self.ends, self._per_mille
        add_link, add_end = chain.append, ends.append
        tokens = ends[-1] if ends else 0
        for piece in pieces:
            tokens += piece_tokens
            blocks = piece.blocks
            for block in blocks:
                link = digest(link + block.digest)
                tokens -= -block.base_tokens * per_mille[block.content_class] // PER_MILLE
                add_link(link)
                add_end(tokens)
                if block.mark is not None:
                    self.marks[len(chain) - 1] = block.mark
            self.blocks += blocks
            self.piece_ends.append(len(chain))
        return link
