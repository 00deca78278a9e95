"""How reservations ended, in memory."""

from collections.abc import Sequence

from bursar.adapters.budgets.recent import Recent
from bursar.adapters.budgets.rules import PRESUMED_KEPT_S, TOMBSTONE_KEPT_S
from bursar.domain.reservations import End


class Tombstones:
    """How reservations ended, for a while; of presumed ends, the amounts too.

    Args:
        ended_max: How many are kept. Where more end within `TOMBSTONE_KEPT_S`, the oldest half is forgotten
            sooner. One takes about 0.2 KB.
    """

    def __init__(self, ended_max: int) -> None:
        self._ended: Recent[str, End] = Recent(TOMBSTONE_KEPT_S, ended_max)
        self._presumed: Recent[str, tuple[int, ...]] = Recent(PRESUMED_KEPT_S, ended_max)

    def find(self, reservation_id: str) -> End | None:
        """Return how a reservation ended, or None where that is not known."""
        end = self._ended.get(reservation_id)
        if end is None and self._presumed.get(reservation_id) is not None:
            return End.PRESUMED
        return end

    def presumed(self, reservation_id: str) -> tuple[int, ...] | None:
        """Return what was counted for a reservation whose end was presumed; None for any other."""
        return self._presumed.get(reservation_id)

    def put(self, reservation_id: str, end: End, amounts: Sequence[int], now_s: float) -> None:
        """Keep how a reservation ended; what was presumed of it before is no longer to be corrected."""
        if end is End.PRESUMED:
            self._presumed.put(reservation_id, tuple(amounts), now_s)
        else:
            self._presumed.remove(reservation_id)
            self._ended.put(reservation_id, end, now_s)
