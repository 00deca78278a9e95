"""Which conversations are active, in memory."""

from collections.abc import Callable

import msgspec

from bursar.adapters.budgets.counters import Cell
from bursar.adapters.budgets.recent import Recent
from bursar.adapters.budgets.rules import CONVERSATION_KEPT_S
from bursar.domain.reservations import IDLE_S


class _Settles(msgspec.Struct, frozen=True, gc=False):
    """Order number of a conversation's first settle, and when its last one was."""

    first: int
    last_s: float


class Conversations:
    """When conversations settled, in the order of all settles.

    Args:
        conversations_max: How many are known. Where more are active, the half that settled least lately
            counts as new. One takes about 0.25 KB.
    """

    def __init__(self, conversations_max: int) -> None:
        self._settles: Recent[str, _Settles] = Recent(CONVERSATION_KEPT_S, conversations_max)
        self.next_order = 1
        """Order number of the next settle."""

    def settled(self, conversation: str, now_s: float) -> None:
        """Learn that a conversation settled a call."""
        before = self._settles.get(conversation)
        if before is None or now_s - before.last_s >= CONVERSATION_KEPT_S:
            first = self.next_order
        else:
            first = before.first
        self._settles.put(conversation, _Settles(first, now_s), now_s)
        self.next_order += 1

    def forget(self, belongs: Callable[[str], bool]) -> None:
        """Forget conversations."""
        self._settles.drop(belongs)

    def is_new(self, conversation: str, cell: Cell, new_limit: int, now_s: float) -> bool:
        """Whether a conversation is a new one to a counter (`Demand.new_limit`)."""
        known = self._settles.get(conversation)
        if known is None or now_s - known.last_s >= IDLE_S:
            return True
        return cell.crossed is not None and cell.new_limit == new_limit and known.first >= cell.crossed
