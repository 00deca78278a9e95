"""What is known of conversations' repetitions: how far they go, which were stopped, which may go on.

Nothing but digests and names of tools is kept, and all of it is bounded. A turn costs its new messages; what
was forgotten is read again from the messages, which say the same.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import BlockKind, Piece, Role, digest, shared_start
from bursar.view.repetition import START, Row, follow
from bursar.wire.acts import Acts

_TOOL_KINDS = frozenset({BlockKind.TOOL_CALL, BlockKind.TOOL_RESULT})

_REWRITTEN_MAX = 8

# Gives what the message of a number holds; None where it cannot be read.
_Read = Callable[[int], Acts | None]


class Stop(msgspec.Struct, frozen=True):
    """A conversation that was stopped, or that a person has let go on since.

    Attributes:
        tenant: Whose it is.
        conversation: Its name.
        message: Names the last message that it was judged by: what came up to there is forgiven once it may
            go on.
        why: What it did, for a person; no text of its messages.
        at_s: When it was stopped, or let go on.
        is_resumed: Whether it may go on.
        notify: Names of the notifiers to be told; known to the process that stopped it only.
    """

    tenant: str
    conversation: str
    message: bytes
    why: str
    at_s: float
    is_resumed: bool = False
    notify: tuple[str, ...] = ()


class _Followed(msgspec.Struct, frozen=True, gc=False):
    """Messages that were followed.

    Attributes:
        messages: The messages.
        row: How they leave the row.
        settled: How many of them a client that moves its cache marks does not write anew at each turn,
        settled_row: and how these leave it.
    """

    messages: tuple[Piece, ...]
    row: Row
    settled: int
    settled_row: Row


class LoopWatch:
    """Follows conversations, and holds those that were stopped.

    Args:
        pieces_max: Messages that are known to have been followed, over all threads. They are the same objects
            that a thread's own memory holds; one costs 8 bytes more here, and a thread 0.6 KB.
        stops_max: How many conversations may be stopped at once; the first of more are forgotten here, and
            judged by their messages again.
    """

    def __init__(self, pieces_max: int = 2_000_000, stops_max: int = 10_000) -> None:
        self._threads: WeighedDict[bytes, _Followed] = WeighedDict(
            pieces_max, lambda followed: 50 + len(followed.messages)
        )
        # What one message holds takes about 0.4 KB.
        self._acts: BoundedDict[bytes, Acts] = BoundedDict(50_000)
        self._stops: BoundedDict[tuple[str, str], Stop] = BoundedDict(stops_max)
        self._forgiven: frozenset[tuple[str, bytes]] = frozenset()
        self.unsaved: deque[Stop] = deque(maxlen=stops_max)
        """Stops that are to be stored, so that they outlive this process and reach others."""

    def stopped(self, tenant: str, conversation: str) -> Stop | None:
        """Return the stop of a conversation; None where it may go on."""
        if not self._stops:
            return None
        return self._stops.get((tenant, conversation))

    def stop(self, stop: Stop) -> None:
        """Stop a conversation, from now on."""
        self._stops.keep((stop.tenant, stop.conversation), stop)
        self.unsaved.append(stop)

    def replace_stops(self, stops: Iterable[Stop]) -> None:
        """Take over what is stored; what was stopped just now, and is still to be stored, stays."""
        known = [*stops, *self.unsaved]
        self._stops.clear()
        for stop in known:
            if not stop.is_resumed:
                self._stops.keep((stop.tenant, stop.conversation), stop)
        forgiven = frozenset([(stop.tenant, stop.message) for stop in known if stop.is_resumed])
        if forgiven != self._forgiven:
            self._forgiven = forgiven
            # Rows that count what is forgiven now are followed anew.
            self._threads.clear()

    def forget(self, tenant: str) -> None:
        """Forget what a tenant's conversations were stopped for, and what is to be stored of that."""
        self._stops.drop(lambda key: key[0] == tenant)
        left = [stop for stop in self.unsaved if stop.tenant != tenant]
        self.unsaved.clear()
        self.unsaved.extend(left)

    def follow(
        self, thread: bytes, tenant: str, messages: tuple[Piece, ...], read: _Read, waiting: frozenset[str]
    ) -> Row:
        """Follow a call's messages, as far as they are new.

        Args:
            thread: Names the thread's beginning.
            tenant: Whose it is.
            messages: The call's messages.
            read: Reads one of them, by its number.
            waiting: See `repetition.follow`.
        """
        known = self._threads.get(thread, _NOTHING)
        shared = shared_start(known.messages, messages)
        row, start = START, 0
        if shared == len(known.messages):
            row, start = known.row, shared
        elif shared >= known.settled:
            row, start = known.settled_row, known.settled
        settled, settled_row = known.settled, known.settled_row
        if start < settled:
            settled, settled_row = 0, START
        last_settled = len(messages) - _REWRITTEN_MAX
        for number in range(start, len(messages)):
            if number == last_settled:
                settled, settled_row = number, row
            row = self._follow_one(row, tenant, messages[number], partial(read, number), waiting)
        self._threads.keep(thread, _Followed(messages, row, settled, settled_row))
        return row

    def _follow_one(
        self, row: Row, tenant: str, piece: Piece, read: Callable[[], Acts | None], waiting: frozenset[str]
    ) -> Row:
        if _TOOL_KINDS.isdisjoint([block.kind for block in piece.blocks]):
            # Whatever an assistant says without a call changes nothing.
            return START if piece.role is Role.USER else row
        name = name_of(piece)
        acts = self._acts.get(name)
        if acts is None:
            acts = read()
            if acts is None:
                return START
            self._acts.keep(name, acts)
        if (tenant, name) in self._forgiven:
            return START
        return follow(row, acts, waiting)


_NOTHING = _Followed((), START, 0, START)


def name_of(piece: Piece) -> bytes:
    """Name a message by its content. Ids of tool calls are a part of it, so that repetitions differ."""
    return digest(piece.role.encode() + b"".join([block.digest for block in piece.blocks]))


def last_with_results(messages: Sequence[Piece]) -> Piece | None:
    """Return the last message that holds results of tools."""
    for piece in reversed(messages):
        if any(block.kind is BlockKind.TOOL_RESULT for block in piece.blocks):
            return piece
    return None


def as_object(stop: Stop) -> Mapping[str, object]:
    """Return a stop as every `--json` gives it."""
    return {"tenant": stop.tenant, "conversation": stop.conversation, "why": stop.why, "at_s": stop.at_s}
