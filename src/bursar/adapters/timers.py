"""Timers that are nearly always cancelled: one timer of the event loop for all of them."""

import asyncio
from collections.abc import Callable

from bursar.ports import Timers

_TICK_S = 0.05


class CoarseTimers:
    """Fills `ports.Timers`, up to a tick late. Use it from one event loop at a time.

    Nearly every call ends before any of its timers is due. To set one in the event loop and cancel it takes
    4 µs of a call; to enter it here and leave takes a tenth of that.
    """

    def __init__(self) -> None:
        self._waiting: dict[Timer, float] = {}
        # The loop that ticks; None while nothing waits. To ask for the one that runs is a system call.
        self._loop: asyncio.AbstractEventLoop | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> "Timer":
        """Call `act` once, some time after so many seconds, unless the timer is cancelled before."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
            loop.call_later(_TICK_S, self._tick, loop)
        timer = Timer(self._waiting, act)
        self._waiting[timer] = loop.time() + seconds
        return timer

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for timer in [timer for timer, due_s in self._waiting.items() if due_s <= now_s]:
            timer.fire()
        if self._waiting:
            loop.call_later(_TICK_S, self._tick, loop)
        else:
            self._loop = None


class Timer:
    """One timer."""

    __slots__ = ("_act", "_waiting")

    def __init__(self, waiting: "dict[Timer, float]", act: Callable[[], None]) -> None:
        self._waiting = waiting
        self._act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """Let it never act; too late once it has."""
        self._waiting.pop(self, None)
        # Who sets a timer keeps it, and what it does often belongs to who set it. Left in that circle, all
        # of a call would stay until the garbage collector comes by.
        self._act = None

    def fire(self) -> None:
        """Act, unless it was cancelled or has acted."""
        act = self._act
        self.cancel()
        if act is not None:
            act()


class Deadline:
    """A time limit on several waits of the task that sets it, as `asyncio.timeout` is on one.

        with deadline:
            await something

    Args:
        timers: What to set it by.
        seconds: How long all waits may take, and whatever happens between them.
    """

    __slots__ = ("_cancelling", "_passed", "_task", "_timer", "_waits")

    def __init__(self, timers: Timers, seconds: float) -> None:
        self._passed = self._waits = False
        self._cancelling = 0
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._timer = timers.after(seconds, self._pass)

    def end(self) -> None:
        """Take it away."""
        self._timer.cancel()

    def _pass(self) -> None:
        self._passed = True
        if self._waits and self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        if self._passed:
            raise TimeoutError
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        self._waits = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waits = False
        if not self._passed or self._task is None:
            return
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError
