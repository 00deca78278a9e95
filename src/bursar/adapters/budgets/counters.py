"""Counters in memory."""

from collections import deque
from collections.abc import Callable

import msgspec

from bursar.adapters.budgets.rules import kept_s
from bursar.domain.reservations import Counter, Level


class Cell(msgspec.Struct, gc=False):
    """How one counter stands.

    Attributes:
        settled: What was really taken.
        held: What is held.
        new_limit: Where new conversations were refused, by the demand that was settled last.
        crossed: Order number of the settle at which `settled` reached `new_limit`; None while it is below.
        used_s: When it was last written to.
    """

    settled: int = 0
    held: int = 0
    new_limit: int | None = None
    crossed: int | None = None
    used_s: float = 0.0

    @property
    def level(self) -> Level:
        """How it stands, to tell others."""
        return Level(self.settled, self.held)

    def cross(self, new_limit: int | None, order: int) -> None:
        """Note whether the settled amount, which may have changed, has reached where new ones are refused.

        Args:
            new_limit: Where that is; None if the demand does not say.
            order: Number of the settle that is under way, or of the next.
        """
        if new_limit is not None and new_limit != self.new_limit:
            self.new_limit = new_limit
            self.crossed = None
        if self.new_limit is None or self.settled < self.new_limit:
            self.crossed = None
        elif self.crossed is None:
            self.crossed = order


class Counters:
    """The cells of all counters.

    Bounded by what must be kept: each new cell has two others looked at in turn, so that there are never
    more than about twice as many as must be. A cell leaves when it holds nothing and its time (`kept_s`)
    has passed.
    """

    def __init__(self) -> None:
        self._cells: dict[Counter, Cell] = {}
        self._turn: deque[Counter] = deque()
        self.get = self._cells.get
        """Return a counter's cell, or None."""

    def add(self, counter: Counter, cell: Cell, now_s: float) -> None:
        """Keep the cell of a counter that has none."""
        for _ in range(min(2, len(self._turn))):
            self._look_at(self._turn.popleft(), now_s)
        self._cells[counter] = cell
        if kept_s(counter) is not None:
            self._turn.append(counter)

    def forget(self, belongs: Callable[[str], bool]) -> None:
        """Forget what scopes have settled; of what is held, only that is remembered."""
        for counter in [counter for counter in self._cells if belongs(counter.scope)]:
            cell = self._cells[counter]
            if cell.held:
                cell.settled, cell.crossed = 0, None
            else:
                del self._cells[counter]
        self._turn = deque(counter for counter in self._turn if counter in self._cells)

    def _look_at(self, counter: Counter, now_s: float) -> None:
        cell = self._cells[counter]
        since_s = cell.used_s if counter.end_s is None else counter.end_s
        kept = kept_s(counter)
        if kept is None or cell.held or now_s < since_s + kept:
            self._turn.append(counter)
        else:
            del self._cells[counter]

    def __len__(self) -> int:
        return len(self._cells)
