"""Budget stores driven at random, beside a few dicts that keep the whole history of what was asked."""

import asyncio
from collections.abc import Coroutine, Iterator
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from budget_cases import DAY, HOUR, HOUR_BEFORE, MONTH, NOW_S, OPEN, TOTAL, Ask, sweep
from budget_cases import demand as ask_of
from budget_cases import reservation as ask_all
from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.adapters.budgets.rules import TOMBSTONE_KEPT_S
from bursar.domain.reservations import (
    IDLE_S,
    Counter,
    Demand,
    End,
    Ended,
    Exceeded,
    Held,
    Level,
    Period,
    Reservation,
    Throttle,
    Throttled,
    Unit,
)
from redis_process import redis_process

T = TypeVar("T")

SPAN_S = 12 * 3_600
# A minute so long that no store forgets it while a machine runs.
MINUTE = Counter("tenant:acme", Unit.REQUESTS, Period.MINUTE, NOW_S, NOW_S + SPAN_S)
COUNTERS = (MONTH, DAY, TOTAL, OPEN, MINUTE, HOUR, HOUR_BEFORE)
THROTTLE = Throttle(MONTH, 10, MINUTE, (HOUR, HOUR_BEFORE), 300)

# All amounts of money in a run are multiples of one of these; the large ones are beyond what a double holds.
FACTORS = (1, 2**49 + 1, 2**58)
units = st.integers(0, 12)
calls = st.integers(0, 2)
conversations = st.sampled_from(["one", "two", "three", "four"])


@st.composite
def asks_of_counters(draw: st.DrawFn) -> tuple[Ask, ...]:
    # Much falls on one counter with one limit, so that runs get to where conversations and throttles differ.
    usual = [one for one in (MONTH, MINUTE) if draw(st.sampled_from([True, True, False]))]
    others = draw(st.lists(st.sampled_from(COUNTERS), unique=True, max_size=2))
    counters = dict.fromkeys([*usual, *others])
    limit = draw(st.sampled_from([24, 60, None, 10, 0]))
    new_limit = draw(st.sampled_from([20, 20, None]))
    return tuple(
        ask_of(one, draw(units if one.unit is Unit.NUSD else calls), limit, new_limit) for one in counters
    )


def times(factor: int, reservation: Reservation) -> Reservation:
    """Multiply what is counted in money; what throttles count are calls."""

    def multiply(one: Demand) -> Demand:
        if one.counter.unit is not Unit.NUSD:
            return one
        limit, new_limit = (None if n is None else factor * n for n in (one.limit, one.new_limit))
        return Demand(one.counter, limit, new_limit)

    return msgspec.structs.replace(
        reservation,
        demands=tuple(multiply(one) for one in reservation.demands),
        amounts=tuple(
            factor * amount if one.counter.unit is Unit.NUSD else amount
            for one, amount in zip(reservation.demands, reservation.amounts, strict=True)
        ),
    )


