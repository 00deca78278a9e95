"""The asyncio driver: behind the gateway, and behind asynchronous SDKs."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from bursar.domain.reservations import Ended as End
from bursar.domain.reservations import Exceeded, Held, Reservation, Throttled
from bursar.drivers.holding import Holdings
from bursar.drivers.joining import InFlight, Lead
from bursar.effects import (
    Aborted,
    Count,
    Cut,
    Effect,
    Ended,
    Extend,
    Join,
    Keep,
    Left,
    LookUp,
    Pause,
    Record,
    Reply,
    Reserve,
    Send,
    Sent,
    Settle,
    Share,
    Shorten,
    Times,
    Unreachable,
    Whole,
)
from bursar.errors import StoreFailed, UpstreamFailed
from bursar.exchange.headers import for_client
from bursar.policy.response_cache import KeptAnswer
from bursar.policy.tool_results.parts import Part
from bursar.policy.tool_results.shortening import shorten_all
from bursar.ports import (
    Client,
    Clock,
    ContentStore,
    Ledger,
    Observer,
    OperationIds,
    Timers,
    Tokenizer,
    Upstream,
    UpstreamResponse,
)

LOG = logging.getLogger("bursar.driver")

Exchange = Generator[Effect, Any, Reply]

# Most calls are over before it would pay to ask whether their client is still there.
_WATCH_AFTER_S = 0.1

# A count of this many characters takes about 2 ms; longer ones leave the event loop.
_COUNT_INLINE_CHARS = 100_000

# The same for shortening.
_SHORTEN_INLINE_CHARS = 50_000

# How long a stream's connection may take to close by itself after its terminal event.
_FINISH_S = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """What an exchange's effects act on."""

    clock: Clock
    tokenizer: Tokenizer
    upstream: Upstream
    ledger: Ledger
    observer: Observer
    ids: OperationIds
    timers: Timers
    content: ContentStore
    in_flight: InFlight[KeptAnswer] = field(default_factory=InFlight[KeptAnswer])
    holdings: Holdings | None = None


