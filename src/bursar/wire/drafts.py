"""Pieces that were parsed, but whose texts are yet to be counted.

A dialect drafts the pieces that its memo does not know; the engine counts the drafts' texts; finishing
turns them into `Piece`s and teaches the memo.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import xxhash

from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Role, digest
from bursar.wire.content import classify
from bursar.wire.memo import PieceMemo


@dataclass(slots=True)
class BlockDraft:
    """One content block before its tokens are known.

    Attributes:
        kind: What it is.
        content_class: Which token ratio applies.
        content: Canonical bytes of its content, without cache marks.
        text: What the tokenizer is to count; empty for nothing.
        extra_tokens: Tokens beside the text, such as an image's.
        markable: Whether it takes a cache mark.
        mark: The client's own mark.
    """

    kind: BlockKind
    content_class: ContentClass
    content: bytes
    text: str = ""
    extra_tokens: int = 0
    markable: bool = True
    mark: Mark | None = None


@dataclass(slots=True)
class PieceDraft:
    """One piece before its tokens are known.

    Attributes:
        role: Who speaks.
        blocks: Its blocks, in order; at least one.
        head: What distinguishes its first block beyond its content: role and name.
        echo: As `Piece.echo`.
    """

    role: Role
    blocks: list[BlockDraft]
    head: bytes = b""
    echo: bytes = b""

    def finish(self, counts: Sequence[int]) -> Piece:
        """Make the piece, given the tokens of its texts in order."""
        finished: list[Block] = []
        position = 0
        head = self.head
        for block in self.blocks:
            tokens = block.extra_tokens
            if block.text:
                tokens += counts[position]
                position += 1
            finished.append(
                Block(
                    kind=block.kind,
                    content_class=block.content_class,
                    digest=digest(head + b"\0" + block.content),
                    base_tokens=tokens,
                    markable=block.markable,
                    mark=block.mark,
                )
            )
            head = b""
        return Piece(role=self.role, blocks=tuple(finished), echo=self.echo)

    def texts(self) -> list[str]:
        """The texts to count, in order."""
        return [block.text for block in self.blocks if block.text]


class PieceReader:
    """Finds a body's pieces in a memo, and drafts those that it does not know.

    Args:
        memo: What is remembered of earlier bodies.
    """

    def __init__(self, memo: PieceMemo) -> None:
        self._memo = memo
        self._drafts: dict[bytes, PieceDraft] = {}
        self._gaps: list[tuple[list[Piece], int, bytes]] = []

    def take(
        self,
        elements: Sequence[msgspec.Raw],
        place: str,
        tag: bytes,
        parse: Callable[[msgspec.Raw, str], PieceDraft],
    ) -> list[Piece]:
        """Look up the pieces of one array, by their raw bytes, and draft the unknown.

        Args:
            elements: Its raw elements.
            place: Its path, such as `messages`.
            tag: Tells dialects and sections apart where raw bytes are equal.
            parse: Drafts one element, given its path; may raise BadRequest.

        Returns:
            The pieces; gaps in it are filled by `finish`.
        """
        name = xxhash.xxh3_128_digest
        get = self._memo.get
        pieces: list[Piece] = []
        for index, element in enumerate(elements):
            key = name(element) + tag
            piece = get(key)
            if piece is None:
                piece = _GAP
                if key not in self._drafts:
                    self._drafts[key] = parse(element, f"{place}[{index}]")
                self._gaps.append((pieces, index, key))
            pieces.append(piece)
        return pieces

    def texts(self) -> list[str]:
        """The texts of all drafts, in order."""
        return [text for draft in self._drafts.values() for text in draft.texts()]

    def finish(self, counts: Sequence[int]) -> None:
        """Fill the gaps and teach the memo, given the tokens of `texts()` in order."""
        finished: dict[bytes, Piece] = {}
        position = 0
        for key, draft in self._drafts.items():
            texts = len(draft.texts())
            finished[key] = draft.finish(counts[position : position + texts])
            position += texts
            self._memo.put(key, finished[key])
        for pieces, index, key in self._gaps:
            pieces[index] = finished[key]


def draft_text(text: str, prose: ContentClass, mark: Mark | None = None) -> BlockDraft:
    """Draft a text block without further members. Providers refuse marks on blank text.

    Args:
        text: The text.
        prose: Its content class where it is neither source code nor CJK.
        mark: The client's mark.
    """
    return BlockDraft(
        kind=BlockKind.TEXT,
        content_class=classify(text, prose),
        content=b"text\0" + text.encode(),
        text=text,
        markable=bool(text) and not text.isspace(),
        mark=mark,
    )


def echo_digest(texts: Iterable[str], tool_call_ids: Iterable[str]) -> bytes:
    """Name an assistant's message by what every client sends back of it.

    Args:
        texts: Its text, in any division.
        tool_call_ids: The ids of its tool calls, in order.
    """
    return digest("\0".join(("".join(texts), *tool_call_ids)).encode())


# Stands in a list until the piece's texts are counted.
_GAP = Piece(role=Role.SYSTEM, blocks=())