class Model:
    """What a budget store ought to hold."""

    def __init__(self) -> None:
        self.now_s = 0
        self.settled: dict[Counter, int] = {}
        self.open: dict[str, tuple[Reservation, list[int], int]] = {}
        self.ended: dict[str, End] = {}
        self.ended_s: dict[str, int] = {}
        self.presumed: dict[str, list[int]] = {}
        self.settles: list[tuple[str, int]] = []  # Each with its conversation and its time.
        self.reached: dict[Counter, tuple[int, int | None]] = {}  # A limit, and after how many settles.

    def level(self, counter: Counter) -> Level:
        held = sum(
            amount
            for reservation, held, _ in self.open.values()
            for demand, amount in zip(reservation.demands, held, strict=True)
            if demand.counter == counter
        )
        return Level(self.settled.get(counter, 0), held)

    def levels(self, reservation: Reservation) -> tuple[Level, ...]:
        return tuple(self.level(one.counter) for one in reservation.demands)

    def is_new(self, conversation: str, demand: Demand) -> bool:
        own = [(n, at_s) for n, (name, at_s) in enumerate(self.settles) if name == conversation]
        # One that paused for an hour begins anew.
        for (_, earlier_s), (n, at_s) in zip(list(own), own[1:], strict=False):
            if at_s - earlier_s >= 2 * IDLE_S:
                own = [one for one in own if one[0] >= n]
        if not own or self.now_s - own[-1][1] >= IDLE_S:
            return True
        limit, after = self.reached.get(demand.counter, (None, None))
        return limit == demand.new_limit and after is not None and own[0][0] >= after

    def refusal(self, reservation: Reservation, held: list[int] | None) -> Exceeded | None:
        found: list[tuple[Fraction | float, Exceeded]] = []
        for n, demand in enumerate(reservation.demands):
            is_new = demand.new_limit is not None and self.is_new(reservation.conversation, demand)
            limit = demand.new_limit if is_new else demand.limit
            more = reservation.amounts[n] - (held[n] if held else 0)
            level = self.level(demand.counter)
            beyond = level.settled + level.held + more - (limit or 0)
            if limit is not None and beyond > 0 and not (held and more <= 0):
                tightness = Fraction(beyond, limit) if limit else float("inf")
                found.append((tightness, Exceeded(n, limit, level, is_new)))
        return max(found, key=lambda one: one[0])[1] if found else None

    def throttled(self, reservation: Reservation) -> Throttled | None:
        if not reservation.throttles or self.settled.get(MONTH, 0) < reservation.throttles[0].from_amount:
            return None
        this, before, minute = (sum(astuple(self.level(one))) for one in (HOUR, HOUR_BEFORE, MINUTE))
        share = Fraction(min(3_600, max(0, HOUR_BEFORE.end_s + 3_600 - self.now_s)), 3_600)
        allowed = max(1, (this + int(before * share)) * 300 // 1000)
        number = [one.counter for one in reservation.demands].index(MINUTE)
        asked = reservation.amounts[number]
        return Throttled(0, max(1, MINUTE.end_s - self.now_s)) if minute + asked > allowed else None

    def hold(self, reservation: Reservation, *, extends: bool) -> Held | Exceeded | Throttled | Ended:
        name = reservation.reservation_id
        if name in self.ended:
            return Ended(self.ended[name], is_first=False)
        held, expires_s = self.open[name][1:] if name in self.open else (None, 0)
        if held is not None and not extends:
            return Held(self.levels(self.open[name][0]))
        refused = self.refusal(reservation, held) or (None if extends else self.throttled(reservation))
        if refused:
            return refused
        totals = (
            [max(pair) for pair in zip(reservation.amounts, held, strict=True)]
            if held
            else list(reservation.amounts)
        )
        self.open[name] = (reservation, totals, max(expires_s, self.now_s + reservation.ttl_s))
        return Held(self.levels(reservation))

    def end(self, reservation: Reservation, end: End, taken: list[int]) -> Ended:
        name = reservation.reservation_id
        if self.ended.get(name) in (End.SETTLED, End.RELEASED):
            return Ended(self.ended[name], is_first=False)
        was_held = self.open.pop(name, None) is not None
        before = self.presumed.pop(name, [0] * len(taken))
        for demand, counted, amount in zip(reservation.demands, before, taken, strict=True):
            self.count(demand.counter, 0 if demand.counter == OPEN else amount - counted)
            if was_held or (amount != counted and demand.counter != OPEN):
                self.reach(demand.counter, demand.new_limit)
        self.ended[name] = end
        self.ended_s[name] = self.now_s
        if end is End.PRESUMED:
            self.presumed[name] = taken
        if end is End.SETTLED:
            self.settles.append((reservation.conversation, self.now_s))
        return Ended(end, True, self.levels(reservation))

    def count(self, counter: Counter, amount: int) -> None:
        self.settled[counter] = max(0, self.settled.get(counter, 0) + amount)

    def reach(self, counter: Counter, new_limit: int | None) -> None:
        limit, after = self.reached.get(counter, (None, None))
        if new_limit is not None and new_limit != limit:
            limit, after = new_limit, None
        if limit is not None:
            is_reached = self.settled.get(counter, 0) >= limit
            after = (len(self.settles) if after is None else after) if is_reached else None
            self.reached[counter] = (limit, after)


def astuple(level: Level) -> tuple[int, int]:
    return level.settled, level.held


class BudgetMachine(RuleBasedStateMachine):
    """Not run itself: its stores are made below."""

    runner: ClassVar[asyncio.Runner]

    def make(self) -> Any:
        raise NotImplementedError

    @initialize(factor=st.sampled_from(FACTORS))
    def begin(self, factor: int) -> None:
        self.factor = factor
        self.store = self.make()
        self.model = Model()
        self.clock_s = self.model.now_s = NOW_S
        self.asked: dict[str, Reservation] = {}
        self.tell_the_time()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        self.model.now_s = max(self.model.now_s, self.clock_s)
        return self.runner.run(step)

    def pick(self, data: st.DataObject) -> Reservation:
        """Return one of the last few reservations whose end, if any, no store may have forgotten."""
        known = [
            call
            for name, call in list(self.asked.items())[-6:]
            if max(self.model.now_s, self.clock_s) - self.model.ended_s.get(name, self.clock_s)
            < TOMBSTONE_KEPT_S
        ]
        return data.draw(st.sampled_from(known)) if known else self.new(ask_all(""))

    def scale(self, demand: Demand) -> int:
        return self.factor if demand.counter.unit is Unit.NUSD else 1

    def new(self, call: Reservation) -> Reservation:
        name = f"r{len(self.asked)}"
        call = times(self.factor, msgspec.structs.replace(call, reservation_id=name))
        return self.asked.setdefault(name, call)

    @rule(
        asks=asks_of_counters(),
        conversation=conversations,
        ttl_s=st.sampled_from([30, 120, 300]),
        comes=st.sampled_from([1, 1, 1, 0]),
    )
    def ask(self, asks: tuple[Ask, ...], conversation: str, ttl_s: int, comes: int) -> None:
        throttles = (msgspec.structs.replace(THROTTLE, from_amount=self.factor * THROTTLE.from_amount),)
        if not any(one.counter == MINUTE for one, _ in asks):
            throttles = ()
        call = self.new(ask_all("", *asks, conversation=conversation, throttles=throttles, ttl_s=ttl_s))
        if comes:
            assert self.run(self.store.reserve(call, self.clock_s)) == self.model.hold(call, extends=False)

    @rule(asks=asks_of_counters(), conversation=conversations)
    def ask_and_settle(self, asks: tuple[Ask, ...], conversation: str) -> None:
        call = self.new(ask_all("", *asks, conversation=conversation))
        outcome = self.run(self.store.reserve(call, self.clock_s))
        assert outcome == self.model.hold(call, extends=False)
        if isinstance(outcome, Held):
            self.end(call, list(call.amounts))

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        call = self.pick(data)
        assert self.run(self.store.reserve(call, self.clock_s)) == self.model.hold(call, extends=False)

    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        before = self.pick(data)
        wider = tuple(
            max(0, amount + self.scale(one) * data.draw(st.integers(-3, 9)))
            for one, amount in zip(before.demands, before.amounts, strict=True)
        )
        call = msgspec.structs.replace(before, amounts=wider)
        assert self.run(self.store.extend(call, self.clock_s)) == self.model.hold(call, extends=True)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        call = self.pick(data)
        self.end(call, [self.scale(one) * data.draw(units) for one in call.demands])

    def end(self, call: Reservation, taken: list[int]) -> None:
        assert self.run(self.store.settle(call, taken, self.clock_s)) == self.model.end(
            call, End.SETTLED, taken
        )

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        call = self.pick(data)
        nothing = [0] * len(call.demands)
        assert self.run(self.store.release(call, self.clock_s)) == self.model.end(call, End.RELEASED, nothing)

    @rule(data=st.data(), ttl_s=st.sampled_from([30, 120, 300]))
    def renew(self, data: st.DataObject, ttl_s: int) -> None:
        names = ["nobody", self.pick(data).reservation_id, self.pick(data).reservation_id]
        lost = self.run(self.store.renew(names, ttl_s, self.clock_s))
        assert lost == set(names) - self.model.open.keys()
        for name in set(names) & self.model.open.keys():
            call, held, expires_s = self.model.open[name]
            self.model.open[name] = (call, held, max(expires_s, self.model.now_s + ttl_s))

    @rule(most=st.integers(1, 8))
    def sweep(self, most: int) -> None:
        swept = self.run(sweep(self.store, self.clock_s, most))
        due = {name: held for name, (_, held, at_s) in self.model.open.items() if at_s <= self.model.now_s}
        assert len(swept) == min(most, len(due))
        for call in swept:
            assert list(call.amounts) == due[call.reservation_id]
            self.model.end(call, End.PRESUMED, due[call.reservation_id])

    @rule(
        counter=st.sampled_from(COUNTERS),
        settled=st.integers(0, 45),
        further=st.sampled_from([None, 0, 0, 1]),
    )
    def correct(self, counter: Counter, settled: int, further: int | None) -> None:
        settled *= self.factor if counter.unit is Unit.NUSD else 1
        before = self.model.level(counter)
        expected = None if further is None else before.settled + further
        assert self.run(self.store.correct(counter, settled, self.clock_s, expected=expected)) == before
        if counter != OPEN and not further:
            self.model.settled[counter] = settled
            self.model.reach(counter, None)

    @rule(seconds=st.sampled_from([1_800, 120, 30, 1, 1_700, 3_600, -1, -60, -7_200]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock_s = min(self.clock_s + seconds, NOW_S + SPAN_S)
        self.tell_the_time()

    def tell_the_time(self) -> None:
        # A store knows the latest time at which it was asked to do something, not that of a mere look.
        self.run(self.store.renew(["nobody"], 1, self.clock_s))

    @invariant()
    def every_counter_stands_as_it_ought_to(self) -> None:
        found = self.run(self.store.read(COUNTERS, self.clock_s))
        assert list(found) == [self.model.level(one) for one in COUNTERS]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def drive(machine: type[BudgetMachine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            # Shrinking takes minutes, and the steps that failed are told as they are.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_the_store_in_memory_does_what_the_model_does(runner: asyncio.Runner) -> None:
    class MemoryMachine(BudgetMachine):
        def make(self) -> Any:
            return MemoryBudgets()

    MemoryMachine.runner = runner
    drive(MemoryMachine, 150)


def test_the_store_in_redis_does_what_the_model_does(runner: asyncio.Runner) -> None:
    with redis_process() as server:
        store = RedisBudgets.open(server.url, RedisOptions(goes_by_caller=True))

        class RedisMachine(BudgetMachine):
            def make(self) -> Any:
                self.runner.run(store._client.execute_command("FLUSHALL"))
                return store

        RedisMachine.runner = runner
        drive(RedisMachine, 40)
        runner.run(store.close())
