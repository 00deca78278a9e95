"""A batch by calls: several at a time, each for several items."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bursar.adapters.batch.destination import Connection, Response
from bursar.drivers.batch.state import BatchState, BatchStopped
from bursar.errors import BursarError, UpstreamFailed
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.judging import write_call
from bursar.policy.batch.records import Failed, Sent, Withdrawn
from bursar.policy.batch.work import PackedCall

_ATTEMPTS_MAX = 6

# Where so many items have been rejected and none was answered, the next ones will be rejected too.
_REJECTED_FIRST_MAX = 3

_FIRST_PAUSE_S = 1.0
_PAUSE_MAX_S = 30.0

# Worth another attempt: nothing was answered, and nothing billed.
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))

# The request itself was at fault, and another one for fewer items may not be.
_OWN_FAULT = frozenset((400, 413, 422))


class CallRunner:
    """Makes a batch's calls.

    Args:
        state: The batch.
        connection: Who answers.
        concurrency: How many calls are under way at a time.
    """

    def __init__(self, state: BatchState, connection: Connection, *, concurrency: int) -> None:
        self._state = state
        self._connection = connection
        self._concurrency = concurrency
        self._asks_unseen = state.asks_unseen or connection.destination.is_gateway
        self._changed = asyncio.Condition()
        self._failure: BursarError | None = None

    async def run(self) -> None:
        """Make calls until there are none left, or the batch is told to stop.

        Calls under way are seen through, whatever stops the others: they are paid for.

        Raises:
            BursarError: It cannot go on: the provider is down, a key is wrong, a budget is used up, the
                journal cannot be written.
        """
        await self._attend(self._ask_again)
        # The first call fills the provider's cache with the instruction; side by side, each would pay for it.
        await self._attend(self._take_one)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._attend(self._take_all))
        if self._failure is not None:
            raise self._failure

    async def _attend(self, lane: Callable[[], Awaitable[None]]) -> None:
        """Run a lane; what ends it ends the others too, each after its call."""
        try:
            await lane()
        except BursarError as failure:
            self._failure = self._failure or failure
            self._state.is_stopping = True
            await self._tell()

    async def _ask_again(self) -> None:
        """See to the calls that an earlier run has sent, and of which it saw no answer."""
        for call in self._state.work.under_way:
            if not self._asks_unseen:
                self._state.report_unseen(call)
            elif not self._state.is_stopping:
                await self._make(call, is_again=True)

    async def _take_one(self) -> None:
        call = await self._next()
        if call is not None:
            await self._start(call)

    async def _take_all(self) -> None:
        while (call := await self._next()) is not None:
            await self._start(call)

    async def _next(self) -> PackedCall | None:
        """Return the next call, as soon as it is known that there is one; None once there are no more."""
        work = self._state.work
        async with self._changed:
            while not self._state.is_stopping:
                call = work.next()
                if call is not None or not work.under_way:
                    return call
                await self._changed.wait()
        return None

    async def _start(self, call: PackedCall) -> None:
        # `Work.next` has begun it; the record only says so.
        self._state.journal.append(Sent(call))
        try:
            await self._make(call)
        finally:
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _make(self, call: PackedCall, *, is_again: bool = False) -> None:
        state = self._state
        body = write_call(state.assignment, state.work.items, call)
        response, is_repeated = await self._ask(call, body)
        if response is None:
            self._state.report_unseen(call)
        elif response.status == 200:
            charged = replace(response.charged, is_again=is_again or is_repeated)
            state.asked_twice += charged.is_again and not charged.from_cache
            state.write(state.judge.read(call, response.body, charged))
        elif response.status in _OWN_FAULT and (len(call.items) > 1 or self._may_be_the_items_fault()):
            state.write(Failed(call.number, FaultKind.REJECTED, response.reason))
        else:
            state.write(Withdrawn(call.number))
            raise BatchStopped(f"{response.reason}; when that is mended, run the same again")

    def _may_be_the_items_fault(self) -> bool:
        """Whether a request that was not taken may be at fault by its item, and not by what all have."""
        return bool(self._state.tally.calls) or len(self._state.work.failed) < _REJECTED_FIRST_MAX

    async def _ask(self, call: PackedCall, body: bytes) -> tuple[Response | None, bool]:
        """Ask until there is an answer; None where it was sent and no answer was seen.

        Returns:
            The answer, and whether it is that to a repeated attempt.

        Raises:
            BatchStopped: There is nobody to ask.
        """
        key = f"{self._state.journal.head.run}-{call.number}"
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            is_last = attempt == _ATTEMPTS_MAX
            try:
                response = await self._connection.call(body, key)
            except UpstreamFailed as failure:
                if failure.sent and not self._asks_unseen:
                    return None, attempt > 1
                if is_last:
                    if not failure.sent:
                        self._state.write(Withdrawn(call.number))
                    raise BatchStopped(f"{failure}; run the same again later") from None
            else:
                may_retry = response.headers.get("x-should-retry") != "false"
                if response.status not in _PASSING or is_last or not may_retry:
                    return response, attempt > 1
                pause_s = max(pause_s, _retry_after_s(response))
            await asyncio.sleep(min(pause_s, _PAUSE_MAX_S))
            pause_s *= 2
        raise AssertionError("the last attempt returns or raises")


def _retry_after_s(response: Response) -> float:
    stated = response.headers.get("retry-after", "")
    return float(stated) if stated.isdecimal() else 0.0
