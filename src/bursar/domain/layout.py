"""A prompt laid out for one model: every prefix named, and its tokens counted.

A provider's cache matches whole prefixes, so what counts of a prompt is, block by block, a digest of
all that came up to there and the tokens up to there. A `Layout` holds just that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bursar.domain.prompt import Block, Mark, Place, Prompt, Section, digest
from bursar.domain.tokens import TokenRatios


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of one prompt in prompt order, by parallel tuples indexed by block number from 0.

    Attributes:
        chain: `chain[i]` names the prefix that ends with block i, for one upstream account and model.
        ends: `ends[i]` is the estimated tokens of the prefix that ends with block i.
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
    places: tuple[Place, ...]
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

    Args:
        prompt: The prompt.
        scope: What separates caches: upstream base URL, credential and model, as one byte string.
        ratios: The model's tokens per o200k token, by content class.
    """
    chain: list[bytes] = []
    ends: list[int] = []
    blocks: list[Block] = []
    places: list[Place] = []
    marks: dict[int, Mark] = {}
    message_ends: list[int] = []
    section_ends: list[int] = []
    link = digest(scope)
    tokens = 0
    sections = (
        (Section.TOOLS, prompt.tools, prompt.tools_salt),
        (Section.SYSTEM, prompt.system, prompt.system_salt),
        (Section.MESSAGES, prompt.messages, prompt.messages_salt),
    )
    for section, pieces, salt in sections:
        # The section's name keeps a text that moves from system to messages from matching itself.
        link = digest(link + section.encode() + salt)
        for number, piece in enumerate(pieces):
            for index, block in enumerate(piece.blocks):
                link = digest(link + block.digest)
                tokens += ratios.tokens(block)
                if block.mark is not None:
                    marks[len(chain)] = block.mark
                chain.append(link)
                ends.append(tokens)
                blocks.append(block)
                places.append(Place(section, number, index))
            if section is Section.MESSAGES:
                message_ends.append(len(chain))
        section_ends.append(len(chain))
    layout = Layout(
        chain=tuple(chain),
        ends=tuple(ends),
        blocks=tuple(blocks),
        places=tuple(places),
        marks=marks,
        tools_end=section_ends[0],
        system_end=section_ends[1],
        message_ends=tuple(message_ends),
    )
    if prompt.auto_mark is not None:
        last = layout.last_markable(len(chain))
        if last is not None:
            marks.setdefault(last, prompt.auto_mark)
    return layout
