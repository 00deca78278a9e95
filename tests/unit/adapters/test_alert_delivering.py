"""Telling notifiers, with retries, while nothing waits for them."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alert_crossings import BUDGET, START_S, counter, crossing
from bursar.adapters.alerts import delivering, recording
from bursar.adapters.alerts.delivering import ATTEMPTS_MAX, Deliverer, wait_after
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.alerts.recording import Recorder, Sources
from bursar.domain.alerts import Message, Outcome, Rejected
from bursar.domain.reservations import Counter, Demand, Level, Reservation
from bursar.errors import StoreFailed
from bursar.policy.budgets.book import BudgetBook
from scripted_world import until

MESSAGE = Message("a title", "a body")


class FakeNotifier:
    """Rejects so many messages, and takes those after them."""

    def __init__(self, rejections: int = 0) -> None:
        self.rejections = rejections
        self.sent: list[Message] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def send(self, message: Message) -> Rejected | None:
        self.may_go_on.wait(20)
        self.sent.append(message)
        return Rejected("busy") if len(self.sent) <= self.rejections else None


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(delivering, "_FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(delivering, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(delivering, "_AGAIN_S", 0.01)
    monkeypatch.setattr(delivering, "_LAST_ATTEMPTS_S", 0.2)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.open(tmp_path)


def record(outbox: Outbox, *ats: int) -> None:
    crossings = [(crossing(fresh=(at,)), START_S + 60.0) for at in ats]
    outbox.record(crossings, ("ann", "bob"), time.time() - 1000)


def deliverer(outbox: Outbox, **notifiers: FakeNotifier) -> Deliverer:
    return Deliverer(outbox, notifiers, lambda _: MESSAGE, asyncio.Event())


def outcomes(outbox: Outbox) -> list[tuple[str, Outcome, int]]:
    return [
        (each.notifier, each.outcome, each.attempts) for alert in outbox.newest() for each in alert.deliveries
    ]


async def deliver(what: Deliverer, is_done: Callable[[], bool]) -> None:
    task = asyncio.create_task(what.keep_delivering())
    try:
        await until(is_done)
    finally:
        task.cancel()
        await what.close()


async def test_a_notifier_that_fails_twice_is_told_once(outbox: Outbox) -> None:
    record(outbox, 500)
    ann = FakeNotifier(rejections=2)
    await deliver(deliverer(outbox, ann=ann), lambda: outcomes(outbox)[0][1] is not Outcome.PENDING)
    assert outcomes(outbox) == [("ann", Outcome.DELIVERED, 3)]
    assert ann.sent == [MESSAGE] * 3


async def test_a_notifier_that_never_takes_a_message_is_given_up(outbox: Outbox) -> None:
    record(outbox, 500)
    ann = FakeNotifier(rejections=100)
    await deliver(deliverer(outbox, ann=ann), lambda: outcomes(outbox)[0][1] is not Outcome.PENDING)
    assert outcomes(outbox) == [("ann", Outcome.FAILED, ATTEMPTS_MAX)]
    assert outbox.newest()[0].deliveries[0].error == "busy"
    assert len(ann.sent) == ATTEMPTS_MAX


async def test_one_that_hangs_keeps_no_other_waiting(outbox: Outbox) -> None:
    record(outbox, 500, 800)
    ann, bob = FakeNotifier(), FakeNotifier()
    ann.may_go_on.clear()
    await deliver(
        deliverer(outbox, ann=ann, bob=bob), lambda: ("bob", Outcome.DELIVERED, 1) in outcomes(outbox)
    )
    ann.may_go_on.set()
    assert bob.sent == [MESSAGE]


async def test_two_processes_tell_it_once(outbox: Outbox) -> None:
    record(outbox, 500, 800)
    ann, bob = FakeNotifier(), FakeNotifier()
    both = [deliverer(outbox, ann=ann, bob=bob) for _ in range(2)]

    def is_done() -> bool:
        return all(outcome is Outcome.DELIVERED for _, outcome, _ in outcomes(outbox))

    await asyncio.gather(*(deliver(each, is_done) for each in both))
    assert (len(ann.sent), len(bob.sent)) == (1, 1)


async def test_what_a_killed_process_left_is_told_by_another_once_its_lease_is_over(outbox: Outbox) -> None:
    record(outbox, 500)
    outbox.claim(("ann",), time.time() - 100, lease_s=60)
    ann = FakeNotifier()
    await deliver(deliverer(outbox, ann=ann), lambda: bool(ann.sent))
    assert outcomes(outbox) == [("ann", Outcome.DELIVERED, 2)]


async def test_an_alert_at_which_processes_die_is_given_up(outbox: Outbox) -> None:
    record(outbox, 500)
    for _ in range(ATTEMPTS_MAX):
        outbox.claim(("ann",), time.time() - 100, lease_s=0)
    ann = FakeNotifier()
    await deliver(deliverer(outbox, ann=ann), lambda: outcomes(outbox)[0][1] is not Outcome.PENDING)
    assert outcomes(outbox)[0][1] is Outcome.FAILED
    assert ann.sent == []


async def test_what_was_sent_is_recorded_even_if_the_outbox_fails_at_first(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(outbox, 500)
    fails, delivered = iter([True, True, False]), outbox.delivered

    def sometimes(*cells: object) -> None:
        if next(fails):
            raise StoreFailed("the disk is full")
        delivered(*cells)

    monkeypatch.setattr(outbox, "delivered", sometimes)
    ann = FakeNotifier()
    await deliver(deliverer(outbox, ann=ann), lambda: outcomes(outbox)[0][1] is Outcome.DELIVERED)
    assert len(ann.sent) == 1


def test_waits_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "_FIRST_WAIT_S", 1.0)
    waits = [wait_after(attempts) for attempts in range(1, ATTEMPTS_MAX)]
    assert waits[:4] == [1, 4, 16, 64]
    assert max(waits) == 1800
    assert 2 * 3600 < sum(waits) < 4 * 3600


class FakeClock:
    def now(self) -> float:
        return START_S + 60.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Ledger:
    """What the ledger says is settled."""

    def __init__(self) -> None:
        self.settled: dict[Counter, int] = {}
        self.reviews = 0

    def read(self, *_: object) -> dict[Counter, int]:
        self.reviews += 1
        return self.settled


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(recording, "_OTHERS_TELL_WITHIN_S", 0.0)
    return Ledger()


def recorder(outbox: Outbox, ledger: Ledger, *books: BudgetBook) -> Recorder:
    waiting = list(books) or [BudgetBook([BUDGET])]
    return Recorder(Sources(lambda: waiting[0], ledger.read), outbox, FakeClock(), ("ann",))


def settle(what: Recorder, amount: int, after: int) -> None:
    what.observe(Reservation("op", "one", (Demand(counter()),), (amount,)), [amount], [Level(after, 0)])


async def test_what_a_call_crosses_is_recorded(outbox: Outbox, ledger: Ledger) -> None:
    what = recorder(outbox, ledger)
    settle(what, 1, 50)
    await what.record()
    assert what.recorded.is_set()
    assert [alert.at_per_mille for alert in outbox.newest()] == [500]


async def test_what_was_crossed_before_and_never_told_is_told_once(outbox: Outbox, ledger: Ledger) -> None:
    ledger.settled = {counter(): 85}
    task = asyncio.create_task(recorder(outbox, ledger).keep_recording())
    await until(lambda: len(outbox.newest()) == 2)
    task.cancel()
    assert {alert.at_per_mille: alert.state for alert in outbox.newest()} == {
        500: "passed",
        800: "undeliverable",
    }
    again = recorder(outbox, ledger)
    settle(again, 1, 86)
    await again.close()
    assert len(outbox.newest()) == 2


async def test_a_crossing_waits_until_the_outbox_takes_it(
    outbox: Outbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = recorder(outbox, ledger)
    settle(what, 1, 50)

    def fail(*_: object) -> None:
        raise StoreFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "record", fail)
        with pytest.raises(StoreFailed):
            await what.record()
        await what.close()
    await what.close()
    assert [alert.at_per_mille for alert in outbox.newest()] == [500]


async def test_nothing_is_looked_for_where_nobody_is_told_of_anything(outbox: Outbox, ledger: Ledger) -> None:
    what = recorder(outbox, ledger, BudgetBook())
    settle(what, 100, 100)
    await what.close()
    task = asyncio.create_task(what.keep_recording())
    await asyncio.sleep(0.05)
    task.cancel()
    assert ledger.reviews == 0
    assert not outbox.newest()
