"""The replay driver: exchanges on virtual time, many at once, nothing ever waits."""

import heapq
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from bursar.domain.ledger import Entry
from bursar.domain.reservations import Ended as End
from bursar.domain.reservations import Exceeded, Held, Throttled
from bursar.effects import (
    Count,
    Cut,
    Effect,
    Ended,
    Extend,
    Hold,
    Join,
    Keep,
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
    Whole,
)
from bursar.policy.tool_results.shortening import shorten_all
from bursar.ports import BudgetStore, ContentKey, Tokenizer, UpstreamRequest

Exchange = Generator[Effect, Any, Reply]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Response:
    """What an upstream answers on virtual time.

    Attributes:
        status: HTTP status.
        headers: Headers, names in lower case.
        body: The whole body, be it a stream's.
        begins_at_s: When it begins.
        ends_at_s: When it is complete.
        begun: Told when it begins.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    begins_at_s: float
    ends_at_s: float
    begun: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Player:
    """The other ends of one exchange.

    Attributes:
        respond: The upstream: given a request and the time.
        record: Takes the ledger entry.
        ended: Takes the client's reply.
    """

    respond: Callable[[UpstreamRequest, float], Response]
    record: Callable[[Entry], None]
    ended: Callable[[Reply], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Content that is kept."""

    content: bytes


class ReplayDriver:
    """Runs exchanges; time passes only where it is told to.

    Args:
        tokenizer: Counts texts.
        budgets: Where calls hold what they can take; a store that never waits. None where no budget applies.
    """

    def __init__(self, tokenizer: Tokenizer, budgets: BudgetStore | None = None) -> None:
        self._tokenizer = tokenizer
        self._budgets = budgets
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._content: dict[ContentKey, _Kept] = {}

    def start(self, exchange: Exchange, player: Player, at_s: float) -> None:
        """Start an exchange, and run it as far as it goes without time passing."""
        self._resume(exchange, player, None, at_s)

    def advance(self, to_s: float) -> None:
        """Let time pass; what is due at `to_s` happens."""
        while self._due and self._due[0][0] <= to_s:
            heapq.heappop(self._due)[2]()

    def finish(self) -> None:
        """Let time pass until all exchanges have ended."""
        self.advance(float("inf"))

    def _resume(self, exchange: Exchange, player: Player, result: Any, now_s: float) -> None:
        """Run an exchange until it has to wait, or has ended."""
        while True:
            try:
                effect = exchange.send(result)
            except StopIteration as stop:
                player.ended(stop.value)
                return
            match effect:
                case Pause():
                    until_s = now_s + effect.seconds
                    self._resume_at(until_s, exchange, player, until_s)
                    return
                case Send():
                    response = player.respond(effect.request, now_s)
                    if response.ends_at_s > now_s:
                        self._send(exchange, player, effect, response, now_s)
                        return
                    _begin(effect, response)
                    result = _sent(effect, response, now_s)
                case _:
                    result = self._do(player, effect, now_s)

    def _do(
        self,
        player: Player,
        effect: Count | Shorten | LookUp | Keep | Join | Share | Record | Hold,
        now_s: float,
    ) -> Any:
        """Execute an effect that takes no time."""
        match effect:
            case Count():
                return self._tokenizer.count(effect.texts)
            case Shorten():
                return shorten_all(effect.jobs, self._tokenizer.count)
            case LookUp():
                kept = self._content.get(effect.key)
                return None if kept is None else kept.content
            case Keep():
                self._keep(effect, now_s)
                return True
            case Join():
                # Everybody leads: a recording says nothing of who might have waited for whom.
                return None
            case Share():
                return 0
            case Record():
                player.record(effect.entry)
                return True
            case Reserve() | Extend() | Settle():
                return None if self._budgets is None else _at_once(_ask(self._budgets, effect, now_s))

    def _keep(self, effect: Keep, now_s: float) -> None:
        """Keep content until its time to live has passed."""
        kept = self._content[effect.key] = _Kept(effect.content)

        def forget() -> None:
            if self._content.get(effect.key) is kept:
                del self._content[effect.key]

        self._at(now_s + effect.ttl_s, forget)

    def _send(
        self, exchange: Exchange, player: Player, effect: Send, response: Response, now_s: float
    ) -> None:
        self._at(response.begins_at_s, lambda: _begin(effect, response))
        self._at(
            response.ends_at_s,
            lambda: self._resume(exchange, player, _sent(effect, response, now_s), response.ends_at_s),
        )

    def _resume_at(self, at_s: float, exchange: Exchange, player: Player, result: Any) -> None:
        self._at(at_s, lambda: self._resume(exchange, player, result, at_s))

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._numbers), action))


async def _ask(budgets: BudgetStore, effect: Hold, now_s: float) -> Held | Exceeded | Throttled | End:
    match effect:
        case Reserve():
            return await budgets.reserve(effect.reservation, now_s)
        case Extend():
            return await budgets.extend(effect.reservation, now_s)
        case Settle():
            if effect.amounts is None:
                return await budgets.release(effect.reservation, now_s)
            return await budgets.settle(effect.reservation, effect.amounts, now_s)


def _at_once(asking: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        asking.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("a store for replay must not wait")


def _begin(effect: Send, response: Response) -> None:
    if response.status == 200:
        response.begun(response.begins_at_s)
        effect.begun(response.begins_at_s)


def _sent(effect: Send, response: Response, sent_at_s: float) -> Sent:
    times = Times(sent_at_s, response.ends_at_s)
    meter = effect.meter
    if meter is None or not response.headers.get("content-type", "").startswith("text/event-stream"):
        return Whole(response.status, response.headers, response.body, times)
    meter.feed(response.body)
    return Ended(times) if meter.ended else Cut(streamed=True, times=times)
