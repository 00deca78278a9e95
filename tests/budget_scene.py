"""A scene with budgets: what its calls hold can be seen, and fails where a test says so."""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.maxima_data import load_maxima
from bursar.adapters.model_limits import load_windows
from bursar.domain.ledger import Entry, Status
from bursar.domain.reservations import (
    Counter,
    Demand,
    Ended,
    Exceeded,
    Held,
    Level,
    Reservation,
    Throttled,
    Unit,
)
from bursar.drivers.asynchronous import CallDriver
from bursar.drivers.holding import Holdings
from bursar.effects import Reply
from bursar.errors import StoreFailed
from bursar.exchange.left_behind import PRESUMED, amounts_of, presume
from bursar.exchange.life import live
from bursar.policy.budgets.book import BudgetBook
from bursar.settings.budgets import BudgetEntry, budgets_of
from provider_answers import completion, completion_chunks, message, message_events
from scripted_world import STREAM_HEADERS, Answer, Scene, Step, WaitingClient, ask, chat, until, whole

# Longer than the 300 tokens that the provider's answers report of it.
_QUESTION = [{"role": "user", "content": "word " * 300}]


@dataclass(frozen=True)
class Face:
    """One dialect: what is asked, what is answered, and what that costs.

    Attributes:
        name: The dialect's provider.
        asked: Makes a request; takes its further fields.
        body: An answer of 300 tokens in and 20 out,
        events: the same as a stream,
        cost_nusd: and its cost.
    """

    name: str
    asked: Callable[..., dict[str, Any]]
    body: dict[str, Any]
    events: Sequence[bytes]
    cost_nusd: int

    def question(self, **fields: Any) -> dict[str, Any]:
        """A request with an output limit of 100 tokens."""
        return self.asked(**{"messages": _QUESTION, "max_tokens": 100, **fields})

    def answer(self, *, streaming: bool = False, before: Step | None = None) -> Answer:
        """What the provider answers."""
        if streaming:
            return Answer(200, dict(STREAM_HEADERS), self.events, before)
        return Answer(steps=whole(self.body).steps, before=before)


# 3 and 15 USD per million tokens; 2.50 and 10.
ANTHROPIC_FACE = Face("anthropic", ask, message(), message_events(), 300 * 3_000 + 20 * 15_000)
OPENAI_FACE = Face("openai", chat, completion(), completion_chunks(), 300 * 2_500 + 20 * 10_000)

both_faces = pytest.mark.parametrize("face", [ANTHROPIC_FACE, OPENAI_FACE], ids=lambda face: face.name)


def table(scope: str = "organisation", window: str | None = "day", **limits: Any) -> BudgetEntry:
    """A table of `[[budgets]]`."""
    return BudgetEntry.model_validate({"scope": scope, "window": window, **limits})


class WatchedBudgets(MemoryBudgets):
    """A memory store that takes its time, fails as told, and remembers what it was asked.

    Attributes:
        is_down: Whether it fails before it does anything,
        times_out: or does it, and fails then.
        steps: What it was asked, in order.
        extending: Set once it was asked to extend.
        asked: What each call asked last,
        held: and held last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.times_out = False
        self.steps: list[str] = []
        self.extending = asyncio.Event()
        self.asked: dict[str, Reservation] = {}
        self.held: dict[str, Reservation] = {}

    async def reserve(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Throttled | Ended:
        await self._start("reserve")
        result = await super().reserve(reservation, now_s)
        self._saw(reservation, result)
        await self._finish()
        return result

    async def extend(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Ended:
        self.extending.set()
        await self._start("extend")
        result = await super().extend(reservation, now_s)
        self._saw(reservation, result)
        await self._finish()
        return result

    async def settle(self, reservation: Reservation, amounts: Sequence[int], now_s: float) -> Ended:
        await self._start("settle")
        self.asked.setdefault(reservation.reservation_id, reservation)
        ended = await super().settle(reservation, amounts, now_s)
        await self._finish()
        return ended

    async def release(self, reservation: Reservation, now_s: float) -> Ended:
        await self._start("release")
        ended = await super().release(reservation, now_s)
        await self._finish()
        return ended

    async def renew(self, reservation_ids: Sequence[str], ttl_s: int, now_s: float) -> frozenset[str]:
        self._fail_if_down()
        return await super().renew(reservation_ids, ttl_s, now_s)

    async def find_left(self, now_s: float, most: int = 256, overdue_s: float = 0) -> Sequence[Reservation]:
        self._fail_if_down()
        return await super().find_left(now_s, most, overdue_s)

    def forget(self) -> None:
        """Lose all that is held and counted, as a server that was started anew."""
        super().__init__()

    @property
    def demands(self) -> Iterable[Demand]:
        """All that was ever asked."""
        return [demand for reservation in self.asked.values() for demand in reservation.demands]

    async def _start(self, step: str) -> None:
        self.steps.append(step)
        await asyncio.sleep(0)
        self._fail_if_down()

    def _fail_if_down(self) -> None:
        if self.is_down:
            raise StoreFailed("the store is down")

    async def _finish(self) -> None:
        await asyncio.sleep(0)
        if self.times_out:
            raise StoreFailed("the store did not answer")

    def _saw(self, reservation: Reservation, result: object) -> None:
        self.asked[reservation.reservation_id] = reservation
        if not isinstance(result, Held):
            return
        self.held[reservation.reservation_id] = reservation
        for demand, level in zip(reservation.demands, result.levels, strict=True):
            assert demand.limit is None or level.settled + level.held <= demand.limit


class Purse:
    """The budgets of a scene, and all that its calls hold.

    Args:
        scene: The scene.
        tables: Its budgets.
        store: Where it is held, if that is another scene's.
    """

    def __init__(self, scene: Scene, *tables: BudgetEntry, store: WatchedBudgets | None = None) -> None:
        scene.engine.budgets = BudgetBook(budgets_of(tables))
        scene.engine.maxima = load_maxima()
        self._scene = scene
        self.store = store or WatchedBudgets()
        self.holdings = Holdings(self.store, scene.clock, self.find_end)
        object.__setattr__(scene.world, "holdings", self.holdings)

    async def find_end(self, reservation: Reservation) -> Sequence[int] | None:
        """Say what the ledger has of a call that was left behind; or record that all of it was taken."""
        entries = self._scene.ledger.entries
        entry = next((each for each in entries if each.operation_id == reservation.reservation_id), None)
        if entry is None:
            presumed = presume(reservation)
            if presumed is not None:
                await self._scene.ledger.record(presumed)
            return None
        return None if PRESUMED in entry.faults else amounts_of(entry, reservation)

    async def level(self, scope: str, unit: Unit = Unit.NUSD) -> Level:
        """Return how the limited counter of a scope stands; zero where nothing was asked of it."""
        limited = {demand.counter for demand in self.store.demands if demand.limit is not None}
        found = [counter for counter in limited if (counter.scope, counter.unit) == (scope, unit)]
        assert len(found) <= 1
        return (await self.store.read(found, self._scene.clock.now()))[0] if found else Level(0, 0)

    async def check_at_rest(self, entries: Sequence[Entry] | None = None) -> None:
        """Check that nothing is held, that every counter is what the ledger says, and no limit is passed.

        Args:
            entries: What was recorded; None for what the ledger has.
        """
        await until(lambda: not self.holdings.kept)
        assert self.holdings.open == 0
        expected = self._expected(self._scene.ledger.entries if entries is None else entries)
        limits = {demand.counter: demand.limit for demand in self.store.demands}
        counters = list(limits)
        levels = await self.store.read(counters, self._scene.clock.now())
        for counter, level in zip(counters, levels, strict=True):
            limit = limits[counter]
            assert level == Level(expected[counter], 0), counter
            assert limit is None or level.settled <= limit

    def _expected(self, entries: Sequence[Entry]) -> Mapping[Counter, int]:
        """Add entries up by counter; what is unknown of one counts as held."""
        sums = Tally[Counter]()
        for entry in entries:
            held = self.store.held.get(entry.operation_id) or self.store.asked.get(entry.operation_id)
            if held is None or (entry.status is Status.REFUSED and not entry.attempts):
                assert entry.cost_nusd == 0
                continue
            for demand, amount in zip(held.demands, held.amounts, strict=True):
                sums[demand.counter] += _taken(entry, demand.counter.unit, amount)
        return sums


def _taken(entry: Entry, unit: Unit, held: int) -> int:
    match unit:
        case Unit.NUSD:
            return held if entry.cost_nusd is None else entry.cost_nusd
        case Unit.TOKENS if entry.usage is not None:
            return sum(entry.usage.tokens().values())
        case Unit.TOKENS:
            # A provider that refused took nothing.
            return 0 if entry.cost_nusd == 0 and entry.attempts else held
        case Unit.TURNS:
            return int(entry.status is Status.OK or PRESUMED in entry.faults)
        case Unit.REQUESTS:
            return 1
        case Unit.OPEN_CALLS:
            return 0


class BudgetScene(Scene):
    """A scene whose calls fall under budgets.

    Args:
        answers: What the provider does, call by call.
        budgets: The budgets.
        options: See `Scene`.
    """

    def __init__(self, *answers: Answer, budgets: Iterable[BudgetEntry] = (), **options: Any) -> None:
        super().__init__(*answers, **options)
        self.engine.windows = load_windows()
        self.purse = Purse(self, *budgets)

    async def play_beside(self, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Play one of many calls that are under way at once."""
        driver = CallDriver(self.world, WaitingClient())
        reply = await driver.run(live(self.engine, self.arrival(body, headers)))
        if driver.streaming:
            await driver.finish()
        return reply
