"""From the outbox to notifiers, with retries, each attempt in a thread of its own.

A notifier that hangs keeps one thread and its own alerts waiting, and nothing else: threads are daemons, so
that not even the end of the process waits for one.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

from bursar.adapters.alerts.outbox import Outbox
from bursar.domain.alerts import Alert, Message, Notice, Rejected
from bursar.errors import StoreFailed
from bursar.ports import Notifier

LOG = logging.getLogger("bursar.alerts")

ATTEMPTS_MAX = 12
"""Attempts to tell one notifier of one alert: over some three hours."""

LEASE_S = 60.0
"""How long after a process died in an attempt another one tries."""

_RENEW_EVERY_S = 15.0
_LOOK_EVERY_S = 1.0
_AGAIN_S = 1.0

_FIRST_WAIT_S = 1.0
_WAIT_FACTOR = 4
_WAIT_MAX_S = 1800.0

# How long the end of the process waits for attempts under way.
_LAST_ATTEMPTS_S = 5.0

Compose = Callable[[Alert], Message]
"""Writes what is told of an alert. It may read the ledger, which blocks, and never fails for that."""


def wait_after(attempts: int) -> float:
    """Return how long after the last of so many attempts the next one is due, in seconds."""
    return min(_FIRST_WAIT_S * _WAIT_FACTOR ** (attempts - 1), _WAIT_MAX_S)


class Deliverer:
    """Tells notifiers of the alerts of an outbox.

    Args:
        outbox: Where alerts are, of this process and of others that share it.
        notifiers: Those that are set up, by name.
        compose: Writes what is told.
        recorded: Set when there is something new.
    """

    def __init__(
        self, outbox: Outbox, notifiers: Mapping[str, Notifier], compose: Compose, recorded: asyncio.Event
    ) -> None:
        self._outbox = outbox
        self._notifiers = notifiers
        self._compose = compose
        self._recorded = recorded
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failure = ""

    async def keep_delivering(self) -> None:
        """Deliver what is due, for ever."""
        if not self._notifiers:
            return
        while True:
            try:
                await self.begin_due()
            except StoreFailed as failure:
                self._tell(str(failure))
            except Exception as error:  # noqa: BLE001 - Whatever breaks once, people must go on being told.
                self._tell(type(error).__name__)
            else:
                self._failure = ""
            self._recorded.clear()
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._recorded.wait()
            except TimeoutError:
                continue

    async def begin_due(self) -> None:
        """Begin an attempt for each notifier that is free and has something due.

        Raises:
            StoreFailed: The outbox cannot be asked.
        """
        free = [name for name in self._notifiers if name not in self._under_way]
        if not free:
            return
        for alert, name in await asyncio.to_thread(self._outbox.claim, free, time.time(), LEASE_S):
            self._under_way[name] = asyncio.create_task(self._attempt(alert, name))

    async def close(self) -> None:
        """Wait a little for attempts under way, so that what was taken is known to have been."""
        with contextlib.suppress(StoreFailed):
            await self.begin_due()
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()), timeout=_LAST_ATTEMPTS_S)
        for task in list(self._under_way.values()):
            task.cancel()

    async def _attempt(self, alert: Alert | Notice, name: str) -> None:
        try:
            rejected = await self._send(alert, name)
            await self._keep_trying(lambda: self._end(alert, name, rejected))
        except Exception as error:  # noqa: BLE001 - A task's failure would be lost; the lease runs out, and it is tried again.
            LOG.error("alert %d to %s: the attempt failed (%s)", alert.alert_id, name, type(error).__name__)  # noqa: TRY400 - A trace could hold a URL.
        finally:
            del self._under_way[name]
            # There may be more for it.
            self._recorded.set()

    async def _send(self, alert: Alert | Notice, name: str) -> Rejected | None:
        if _attempts(alert, name) > ATTEMPTS_MAX:
            return Rejected("processes ended while they tried to tell it")
        message = Message(alert.title, alert.body)
        if isinstance(alert, Alert) and not alert.title:
            message = await asyncio.to_thread(self._compose, alert)
            await self._keep_trying(lambda: self._outbox.write(alert.alert_id, message))
        sending = in_thread(lambda: self._notifiers[name].send(message))
        while True:
            done, _ = await asyncio.wait([sending], timeout=_RENEW_EVERY_S)
            if done:
                return sending.result()
            await self._keep_trying(lambda: self._outbox.renew(alert.alert_id, name, time.time() + LEASE_S))

    def _end(self, alert: Alert | Notice, name: str, rejected: Rejected | None) -> None:
        attempts = _attempts(alert, name)
        if rejected is None:
            self._outbox.delivered(alert.alert_id, name, time.time())
        elif attempts < ATTEMPTS_MAX:
            due_at_s = time.time() + wait_after(attempts)
            self._outbox.postpone(alert.alert_id, name, rejected.reason, due_at_s)
        else:
            self._outbox.failed(alert.alert_id, name, rejected.reason, time.time())
            LOG.error("alert %d to %s was never taken: %s", alert.alert_id, name, rejected.reason)

    async def _keep_trying(self, write: Callable[[], None]) -> None:
        """Write to the outbox, until it takes it: a message that was sent must be known to have been."""
        while True:
            try:
                await asyncio.to_thread(write)
            except StoreFailed as failure:
                self._tell(str(failure))
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _tell(self, failure: str) -> None:
        """Log a failure once, not at every try."""
        if failure != self._failure:
            LOG.warning("alerts cannot be delivered, and are tried again: %s", failure)
        self._failure = failure


def _attempts(alert: Alert | Notice, name: str) -> int:
    """Return how often it has been tried to tell a notifier, an attempt under way included."""
    return next(each.attempts for each in alert.deliveries if each.notifier == name)


def in_thread(act: Callable[[], Rejected | None]) -> "asyncio.Future[Rejected | None]":
    """Do something in a thread of its own, for which nothing waits at the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Rejected | None] = loop.create_future()

    def give(rejected: Rejected | None) -> None:
        if not future.done():
            future.set_result(rejected)

    def run() -> None:
        try:
            rejected = act()
        except BaseException as error:  # noqa: BLE001 - The thread's end: whoever waits must hear of it.
            rejected = Rejected(f"the notifier failed ({type(error).__name__})")
        if not loop.is_closed():
            loop.call_soon_threadsafe(give, rejected)

    threading.Thread(target=run, name="bursar-notifier", daemon=True).start()
    return future
