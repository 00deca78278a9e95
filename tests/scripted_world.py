"""A world for exchanges in which everything happens as a test says: time, provider, client and ledger."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from bursar.adapters.content.memory import MemoryContent
from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.price_data import load_price_book
from bursar.adapters.timers import CoarseTimers
from bursar.cachemodel.rules import CacheRuleBook
from bursar.domain.ledger import Entry, Status
from bursar.domain.price_book import PriceBook
from bursar.domain.tokens import RatioBook
from bursar.drivers.asynchronous import CallDriver, World
from bursar.effects import Reply
from bursar.errors import StoreFailed, UpstreamFailed
from bursar.exchange.arrival import Arrival
from bursar.exchange.engine import Engine, EngineOptions, UpstreamPolicy
from bursar.exchange.left_behind import PRESUMED
from bursar.exchange.life import live
from bursar.policy.response_cache import CacheUse
from bursar.ports import UpstreamRequest

NOW_S = 1_764_000_000.0  # 24 November 2025, 16:00 UTC.

JSON_HEADERS = {"content-type": "application/json", "request-id": "req_1"}
STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8"}


class ManualClock:
    """Time that passes only where somebody sleeps, unless sleep is held."""

    def __init__(self) -> None:
        self.time_s = NOW_S
        self.slept: list[float] = []
        self.held = False

    def now(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.held:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.time_s += seconds


class WordCounter:
    """A token is a word, or four characters of a long one."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [sum(1 + len(word) // 4 for word in text.split()) for text in texts]


class Never:
    """A step that does not come to an end by itself."""


class After:
    """A step that waits until the test opens it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.reached = asyncio.Event()


Step = bytes | UpstreamFailed | Never | After


@dataclass
class Answer:
    """What the provider does with one request.

    Attributes:
        status: HTTP status.
        headers: Headers, names in lower case.
        steps: Body bytes, and what happens between them.
        before: What happens before the head.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON_HEADERS))
    steps: Sequence[Step] = ()
    before: Step | None = None


def whole(body: Any, status: int = 200, **headers: str) -> Answer:
    """A whole answer in JSON; header names with underscores for dashes."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {**JSON_HEADERS, **more}, [content])


def stream(*steps: Step) -> Answer:
    """An answer of events."""
    return Answer(200, dict(STREAM_HEADERS), steps)


def fails(*, sent: bool, timed_out: bool = False) -> Answer:
    """No answer at all."""
    return Answer(before=UpstreamFailed("the provider cannot be reached", sent=sent, timed_out=timed_out))


class ScriptedResponse:
    """One response on its way."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self.closed = False
        self.finished = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for step in self._answer.steps:
            await _wait(step)
            if isinstance(step, bytes):
                # A real connection gives its reader's task a turn between reads.
                await asyncio.sleep(0)
                yield step
        self.finished = True

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        self.closed = True


async def _wait(step: Step | None) -> None:
    match step:
        case UpstreamFailed():
            raise UpstreamFailed(str(step), sent=step.sent, timed_out=step.timed_out)
        case Never():
            await asyncio.Event().wait()
        case After():
            step.reached.set()
            await step.opened.wait()
        case _:
            return


class ScriptedUpstream:
    """Answers as scripted; the last answer repeats."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[UpstreamRequest] = []
        self.responses: list[ScriptedResponse] = []

    async def send(self, request: UpstreamRequest) -> ScriptedResponse:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await _wait(answer.before)
        response = ScriptedResponse(answer)
        self.responses.append(response)
        return response

    @property
    def left_open(self) -> list[ScriptedResponse]:
        """Responses that nobody closed."""
        return [response for response in self.responses if not response.closed]


class ListLedger:
    """Keeps entries in a list, once its disk has room and its gate is open."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.full = False
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def record(self, entry: Entry) -> None:
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.full:
            raise StoreFailed("the disk is full")
        for at, kept in enumerate(self.entries):
            if kept.operation_id == entry.operation_id:
                if PRESUMED in kept.faults and PRESUMED not in entry.faults:
                    self.entries[at] = entry
                return
        self.entries.append(entry)


class CountingObserver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Entry, bool]] = []
        self.cache_uses: list[CacheUse] = []

    def ended(self, entry: Entry, *, durable: bool, cache: CacheUse = CacheUse.OFF) -> None:
        self.told.append((entry, durable))
        self.cache_uses.append(cache)


class NumberedIds:
    """op-1, op-2, …"""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        self._last += 1
        return f"op-{self._last}"


class WaitingClient:
    """A client that takes everything until it leaves."""

    def __init__(self) -> None:
        self.head: tuple[int, Mapping[str, str]] | None = None
        self.received = b""
        self.gone = asyncio.Event()
        self.wrote = asyncio.Event()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.head = (status, headers)

    async def write(self, data: bytes) -> None:
        self.received += data
        self.wrote.set()

    async def left(self) -> None:
        await self.gone.wait()


@cache
def world_data() -> tuple[PriceBook, CacheRuleBook, RatioBook]:
    """The package's own prices, cache rules and token ratios: never changed, so read once."""
    return load_price_book(), load_cache_rules(), load_token_ratios()


def make_engine(**options: Any) -> Engine:
    """An engine that knows nothing yet; options are those of `EngineOptions` and `UpstreamPolicy`."""
    policy = {k: options.pop(k) for k in ("timeout_s", "deadline_s", "retries_max") if k in options}
    upstreams = {
        "anthropic": UpstreamPolicy("https://api.anthropic.com", **policy),
        "openai": UpstreamPolicy("https://api.openai.com/v1", **policy),
    }
    return Engine(EngineOptions(upstreams, **options), *world_data())


def ask(**fields: Any) -> dict[str, Any]:
    """A short request of the Messages API."""
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "May I take a bicycle?"}],
    }
    return {**body, **fields}


def chat(**fields: Any) -> dict[str, Any]:
    """A short request of the Chat Completions API."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "May I take a bicycle?"}], **fields}


class Scene:
    """One engine and its surroundings; plays calls.

    Args:
        answers: What the provider does, call by call.
        options: See `make_engine`.
    """

    def __init__(self, *answers: Answer, **options: Any) -> None:
        self.engine = make_engine(**options)
        self.clock = ManualClock()
        self.upstream = ScriptedUpstream(*answers)
        self.ledger = ListLedger()
        self.observer = CountingObserver()
        self.client = WaitingClient()
        self.ids = NumberedIds()
        self.world = World(
            clock=self.clock,
            tokenizer=WordCounter(),
            upstream=self.upstream,
            ledger=self.ledger,
            observer=self.observer,
            ids=self.ids,
            timers=CoarseTimers(),
            content=MemoryContent(1 << 20),
        )
        self.driver = CallDriver(self.world, self.client)

    def arrival(self, body: Any, headers: Mapping[str, str] | None = None) -> Arrival:
        """A call as the gateway would hand it over; the dialect goes by its model."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        openai = b'"gpt' in content
        return Arrival(
            operation_id=self.ids.new(),
            at_s=self.clock.now(),
            dialect="openai.chat" if openai else "anthropic.messages",
            upstream="openai" if openai else "anthropic",
            path="/chat/completions" if openai else "/v1/messages",
            headers=headers or {},
            outgoing={"x-api-key": "k"},
            body=content,
            credential=b"account",
        )

    async def play(self, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Play one call to its end for a new client."""
        self.client = WaitingClient()
        self.driver = CallDriver(self.world, self.client)
        reply = await self.driver.run(live(self.engine, self.arrival(body, headers)))
        if self.driver.streaming:
            await self.driver.finish()
        return reply

    def begin(self, body: Any, headers: Mapping[str, str] | None = None) -> "asyncio.Task[Reply]":
        """Begin a call that the test will disturb."""
        return asyncio.create_task(self.play(body, headers))

    @property
    def entry(self) -> Entry:
        """The one entry that was recorded."""
        assert len(self.ledger.entries) == 1
        assert [told for told, _ in self.observer.told] == self.ledger.entries
        check_sums(self.ledger.entries[0])
        return self.ledger.entries[0]


def check_sums(entry: Entry) -> None:
    """Check that everything in an entry adds up, and that it does not contradict itself."""
    costs = [attempt.cost_nusd for attempt in entry.attempts]
    assert entry.cost_nusd == (None if None in costs else sum(cost or 0 for cost in costs))
    if entry.saved_nusd is None:
        assert entry.shares == {}
    else:
        assert sum(entry.shares.values()) == entry.saved_nusd
    tokens: dict[str, int] = {}
    for share in entry.components.values():
        for name, count in share.tokens.items():
            tokens[name] = tokens.get(name, 0) + count
    assert tokens == (entry.usage.tokens() if entry.usage is not None else {})
    if entry.components and entry.cost_nusd is not None:
        assert sum(share.cost_nusd or 0 for share in entry.components.values()) == entry.cost_nusd
    if entry.cost_nusd is None:
        assert all(share.cost_nusd is None for share in entry.components.values())
    elif entry.cost_max_nusd is not None:
        assert entry.cost_max_nusd >= entry.cost_nusd
    # What a kept answer answered, and what was left before it was sent, went nowhere.
    assert entry.attempts or entry.cost_nusd == 0
    assert [attempt.attempt_id for attempt in entry.attempts] == [
        f"{entry.operation_id}/{number}" for number in range(1, len(entry.attempts) + 1)
    ]
    assert (entry.http_status == 499) == (entry.status is Status.ABORTED)


async def until(condition: Callable[[], Any]) -> None:
    """Give other tasks turns until something is so, for five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - Conditions on plain values have no event to wait for.
            await asyncio.sleep(0.0005)


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Check that whatever was begun inside has ended."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    if left:
        pytest.fail(f"tasks are left: {left}")
