"""Which call is to be made next, and what is asked again.

An item whose answer is missing, malformed or there twice is asked again alone, since it is the item that the
model stumbled over. Of a call that brought nothing at all, each half is asked again; what an output limit cut
off goes on in further calls. An item that has been asked three times has failed, with the last reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bursar.policy.batch.answers import Fault, FaultKind, Json
from bursar.policy.batch.items import Item
from bursar.policy.batch.sizing import Sizing

TRIES_MAX = 3

# Nobody has looked at these items yet: they are asked again as they were.
_UNTOUCHED = frozenset((FaultKind.FAILED, FaultKind.EXPIRED, FaultKind.CANCELLED))

# Somebody has to decide whether these are asked again: it may cost twice, or is not wanted.
_FINAL = frozenset((FaultKind.UNSEEN, FaultKind.CANCELLED))


class PackedCall(msgspec.Struct, frozen=True, gc=False):
    """One call for several items.

    Attributes:
        number: From 1, in the order in which calls are made.
        items: Their positions in the batch, from 0.
        tokens_max: Its output limit.
        note: What the model is told where its items were asked before: why, and the how-manieth time this is.
            So no answer that was kept for an earlier time answers it again.
    """

    number: int
    items: tuple[int, ...]
    tokens_max: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        answers: Good answers by position.
        faults: Why the other items have none.
        output_tokens: What the answer took, without reasoning; None where that is unknown.
        is_cut: Whether it reached its output limit.
    """

    answers: Mapping[int, Json]
    faults: Mapping[int, Fault]
    output_tokens: int | None = None
    is_cut: bool = False


class Work:
    """The state of a batch.

    Args:
        items: All items, in their order.
        sizing: How many go together.
    """

    def __init__(self, items: Sequence[Item], sizing: Sizing) -> None:
        self.items = items
        self.sizing = sizing
        self.answers: dict[int, Json] = {}
        self.failed: dict[int, Fault] = {}
        self.retries = 0
        self._tries_max = TRIES_MAX
        self._tries = [0] * len(items)
        self._started = [False] * len(items)
        self._fresh = 0
        self._groups: dict[tuple[int, ...], str] = {}
        self._under_way: dict[int, PackedCall] = {}
        self._calls = 0

    @property
    def is_done(self) -> bool:
        """Whether every item has an answer or has failed."""
        return len(self.answers) + len(self.failed) == len(self.items)

    @property
    def under_way(self) -> tuple[PackedCall, ...]:
        """Calls that have begun, and not ended."""
        return tuple(self._under_way.values())

    def find(self, number: int) -> PackedCall | None:
        """Return a call under way by its number; None once it has ended."""
        return self._under_way.get(number)

    def tries(self, position: int) -> int:
        """Return how often an item was asked."""
        return self._tries[position]

    def next(self) -> PackedCall | None:
        """Return the next call, or None where there is none before one under way has ended.

        It has begun with that: `begin` is for calls of which a journal tells.
        """
        positions, note = next(iter(self._groups.items()), (None, ""))
        positions = positions or self._pack()
        if not positions:
            return None
        call = PackedCall(self._calls + 1, positions, self.sizing.tokens_max(len(positions)), note)
        self.begin(call)
        return call

    def begin(self, call: PackedCall) -> None:
        """Take note that a call is made."""
        self._groups.pop(call.items, None)
        for position in call.items:
            self._started[position] = True
        self._calls = max(self._calls, call.number)
        self._under_way[call.number] = call

    def withdraw(self, call: PackedCall) -> None:
        """Take note that a call was not made after all, and cost nothing: its items wait again."""
        if self._under_way.pop(call.number, None) is not None:
            self._groups[call.items] = call.note

    def end(self, call: PackedCall, outcome: Outcome) -> None:
        """Take in how a call ended; a second end of the same call changes nothing."""
        if self._under_way.pop(call.number, None) is None:
            return
        self.answers.update(outcome.answers)
        faulty = sum(fault.kind not in _UNTOUCHED for fault in outcome.faults.values())
        self.sizing.learn(len(call.items), faulty, outcome.output_tokens, is_cut=outcome.is_cut)
        again = [position for position in call.items if self._is_tried_again(call, position, outcome)]
        self.retries += len(again)
        for group in self._regroup(again, outcome):
            self._groups[group] = self._note(group, outcome)

    def reopen(self) -> None:
        """Let every item that has failed be asked a few times more."""
        positions = sorted(self.failed)
        faults = dict(self.failed)
        self.failed.clear()
        for group in _chunks(positions, self.sizing.size):
            self._groups[group] = self._note(group, Outcome({}, faults))
        # The count goes on: no note is written twice, and no answer kept for an earlier time answers again.
        self._tries_max = TRIES_MAX + max((self._tries[position] for position in positions), default=0)

    def _is_tried_again(self, call: PackedCall, position: int, outcome: Outcome) -> bool:
        fault = outcome.faults.get(position)
        if fault is None:
            return False
        # What a limit cut off was not answered badly; it needs more room, until there is no more.
        if fault.kind is FaultKind.CUT and (
            len(call.items) > 1 or call.tokens_max < self.sizing.tokens_max(1)
        ):
            return True
        self._tries[position] += 1
        # A request for one item that the provider does not take will not be taken the next time either.
        is_final = fault.kind in _FINAL or (fault.kind is FaultKind.REJECTED and len(call.items) == 1)
        if self._tries[position] < self._tries_max and not is_final:
            return True
        self.failed[position] = fault
        return False

    def _regroup(self, again: list[int], outcome: Outcome) -> list[tuple[int, ...]]:
        cut = [position for position in again if outcome.faults[position].kind is FaultKind.CUT]
        untouched = [position for position in again if outcome.faults[position].kind in _UNTOUCHED]
        others = [position for position in again if position not in cut and position not in untouched]
        groups = [*_chunks(cut, self.sizing.size), *_chunks(untouched, len(untouched) or 1)]
        last = any(self._tries[position] >= self._tries_max - 1 for position in others)
        size = 1 if outcome.answers or last else max(1, (len(others) + 1) // 2)
        return [*groups, *_chunks(others, size)]

    def _note(self, group: tuple[int, ...], outcome: Outcome) -> str:
        tries = max(self._tries[position] for position in group)
        if not tries or outcome.faults[group[0]].kind in _UNTOUCHED:
            return ""
        return f"Attempt {tries + 1}. The answer before was not accepted: {outcome.faults[group[0]].reason}"

    def _pack(self) -> tuple[int, ...]:
        """Return the next items that were in no call yet, as many as go together."""
        positions: list[int] = []
        room = self.sizing.items_bytes_max
        while self._fresh < len(self.items) and len(positions) < self.sizing.size:
            if not self._started[self._fresh]:
                room -= len(self.items[self._fresh].text.encode()) + 2
                if positions and room < 0:
                    break
                positions.append(self._fresh)
            self._fresh += 1
        return tuple(positions)


def _chunks(positions: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(positions[at : at + size]) for at in range(0, len(positions), size)]
