"""Which thread a call extends.

A thread is the calls that extend one message history. A client that re-sends its history sends back, in
order, what it sent before, then our answer, then something new. So a call belongs to the thread whose
last request plus answer is a prefix of its messages. Messages are compared by digest; an assistant's
message by its *echo* (text and tool-call ids), because clients write answers back in other words of JSON.

Within a conversation that the client names, any shared prefix counts. Where nobody named one, the shared
part must hold an assistant message: two people who both open with "Hi" are two conversations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import Piece, Role, digest, shared_start


@dataclass(slots=True)
class Thread:
    """One thread.

    Attributes:
        thread_id: The operation id of its first call.
        conversation: The conversation that it belongs to, named by the client or after its first thread.
        calls: Calls so far.
        last_at_s: When the last one arrived.
    """

    thread_id: str
    conversation: str
    calls: int
    last_at_s: float


class ThreadCall(msgspec.Struct, frozen=True, gc=False):
    """A call's position in its thread.

    Attributes:
        thread: The thread that it extends or begins.
        turn: Calls of the thread before this one.
        previous_at_s: When the call before it arrived; None at the first.
        link: Names the thread's history up to this call's last message.
        start: Names its first messages: the same from the third turn on, and for a call that is repeated.
    """

    thread: Thread
    turn: int
    previous_at_s: float | None
    link: bytes
    start: bytes


class ThreadIndex:
    """Threads by the digest of the history that they have reached, bounded.

    Args:
        links_max: Histories remembered; one takes about 0.3 KB. As many links along them take 0.07 KB each.
    """

    def __init__(self, links_max: int = 200_000) -> None:
        self._reached: BoundedDict[bytes, _Reached] = BoundedDict(links_max)
        self._trails: WeighedDict[bytes, _Trail] = WeighedDict(links_max, _weigh)

    def join(
        self, attribution: Attribution, messages: tuple[Piece, ...], *, operation_id: str, at_s: float
    ) -> ThreadCall:
        """Find the thread that a call extends, or begin one, and count the call into it."""
        named = attribution.conversation
        links = self._links(attribution, messages)
        shortest = 0 if named else _first_assistant(messages)
        found = self._longest(links, shortest)
        if found is None:
            thread = Thread(operation_id, named or operation_id, 0, at_s)
            turn, previous_at_s = 0, None
        else:
            thread, reached = found
            turn, previous_at_s = reached, thread.last_at_s
            if reached < thread.calls - 1:
                # Somebody went back and on from an earlier point: that is a branch of its own.
                thread = Thread(operation_id, thread.conversation, reached, at_s)
        thread.calls = turn + 1
        thread.last_at_s = at_s
        start = links[min(len(links), _TRAIL_STARTS_AT) - 1]
        call = ThreadCall(thread, turn, previous_at_s, links[-1], start)
        if shortest < len(links):
            # A client that writes answers back in other words still goes on from its own messages.
            self._reached.keep(call.link, _Reached(thread, turn, answered=False))
        return call

    def answered(self, call: ThreadCall, echo: bytes) -> None:
        """Learn the answer to a call, with which the thread's next one will come back."""
        if echo:
            self._reached.keep(digest(call.link + echo), _Reached(call.thread, call.turn, answered=True))

    def _longest(self, links: Sequence[bytes], shortest: int) -> tuple[Thread, int] | None:
        """Return the thread with the longest known history, and the turn at which this call goes on."""
        reached = self._reached
        last = len(links) - 1
        for number in range(last, shortest - 1, -1):
            found = reached.get(links[number])
            if found is not None:
                # The same messages once more are a retry; more of them are the next turn.
                return found.thread, found.turn + (found.answered or number < last)
        return None

    def _links(self, attribution: Attribution, messages: tuple[Piece, ...]) -> list[bytes]:
        """Name the history up to each message. The tenant is a part, so that threads never cross tenants."""
        who = f"{attribution.tenant}\0{attribution.agent}\0{attribution.conversation}"
        links: list[bytes] = []
        link = _follow(digest(who.encode("utf-8", "surrogatepass")), messages[:_TRAIL_STARTS_AT], links)
        if len(messages) <= _TRAIL_STARTS_AT:
            return links
        start = link
        trail = self._trails.get(start)
        known = shared_start(trail.messages, messages) if trail is not None else 0
        if trail is not None and known > _TRAIL_STARTS_AT:
            links = trail.links[:known]
            link = links[-1]
        else:
            known = _TRAIL_STARTS_AT
        _follow(link, messages[known:], links)
        self._trails.keep(start, _Trail(messages, links))
        return links


class _Reached(msgspec.Struct, frozen=True, gc=False):
    """How far a thread's history has come: to a call's last message, or to the answer after it."""

    thread: Thread
    turn: int
    answered: bool


class _Trail(msgspec.Struct, frozen=True, gc=False):
    """A history that was named already, message by message; the next with its start most likely goes on."""

    messages: tuple[Piece, ...]
    links: list[bytes]


# Histories are told apart by their first messages; shorter ones are named anew each time.
_TRAIL_STARTS_AT = 4


def _weigh(trail: _Trail) -> int:
    return len(trail.links)


def _follow(link: bytes, messages: Sequence[Piece], links: list[bytes]) -> bytes:
    """Append the names of the histories that further messages make, and return the last."""
    for piece in messages:
        blocks = piece.blocks
        content = piece.echo or (
            blocks[0].digest if len(blocks) == 1 else b"".join([block.digest for block in blocks])
        )
        link = digest(link + content)
        links.append(link)
    return link


def _first_assistant(messages: Sequence[Piece]) -> int:
    """Return the number of the first assistant's message, or of all messages where there is none."""
    for number, piece in enumerate(messages):
        if piece.role is Role.ASSISTANT:
            return number
    return len(messages)
