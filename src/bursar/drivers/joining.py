"""Identical calls in flight share one: the first leads, the others wait for what it brings home.

A leader that brings nothing (it failed, was cut or was aborted) wakes one of those who wait, which leads
next; no one inherits a failure, and no herd goes upstream at once. Each call belongs to its own client: a
leader whose client leaves does not go on for the others, since an upstream connection must close when its
client does, and nobody but that client could be charged. At worst one unfinished answer is paid for again.

Who waits gets the whole answer at once, streams included. Waiting is bounded in number and in time; who
may not wait, or has waited long enough, goes alone.
"""

import asyncio
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

Outcome = TypeVar("Outcome")


class _Flight(Generic[Outcome]):
    """One key's leader, and who waits for it, in the order of their arrival."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Outcome | Lead[Outcome]]] = deque()


class InFlight(Generic[Outcome]):
    """The calls in flight, by key. Use it from one event loop.

    Args:
        waiting_max: How many may wait, over all keys.
        wait_max_s: How long one waits, over all leaders that fail it.
    """

    def __init__(self, waiting_max: int = 10_000, wait_max_s: float = 600.0) -> None:
        self._waiting_max = waiting_max
        self._wait_max_s = wait_max_s
        self._flights: dict[bytes, _Flight[Outcome]] = {}
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    def __len__(self) -> int:
        """Return how many keys have a leader."""
        return len(self._flights)

    async def join(self, key: bytes) -> "Outcome | Lead[Outcome]":
        """Join the call in flight with a key.

        Returns:
            What its leader shared; or a lead, where there is none, the leader brought nothing and this is
            next, or this may not wait. Whoever gets a lead must end it: use it as a context manager.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            return Lead(self, key, flight)
        if self._waiting >= self._waiting_max:
            return Lead(self, key, None)
        return await self._wait(key, flight)

    def end(self, key: bytes, flight: _Flight[Outcome]) -> None:
        """Forget a flight that has landed. For leads only."""
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _wait(self, key: bytes, flight: _Flight[Outcome]) -> "Outcome | Lead[Outcome]":
        turn: asyncio.Future[Outcome | Lead[Outcome]] = asyncio.get_running_loop().create_future()
        flight.waiting.append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_max_s):
                return await turn
        except TimeoutError:
            # What came in the very moment in which time ran out is as good as what came before.
            return turn.result() if _has_come(turn) else Lead(self, key, None)
        except asyncio.CancelledError:
            _hand_back(turn)
            raise
        finally:
            self._waiting -= 1
            with suppress(ValueError):
                flight.waiting.remove(turn)


class Lead(Generic[Outcome]):
    """The duty to make a call, for oneself and for those who wait.

    Made by `InFlight.join`. Ending it more than once changes nothing.
    """

    def __init__(self, in_flight: InFlight[Outcome], key: bytes, flight: _Flight[Outcome] | None) -> None:
        self._in_flight = in_flight
        self._key = key
        self._flight = flight

    @property
    def followers(self) -> int:
        """How many wait for this call; none where it goes alone."""
        return 0 if self._flight is None else len(self._flight.waiting)

    def share(self, outcome: Outcome) -> int:
        """Give all who wait what the call brought. Returns how many those were."""
        flight, self._flight = self._flight, None
        if flight is None:
            return 0
        self._in_flight.end(self._key, flight)
        shared = 0
        for turn in flight.waiting:
            if not turn.done():
                turn.set_result(outcome)
                shared += 1
        return shared

    def give_up(self) -> None:
        """Bring nothing: the one that has waited longest leads next."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        while flight.waiting:
            turn = flight.waiting.popleft()
            if not turn.done():
                turn.set_result(Lead(self._in_flight, self._key, flight))
                return
        self._in_flight.end(self._key, flight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what was not shared, however it ended."""
        self.give_up()


def _has_come(turn: "asyncio.Future[Outcome | Lead[Outcome]]") -> bool:
    return turn.done() and not turn.cancelled()


def _hand_back(turn: "asyncio.Future[Outcome | Lead[Outcome]]") -> None:
    """Give up a lead that came in the same moment in which its taker was cancelled."""
    if _has_come(turn) and isinstance(lead := turn.result(), Lead):
        lead.give_up()
