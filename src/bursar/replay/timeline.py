"""All recorded calls in the order of their times.

Logged calls come at their own times, whatever file they are in. Conversations of transcripts have no date:
they run in lanes, one after another, the next one a gap after the last call of the one before. Within a
conversation, calls come at `at_s` from its start where that is known, else a gap after the one before.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from bursar.replay.calls import RecordedCall
from bursar.replay.files import Item
from bursar.replay.transcripts import Asking, Conversation

# Logs are written when calls end, so their lines are out of order by as much as calls overlap.
_WINDOW_CALLS = 4_096
_WINDOW_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes where none was recorded.

    Attributes:
        gap_s: Between the calls of a conversation, and between conversations.
        concurrency: How many conversations run side by side.
        start_s: When the first begins if no logged call says otherwise.
    """

    gap_s: float
    concurrency: int
    start_s: float


class Timeline:
    """Yields calls in order of time, reading files only as far as that takes.

    Args:
        recordings: What each file's lines hold.
        asking: How transcripts become requests.
        pace: How time passes in transcripts.

    Attributes:
        conversations: Conversations of transcripts begun so far.
        late_calls: Logged calls that came so far behind later ones that they are played after them.
    """

    def __init__(self, recordings: Sequence[Iterator[Item]], asking: Asking, pace: Pace) -> None:
        self._unread: deque[Iterator[Item]] = deque()
        self._asking = asking
        self._pace = pace
        self._logs: list[_Log] = []
        self._waiting: deque[Conversation] = deque()
        self._lanes: list[tuple[float, int, RecordedCall, Iterator[RecordedCall]]] = []
        self._numbers = count()
        self._now_s = float("-inf")
        self.conversations = 0
        self.late_calls = 0
        for items in recordings:
            self._sort(items)

    def __iter__(self) -> Iterator[RecordedCall]:
        """Yield all calls, once."""
        self._fill_lanes_first()
        while True:
            log = min(self._logs, key=_Log.next_at_s, default=None)
            if log is None and not self._lanes:
                return
            if log is not None and (not self._lanes or log.next_at_s() <= self._lanes[0][0]):
                call = log.take()
                if log.is_empty():
                    self._logs.remove(log)
                if call.at_s < self._now_s:
                    self.late_calls += 1
            else:
                call = self._take_from_lane()
            self._now_s = max(self._now_s, call.at_s)
            yield call if call.at_s == self._now_s else _at(call, self._now_s)
            if self._waiting and len(self._lanes) < self._pace.concurrency:
                self._start_lane(self._now_s)

    def _sort(self, items: Iterator[Item]) -> None:
        """Take a file for what its first line is. A log among transcripts is found when it is come to."""
        first = next(items, None)
        if isinstance(first, RecordedCall):
            self._logs.append(_Log(first, items, self._waiting))
        elif first is not None:
            self._unread.append(chain((first,), items))

    def _fill_lanes_first(self) -> None:
        """Begin one conversation a lane, spread over one gap."""
        first = [conversation for _ in range(self._pace.concurrency) if (conversation := self._next())]
        start_s = min([log.next_at_s() for log in self._logs], default=self._pace.start_s)
        self._waiting.extendleft(reversed(first))
        for number in range(len(first)):
            self._start_lane(start_s + self._pace.gap_s * number / len(first))

    def _next(self) -> Conversation | None:
        """Return the next conversation. A file that turns out to be a log is set aside as one."""
        while not self._waiting and self._unread:
            items = self._unread[0]
            item = next(items, None)
            if item is None:
                self._unread.popleft()
            elif isinstance(item, Conversation):
                return item
            else:
                self._unread.popleft()
                self._logs.append(_Log(item, items, self._waiting))
        return self._waiting.popleft() if self._waiting else None

    def _start_lane(self, start_s: float) -> None:
        """Begin the next conversation that has calls, at a time."""
        while conversation := self._next():
            calls = _scheduled(conversation, self._asking, self._pace.gap_s, start_s)
            call = next(calls, None)
            if call is not None:
                self.conversations += 1
                heapq.heappush(self._lanes, (call.at_s, next(self._numbers), call, calls))
                return

    def _take_from_lane(self) -> RecordedCall:
        at_s, number, call, calls = heapq.heappop(self._lanes)
        following = next(calls, None)
        if following is None:
            self._start_lane(at_s + self._pace.gap_s)
        else:
            heapq.heappush(self._lanes, (following.at_s, number, following, calls))
        return call


class _Log:
    """One log's calls in order of time, within a window.

    Args:
        first: Its first call.
        rest: What else the file holds.
        conversations: Takes conversations that are found in between.
    """

    def __init__(self, first: RecordedCall, rest: Iterator[Item], conversations: deque[Conversation]) -> None:
        self._rest = rest
        self._conversations = conversations
        self._numbers = count()
        self._window: list[tuple[float, int, RecordedCall]] = []
        self._window_bytes = 0
        self._put(first)
        self._fill()

    def next_at_s(self) -> float:
        """Return when its next call comes."""
        return self._window[0][0]

    def is_empty(self) -> bool:
        """Whether all calls were taken."""
        return not self._window

    def take(self) -> RecordedCall:
        """Take its next call."""
        call = heapq.heappop(self._window)[2]
        self._window_bytes -= len(call.body)
        self._fill()
        return call

    def _fill(self) -> None:
        while len(self._window) < _WINDOW_CALLS and self._window_bytes < _WINDOW_BYTES:
            item = next(self._rest, None)
            if item is None:
                return
            if isinstance(item, Conversation):
                self._conversations.append(item)
            else:
                self._put(item)

    def _put(self, call: RecordedCall) -> None:
        heapq.heappush(self._window, (call.at_s, next(self._numbers), call))
        self._window_bytes += len(call.body)


def _scheduled(
    conversation: Conversation, asking: Asking, gap_s: float, start_s: float
) -> Iterator[RecordedCall]:
    """Yield a conversation's calls with their times."""
    at_s = start_s - gap_s
    for exchanged, body in asking.bodies(conversation):
        # A time that runs backwards, as a wrong clock's does, is taken as the one before.
        at_s = at_s + gap_s if exchanged.at_s is None else max(start_s + exchanged.at_s, at_s, start_s)
        yield RecordedCall(
            place=conversation.place,
            at_s=at_s,
            made_up=exchanged.at_s is None,
            duration_s=0.0,
            dialect=asking.dialect,
            labels=conversation.labels,
            body=body,
            speech=exchanged.speech,
        )


def _at(call: RecordedCall, at_s: float) -> RecordedCall:
    return replace(call, at_s=at_s)
