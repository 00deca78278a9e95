"""What is remembered of pieces already read, so that a turn costs its new messages only."""

import msgspec
import xxhash

from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import Piece, digest

# Shorter arrays are remembered whole only: they hold too little for beginnings to pay.
RUN_BYTES_MIN = 1_024

# A run takes about 0.05 KB for each of its pieces, and as much as for ten of them beside (measured).
_RUN_WEIGHT = 10


class Run(msgspec.Struct, frozen=True, gc=False):
    """The pieces of one array, or of its beginning.

    Attributes:
        pieces: The pieces, in order.
        ends: For each, where it ends in the array's bytes.
        features: What the pieces hold, together (`Piece.features`).
    """

    pieces: tuple[Piece, ...] = ()
    ends: tuple[int, ...] = ()
    features: frozenset[str] = frozenset()


class _Known(msgspec.Struct, frozen=True, gc=False):
    """A run, the bytes that it takes, and their digest."""

    run: Run
    size_bytes: int
    digest: bytes


NO_RUN = Run()


class PieceMemo:
    """Pieces by the digest of their raw bytes, and arrays, or their beginnings, by that of theirs.

    Both are bounded; the oldest leave in batches. A conversation sends the same array again and again,
    each time a little longer: with its beginning known, only what is new is split and looked up. Short
    arrays, such as an agent's tools, are known where they come again as they are.

    Args:
        pieces_max: How many pieces are kept. One takes about 0.5 KB; all runs together take at most two
            fifths of what the pieces may. A conversation whose messages are rewritten has two.
    """

    def __init__(self, pieces_max: int = 200_000) -> None:
        self._pieces: BoundedDict[bytes, Piece] = BoundedDict(pieces_max)
        self._runs: WeighedDict[bytes, _Known] = WeighedDict(4 * pieces_max, _weigh)
        self.get = self._pieces.get
        """Return a remembered piece by its key, or None."""

    def put(self, key: bytes, piece: Piece) -> None:
        """Remember a piece."""
        self._pieces.keep(key, piece)

    def beginning(self, content: bytes, tag: bytes) -> Run:
        """Return the longest run that is known to begin an array; an empty one where none is.

        Args:
            content: Raw JSON of the array.
            tag: Tells dialects and sections apart where raw bytes are equal.
        """
        if len(content) < RUN_BYTES_MIN:
            known = self._runs.get(digest(content) + tag)
            return known.run if known is not None else NO_RUN
        milestone = _milestone(len(content))
        view = memoryview(content)
        # What was known may end before the last milestone, seldom before the one before it.
        for size_bytes in (milestone, milestone >> 1):
            if size_bytes < RUN_BYTES_MIN:
                break
            name = xxhash.xxh3_128(view[:size_bytes])
            known = self._runs.get(name.digest() + tag)
            if known is not None and known.size_bytes <= len(content):
                name.update(view[size_bytes : known.size_bytes])
                if name.digest() == known.digest:
                    return known.run
        return NO_RUN

    def keep_whole(self, content: bytes, tag: bytes, run: Run) -> None:
        """Remember the run that a short array is, for where it comes again as it is."""
        name = digest(content)
        self._runs.keep(name + tag, _Known(run, len(content), name))

    def keep_beginning(self, content: bytes, tag: bytes, run: Run) -> None:
        """Remember the run with which an array begins.

        It is found again by the digest of its first 2ⁿ bytes, the most that it has: conversations with a
        common start are told apart once they have gone on for as long again.
        """
        size_bytes = run.ends[-1] if run.ends else 0
        if size_bytes < RUN_BYTES_MIN:
            return
        milestone = _milestone(size_bytes)
        view = memoryview(content)
        name = xxhash.xxh3_128(view[:milestone])
        key = name.digest() + tag
        name.update(view[milestone:size_bytes])
        self._runs.keep(key, _Known(run, size_bytes, name.digest()))

    def __len__(self) -> int:
        return len(self._pieces)


def _milestone(size_bytes: int) -> int:
    """Return the largest power of two that is not more; 0 for nothing."""
    return 1 << size_bytes.bit_length() >> 1


def _weigh(known: _Known) -> int:
    return _RUN_WEIGHT + len(known.run.pieces)
