"""Pieces that were parsed, but whose texts are yet to be counted.

A dialect drafts the pieces that its memo does not know; the engine counts the drafts' texts; finishing
turns them into `Piece`s and teaches the memo.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Role, digest
from bursar.wire import raw_json as raw
from bursar.wire.content import classify
from bursar.wire.memo import NO_RUN, RUN_BYTES_MIN, PieceMemo, Run


class BlockDraft(msgspec.Struct, gc=False):
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


class PieceDraft(msgspec.Struct, gc=False):
    """One piece before its tokens are known.

    Attributes:
        role: Who speaks.
        blocks: Its blocks, in order; at least one.
        head: What distinguishes its first block beyond its content: role and name.
        echo: As `Piece.echo`.
        features: As `Piece.features`.
    """

    role: Role
    blocks: list[BlockDraft]
    head: bytes = b""
    echo: bytes = b""
    features: frozenset[str] = frozenset()

    def finish(self, counts: Iterator[int]) -> Piece:
        """Make the piece, given the tokens of its texts in order (of which more may follow)."""
        finished: list[Block] = []
        head, features = self.head, self.features
        for block in self.blocks:
            if block.extra_tokens:
                features |= _HAS_MEDIA
            finished.append(
                Block(
                    kind=block.kind,
                    content_class=block.content_class,
                    digest=digest(head + b"\0" + block.content),
                    base_tokens=block.extra_tokens + (next(counts) if block.text else 0),
                    markable=block.markable,
                    mark=block.mark,
                )
            )
            head = b""
        return Piece(role=self.role, blocks=tuple(finished), echo=self.echo, features=features)

    def texts(self) -> list[str]:
        """The texts to count, in order."""
        return [block.text for block in self.blocks if block.text]


MEDIA = "media"
"""A feature of a piece that holds images, documents or recordings."""

_HAS_MEDIA = frozenset({MEDIA})

UNSEEN_MARKS = "unseen_marks"
"""A feature of a message in which marks may stand that are no block's own: providers count those too."""


def unseen_marks(content: bytes, field: str, blocks: Sequence[BlockDraft]) -> frozenset[str]:
    """Return `UNSEEN_MARKS` where a message may hold more marks than its blocks show.

    Args:
        content: The message's raw JSON. Quotes inside strings are escaped, so that only members count.
        field: The member that holds a mark.
        blocks: Its blocks.
    """
    seen = sum([block.mark is not None for block in blocks])
    return frozenset({UNSEEN_MARKS}) if content.count(f'"{field}"'.encode()) > seen else _NO_FEATURES


_NO_FEATURES: frozenset[str] = frozenset()


Parse = Callable[[msgspec.Raw, str], PieceDraft]


class ArrayDraft(msgspec.Struct, gc=False):
    """One array that holds more than was remembered, while it is read.

    Attributes:
        content: Its raw JSON.
        tag: Tells dialects and sections apart where raw bytes are equal.
        known: The part that was remembered.
        pieces: Those beyond it; gaps are filled by `PieceReader.finish`.
        ends: Where each of these ends in `content`.
        single: Whether it is no array, but the one piece that stands for it: remembered as a piece only.
    """

    content: bytes
    tag: bytes
    known: Run
    pieces: list[Piece]
    ends: list[int]
    single: bool = False