class CallDriver:
    """Runs one exchange for one client.

    Args:
        world: What its effects act on.
        client: Who asked.
    """

    def __init__(self, world: World, client: Client) -> None:
        self._world = world
        self._client = client
        self._response: UpstreamResponse | None = None
        self._lead: Lead[KeptAnswer] | None = None
        self._holding: Reservation | None = None
        self._interrupted = False
        self._sent = False
        self.streaming = False

    async def run(self, exchange: Exchange) -> Reply:
        """Run an exchange to its end.

        Returns:
            What the client gets, or what it is still to get of a stream (`streaming`).

        Raises:
            CancelledError: The task was cancelled from outside; what was sent is recorded all the same.
        """
        try:
            reply = await self._follow(exchange)
        except BaseException:
            self._drop()
            raise
        finally:
            if self._lead is not None:
                # Whoever waits for a call that brought nothing must not wait for ever.
                self._lead.give_up()
            if self._holding is not None and self._world.holdings is not None:
                self._world.holdings.abandon(self._holding, sent=self._sent)
        if self._interrupted:
            self._drop()
            raise asyncio.CancelledError
        return reply

    async def finish(self) -> None:
        """Let a stream's connection end by itself, so that it can be used again."""
        response, self._response = self._response, None
        if response is None:
            return
        try:
            async with asyncio.timeout(_FINISH_S):
                await response.read()
        except (UpstreamFailed, TimeoutError):
            pass
        finally:
            response.close()

    async def _follow(self, exchange: Exchange) -> Reply:
        result: Any = None
        failure: Exception | None = None
        while True:
            try:
                effect = exchange.send(result) if failure is None else exchange.throw(failure)
            except StopIteration as stop:
                reply: Reply = stop.value
                return reply
            result = failure = None
            try:
                result = await self._ACTS[type(effect)](self, effect)
            except Exception as error:  # noqa: BLE001 - Only the exchange knows whether its call can do without.
                failure = error

    async def _share(self, effect: Share) -> int:
        return self._lead.share(effect.answer) if self._lead is not None else 0

    async def _count(self, effect: Count) -> list[int]:
        count = self._world.tokenizer.count
        if sum(map(len, effect.texts)) <= _COUNT_INLINE_CHARS:
            return count(effect.texts)
        counting = asyncio.ensure_future(asyncio.to_thread(count, effect.texts))
        if self._sent:
            await self._see_through(counting)
        return await counting

    async def _shorten(self, effect: Shorten) -> list[Part]:
        count = self._world.tokenizer.count
        if sum([len(job.text) for job in effect.jobs]) <= _SHORTEN_INLINE_CHARS:
            return shorten_all(effect.jobs, count)
        return await asyncio.to_thread(shorten_all, effect.jobs, count)

    async def _use_content(self, effect: LookUp | Keep) -> bytes | bool | None:
        now_s = self._world.clock.now()
        if isinstance(effect, LookUp):
            return await self._world.content.get(effect.key, now_s)
        try:
            return await self._world.content.put(effect.key, effect.content, effect.ttl_s, now_s)
        except asyncio.CancelledError:
            if not self._sent:
                raise
            # What was sent is still to be recorded.
            self._absorb(None)
            return False

    async def _join(self, effect: Join) -> KeptAnswer | Left | None:
        with _Watch(self._client, self._world.timers) as watch:
            try:
                joined = await self._world.in_flight.join(effect.key)
            except asyncio.CancelledError:
                self._absorb(watch)
                return Left()
        if isinstance(joined, Lead):
            self._lead = joined
            return None
        return joined

    async def _pause(self, effect: Pause) -> float | None:
        """Wait; None says that the client left meanwhile."""
        with _Watch(self._client, self._world.timers) as watch:
            try:
                await self._world.clock.sleep(effect.seconds)
            except asyncio.CancelledError:
                self._absorb(watch)
                return None
        return self._world.clock.now()

    async def _record(self, effect: Record) -> bool:
        """Commit an entry whatever happens to this task meanwhile."""
        entry, durable = effect.entry, False
        while not durable:
            try:
                await self._world.ledger.record(entry)
            except asyncio.CancelledError:
                # The ledger goes on by itself. To record again changes nothing, and says how that went.
                self._absorb(None)
            except StoreFailed:
                break
            else:
                durable = True
        self._world.observer.ended(entry, durable=durable, cache=effect.cache)
        return durable

    async def _settle(self, effect: Settle) -> End | None:
        holdings = self._world.holdings
        if holdings is None:
            return None
        self._holding = None
        try:
            return await holdings.settle(effect)
        except asyncio.CancelledError:
            self._absorb(None)
            return None

    async def _hold(self, effect: Reserve | Extend) -> Held | Exceeded | Throttled | End | Left | None:
        holdings = self._world.holdings
        if holdings is None:
            return None
        if self._interrupted:
            # No further attempt is to be made.
            return Left()
        begins = isinstance(effect, Reserve)
        if begins:
            # From here on it may be held, even if this is cancelled.
            self._holding = effect.reservation
        try:
            result = await holdings.hold(effect)
        except asyncio.CancelledError:
            if not self._sent:
                raise
            # What was sent is still to be recorded.
            self._absorb(None)
            return Left()
        if result is None or isinstance(result, Held):
            self._holding = effect.reservation
        elif begins:
            self._holding = None
        return result

    async def _see_through(self, work: asyncio.Future[Any]) -> None:
        """Wait until some work is done, whatever happens to this task meanwhile."""
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError:
                self._absorb(None)

    async def _send(self, effect: Send) -> Sent:
        sent_at_s = self._world.clock.now()
        self._sent = True
        with _Watch(self._client, self._world.timers) as watch:
            try:
                return await self._attempt(effect, sent_at_s)
            except asyncio.CancelledError:
                self._absorb(watch)
                begun = self._response is not None
                self._drop()
                return Aborted(begun, self._times(sent_at_s))
            except Exception as error:  # noqa: BLE001 - The request is out: whatever breaks now, it is to be recorded.
                # Its message may hold a prompt, so it stays out of the log.
                frames = "".join(traceback.format_tb(error.__traceback__))
                name = effect.client_headers.get("x-bursar-operation-id", "")
                LOG.error("%s: %s in\n%s", name, type(error).__name__, frames)  # noqa: TRY400 - as above
                return self._broken(sent_at_s)

    async def _attempt(self, effect: Send, sent_at_s: float) -> Sent:
        # Of an earlier attempt whose stream was held back, and which another one takes the place of.
        self._drop()
        try:
            response = await self._world.upstream.send(effect.request)
        except UpstreamFailed as failure:
            return Unreachable(str(failure), failure.sent, self._times(sent_at_s))
        self._response = response
        if response.status == 200:
            effect.begun(self._world.clock.now())
        try:
            if effect.meter is not None and _is_stream(response):
                if not effect.holds_back:
                    await self._start(effect, response)
                async for chunk in response.chunks():
                    if data := effect.meter.feed(chunk):
                        if not self.streaming:
                            await self._start(effect, response)
                        await self._client.write(data)
                    if effect.meter.ended:
                        return Ended(self._times(sent_at_s))
            else:
                body = await response.read()
                self._drop()
                return Whole(response.status, response.headers, body, self._times(sent_at_s))
        except UpstreamFailed:
            if response.status != 200:
                # The status says that the provider refused, and so bills nothing, whatever it meant to add.
                self._drop()
                return Whole(response.status, response.headers, b"", self._times(sent_at_s))
        self._drop()
        return Cut(self.streaming, self._times(sent_at_s))

    async def _start(self, effect: Send, response: UpstreamResponse) -> None:
        await self._client.start(200, {**for_client(response.headers), **effect.client_headers})
        self.streaming = True

    def _broken(self, sent_at_s: float) -> Sent:
        """Give up an attempt that a fault of our own ended."""
        begun = self._response is not None
        self._drop()
        if begun:
            return Cut(self.streaming, self._times(sent_at_s))
        return Unreachable("Bursar failed to send it", sent=True, times=self._times(sent_at_s))

    def _times(self, sent_at_s: float) -> Times:
        return Times(sent_at_s, self._world.clock.now())

    def _drop(self) -> None:
        """Close the upstream connection now."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _absorb(self, watch: "_Watch | None") -> None:
        """Take a cancellation as a value; one from outside is raised again when all is recorded."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        if watch is None or not watch.gone:
            self._interrupted = True

    # What performs each effect.
    _ACTS: ClassVar[Mapping[type[Effect], Callable[[Any, Any], Awaitable[Any]]]] = {
        Send: _send,
        Record: _record,
        Count: _count,
        Shorten: _shorten,
        LookUp: _use_content,
        Keep: _use_content,
        Join: _join,
        Share: _share,
        Pause: _pause,
        Reserve: _hold,
        Extend: _hold,
        Settle: _settle,
    }


def _is_stream(response: UpstreamResponse) -> bool:
    content_type = response.headers.get("content-type", "")
    return response.status == 200 and content_type.startswith("text/event-stream")


class _Watch:
    """Cancels the current task if the client leaves; asks only after a while, since most calls are short."""

    def __init__(self, client: Client, timers: Timers) -> None:
        self._client = client
        self._timers = timers
        self._asking: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = self._timers.after(_WATCH_AFTER_S, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self._task = None

    def _ask(self) -> None:
        self._asking = asyncio.ensure_future(self._await_leaving())

    async def _await_leaving(self) -> None:
        await self._client.left()
        if self._task is not None:
            self.gone = True
            self._task.cancel()
