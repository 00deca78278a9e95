"""Settings → what calls hold, and what becomes of what was left behind."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.adapters.budget_journal import BudgetJournal, recover
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.budgets_rebuild import kept_windows, open_windows, rebuild
from bursar.adapters.clock import WallClock
from bursar.adapters.directory_lock import DirectoryLock
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.adapters.retained import RetainedLedger
from bursar.domain.ledger import Entry
from bursar.domain.reservations import Reservation
from bursar.drivers.holding import Holdings
from bursar.errors import BadSetting, EntryRefused, StoreFailed, UnfitStore
from bursar.exchange.engine import Engine
from bursar.exchange.left_behind import PRESUMED, amounts_of, presume
from bursar.ports import BudgetStore, Clock
from bursar.settings import Storage

if TYPE_CHECKING:
    from bursar.adapters.budgets.redis import RedisBudgets

LOG = logging.getLogger("bursar.budgets")

LOCK_NAME = "budgets.lock"
"""Locked by the process that counts what calls hold in a data directory."""


async def _find_end(
    ledger: SqliteLedger, record: Callable[[Entry], Awaitable[None]], reservation: Reservation
) -> Sequence[int] | None:
    """Return what a call took where the ledger has it; else record that it took all that was held.

    Raises:
        StoreFailed: The ledger could not be read, or not written.
    """
    entry = await asyncio.to_thread(ledger.find, reservation.reservation_id)
    if entry is None:
        presumed = presume(reservation)
        if presumed is not None:
            await record(presumed)
        return None
    return None if PRESUMED in entry.faults else amounts_of(entry, reservation)


async def _check(store: "RedisBudgets") -> None:
    """Make sure that Redis can keep budgets, as far as it can be asked.

    Raises:
        BadSetting: It cannot: what was spent would be lost unseen.
    """
    try:
        await store.check()
    except UnfitStore as unfit:
        raise BadSetting(f"{unfit}", place="storage.redis") from None
    except StoreFailed as failure:
        # Calls get the answer of storage.on_store_failure until it is back.
        LOG.warning("storage.redis: nothing was checked at start, as %s", failure)


async def _record_or_keep(record: RetainedLedger, entry: Entry) -> None:
    """Record an entry; one that cannot be written now is kept, and will be."""
    with contextlib.suppress(StoreFailed):
        await record.record(entry)


async def recover_left(directory: Path, ledger: SqliteLedger) -> None:
    """Record what processes that died had under way.

    Raises:
        StoreFailed: A journal cannot be read, or the ledger not be written.
    """
    for left in recover(directory):
        for fault in left.faults:
            LOG.warning("%s", fault)
        try:
            for opened in left.opened.values():
                try:
                    await _find_end(ledger, ledger.record, opened.reservation)
                except EntryRefused as refusal:
                    # It would be refused at every start; all others' calls must not wait for it.
                    LOG.error("a call that was left behind is not in the ledger: %s", refusal)  # noqa: TRY400 -- The message says all.
            aside = left.remove()
            if aside is not None:
                LOG.warning(
                    "some lines of a budget journal cannot be read: what the others say is in the ledger, "
                    "and the file is kept as %s; remove it once it has been looked at",
                    aside,
                )
        finally:
            left.give_back()


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What knows how calls ended.

    Attributes:
        ledger: The ledger.
        retained: Takes entries, and keeps those that it cannot write for it.
    """

    ledger: SqliteLedger
    retained: RetainedLedger


@dataclass(frozen=True, slots=True)
class HeldCalls:
    """What a gateway needs so that its calls can hold something.

    Attributes:
        holdings: What its drivers ask.
        store: Where it is held.
        preparations: To be done before the first call, in order.
        is_shared: Whether other processes hold their calls there, too.
        journal: Where it is written down; None where the store outlives this process.
    """

    holdings: Holdings
    store: BudgetStore
    preparations: Sequence[Callable[[], Awaitable[None]]]
    is_shared: bool
    journal: BudgetJournal | None = None


async def _count_settled(engine: Engine, store: MemoryBudgets, clock: Clock, ledger: SqliteLedger) -> None:
    """Give a fresh store what the ledger says has been taken."""
    budgets, now_s = engine.budgets.budgets, clock.now()
    if budgets:
        await rebuild(store, ledger, open_windows(budgets, now_s) | kept_windows(now_s), now_s)


def build_holdings(
    storage: Storage, engine: Engine, clock: WallClock, ledgers: Ledgers, resources: AsyncExitStack
) -> HeldCalls:
    """Construct what holds for calls.

    Args:
        storage: Where.
        engine: Which budgets there are.
        clock: The time.
        ledgers: What knows how calls ended.
        resources: Closed at shutdown, in reverse order.

    Raises:
        BadSetting: Redis is asked for and not installed, or its URL is none.
        StoreFailed: The journal cannot be opened.
    """
    ledger = ledgers.ledger
    find_end = partial(_find_end, ledger, partial(_record_or_keep, ledgers.retained))
    directory = Path(storage.dir)
    if storage.redis is not None:
        shared = open_redis(storage, storage.redis, resources, goes_by_caller=clock.is_scaled)
        holdings = Holdings(shared, clock, find_end)
        resources.push_async_callback(holdings.close)
        preparations = (partial(_check, shared), partial(recover_left, directory, ledger))
        return HeldCalls(holdings, shared, preparations, is_shared=True)
    lock = resources.enter_context(closing(DirectoryLock(directory / LOCK_NAME)))
    if not lock.is_ours:
        LOG.warning(
            "another bursar serve uses %s: without [storage] redis, each grants all that budgets allow",
            storage.dir,
        )
    store = MemoryBudgets()
    journal = resources.enter_context(closing(BudgetJournal.open(directory)))
    holdings = Holdings(store, clock, find_end, journal)
    resources.push_async_callback(holdings.close)
    preparations = (
        partial(recover_left, directory, ledger),
        partial(_count_settled, engine, store, clock, ledger),
    )
    return HeldCalls(holdings, store, preparations, is_shared=False, journal=journal)


def open_redis(
    storage: Storage, url: str, resources: AsyncExitStack, *, goes_by_caller: bool = False
) -> "RedisBudgets":
    """Open the store in Redis.

    Args:
        storage: Whose budgets they are there.
        url: Where Redis is.
        resources: Closed by whoever opens it.
        goes_by_caller: Whether leases end by our clock, because that runs at a pace of its own.

    Raises:
        BadSetting: The client library is not installed, or the URL is none.
    """
    try:
        # An extra, and heavy: only those who ask for it pay for it.
        from bursar.adapters.budgets.connection import RedisOptions  # noqa: PLC0415 - as above
        from bursar.adapters.budgets.redis import RedisBudgets  # noqa: PLC0415 - as above
    except ImportError:
        raise BadSetting(
            'the client library is not installed; install it with pip install "bursar[redis]"',
            place="storage.redis",
        ) from None
    options = RedisOptions(
        organisation=storage.organisation, is_cluster=storage.redis_cluster, goes_by_caller=goes_by_caller
    )
    store = RedisBudgets.open(url, options)
    resources.push_async_callback(store.close)
    return store
