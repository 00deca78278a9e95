"""Coarse timers, and deadlines set by them."""

import asyncio
import gc
import weakref

import pytest

from bursar.adapters.timers import CoarseTimers, Deadline, Timer


async def test_a_timer_acts_once_and_not_early() -> None:
    timers, acted = CoarseTimers(), list[float]()
    loop = asyncio.get_running_loop()
    set_at_s = loop.time()
    timers.after(0.06, lambda: acted.append(loop.time()))
    await asyncio.sleep(0.25)
    assert len(acted) == 1
    assert acted[0] - set_at_s >= 0.06


async def test_a_cancelled_timer_never_acts_and_another_may_cancel_it() -> None:
    timers, acted = CoarseTimers(), list[str]()
    second = timers.after(0.02, lambda: acted.append("second"))
    second.cancel()
    third_cancelled = timers.after(0.12, lambda: acted.append("third"))
    timers.after(0.01, third_cancelled.cancel)
    timers.after(0.03, lambda: acted.append("last"))
    await asyncio.sleep(0.25)
    assert acted == ["last"]


async def test_a_timer_can_be_set_once_all_have_acted() -> None:
    timers, acted = CoarseTimers(), list[str]()
    timers.after(0.0, lambda: acted.append("first"))
    await asyncio.sleep(0.12)
    timers.after(0.0, lambda: acted.append("second"))
    await asyncio.sleep(0.12)
    assert acted == ["first", "second"]


class Owner:
    """Keeps the timer that calls it."""

    def __init__(self, timers: CoarseTimers, seconds: float) -> None:
        self.timer: Timer = timers.after(seconds, self.act)

    def act(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "acted"])
async def test_whoever_set_a_timer_is_let_go_without_the_garbage_collector(*, cancelled: bool) -> None:
    timers = CoarseTimers()
    gc.disable()
    try:
        owner = Owner(timers, 0.0)
        watched = weakref.ref(owner)
        if cancelled:
            owner.timer.cancel()
        else:
            await asyncio.sleep(0.12)
        del owner
        assert watched() is None
    finally:
        gc.enable()


async def test_a_deadline_ends_a_wait_as_a_time_out() -> None:
    deadline = Deadline(CoarseTimers(), 0.02)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_deadline_that_passed_between_waits_ends_the_next_one() -> None:
    deadline = Deadline(CoarseTimers(), 0.0)
    with deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.12)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(5)


async def test_a_deadline_that_was_taken_away_ends_nothing() -> None:
    deadline = Deadline(CoarseTimers(), 0.0)
    deadline.end()
    with deadline:
        await asyncio.sleep(0.12)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    deadline = Deadline(CoarseTimers(), 5)

    async def wait() -> None:
        with deadline:
            await asyncio.sleep(5)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