class PieceReader:
    """Finds the pieces of a body's arrays in a memo, and drafts those that it does not know.

    Args:
        memo: What is remembered of earlier bodies.
    """

    def __init__(self, memo: PieceMemo) -> None:
        self._memo = memo
        self._runs: dict[str, Run] = {}
        self._arrays: dict[str, ArrayDraft] = {}
        self._drafts: dict[bytes, PieceDraft] = {}
        self._gaps: list[tuple[list[Piece], int, bytes]] = []

    def take(self, content: bytes, place: str, tag: bytes, parse: Parse) -> int:
        """Look up the pieces of one array, by their raw bytes, and draft the unknown.

        Args:
            content: Its raw JSON.
            place: Its path, such as `messages`.
            tag: Tells dialects and sections apart where raw bytes are equal.
            parse: Drafts one element, which must be an object, given its path; may raise BadRequest.

        Returns:
            How many pieces it has.
        """
        known = self._memo.beginning(content, tag)
        before = len(known.pieces)
        end = known.ends[-1] if before else 0
        # Nothing but the closing bracket may follow what is known.
        rest = None if end and end + 1 == len(content) else _rest(content, end, place)
        if not rest:
            self._runs[place] = known
            return before
        array = self._arrays[place] = ArrayDraft(content, tag, known, [], [])
        pieces, ends, get = array.pieces, array.ends, self._memo.get
        for element in rest:
            key = digest(element) + tag
            piece = get(key)
            if piece is None:
                piece = self._draft(pieces, key, element, f"{place}[{before + len(pieces)}]", parse)
            pieces.append(piece)
            # Between elements there is nothing but white space and a comma.
            end = content.index(b"{", end) + len(memoryview(element))
            ends.append(end)
        return before + len(pieces)

    def take_one(self, content: bytes, place: str, tag: bytes, parse: Parse) -> None:
        """Look up, or draft, one piece that stands where an array might."""
        key = digest(content) + tag
        piece = self._memo.get(key)
        if piece is not None:
            self._runs[place] = Run((piece,), (len(content),), piece.features)
            return
        array = self._arrays[place] = ArrayDraft(content, tag, NO_RUN, [], [len(content)], single=True)
        array.pieces.append(self._draft(array.pieces, key, msgspec.Raw(content), place, parse))

    def texts(self) -> list[str]:
        """The texts of all drafts, in order."""
        return [text for draft in self._drafts.values() for text in draft.texts()] if self._drafts else []

    def finish(self, counts: Sequence[int]) -> Mapping[str, Run]:
        """Return all pieces by place, given the tokens of `texts()` in order, and teach the memo."""
        if self._drafts:
            self._fill_gaps(iter(counts))
        for place, array in self._arrays.items():
            self._runs[place] = self._close(array)
        return self._runs

    def _draft(
        self, pieces: list[Piece], key: bytes, element: msgspec.Raw, place: str, parse: Parse
    ) -> Piece:
        """Draft the next of an array's pieces, unless the same one was drafted already; return a gap."""
        if key not in self._drafts:
            self._drafts[key] = parse(element, place)
        self._gaps.append((pieces, len(pieces), key))
        return _GAP

    def _fill_gaps(self, counts: Iterator[int]) -> None:
        finished: dict[bytes, Piece] = {}
        for key, draft in self._drafts.items():
            piece = finished[key] = draft.finish(counts)
            self._memo.put(key, piece)
        for pieces, index, key in self._gaps:
            pieces[index] = finished[key]

    def _close(self, array: ArrayDraft) -> Run:
        """Return all pieces of an array, and remember together what will come again."""
        known, pieces, ends = array.known, array.pieces, array.ends
        run = _extend(known, pieces, ends)
        if array.single:
            return run
        if len(array.content) < RUN_BYTES_MIN:
            self._memo.keep_whole(array.content, array.tag, run)
            return run
        lasting = _lasting(pieces, whole=not known.pieces)
        if lasting:
            begun = run if lasting == len(pieces) else _extend(known, pieces[:lasting], ends[:lasting])
            self._memo.keep_beginning(array.content, array.tag, begun)
        return run


def _extend(run: Run, pieces: list[Piece], ends: list[int]) -> Run:
    features = run.features
    for piece in pieces:
        if piece.features:
            features |= piece.features
    return Run((*run.pieces, *pieces), (*run.ends, *ends), features)


def _rest(content: bytes, end: int, place: str) -> list[msgspec.Raw]:
    """Split what an array holds behind an offset, at which an element ends (0: its start)."""
    if not end:
        return raw.read_array(content, place)
    rest = content[end:].lstrip()
    # What follows an element is a comma, or the end.
    return raw.read_array(b"[" + rest[1:], place) if rest[:1] == b"," else []


def _lasting(pieces: list[Piece], *, whole: bool) -> int:
    """Return how many new pieces of an array will come again as they are.

    From where marks stand, clients write pieces anew at the next turn. Where the whole array is new, marks
    far from its end are taken to stay.
    """
    first = max(0, len(pieces) - _MARKED_MAX) if whole else 0
    for count in range(first, len(pieces)):
        for block in pieces[count].blocks:
            if block.mark is not None:
                return count
    return len(pieces)


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


# How many pieces at an array's end a client may mark anew at each turn.
_MARKED_MAX = 8

# Stands in a list until the piece's texts are counted.
_GAP = Piece(role=Role.SYSTEM, blocks=())
