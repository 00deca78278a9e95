"""What is remembered of pieces already read, so that a turn costs its new messages only."""

from bursar.domain.prompt import Piece


class PieceMemo:
    """Pieces by the digest of their raw bytes, bounded; the oldest leave in batches.

    Args:
        pieces_max: How many are kept. One takes about 0.5 KB.
    """

    def __init__(self, pieces_max: int = 200_000) -> None:
        self._pieces: dict[bytes, Piece] = {}
        self._pieces_max = pieces_max

    def get(self, key: bytes) -> Piece | None:
        """Return a remembered piece."""
        return self._pieces.get(key)

    def put(self, key: bytes, piece: Piece) -> None:
        """Remember a piece."""
        pieces = self._pieces
        pieces[key] = piece
        if len(pieces) > self._pieces_max:
            # Evicting a batch costs a tenth of evicting one by one: a dict is walked from its start
            # over the holes of earlier evictions each time.
            for old in list(pieces)[: max(1, self._pieces_max // 8)]:
                del pieces[old]

    def __len__(self) -> int:
        return len(self._pieces)
