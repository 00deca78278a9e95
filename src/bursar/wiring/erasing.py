"""Erasing a tenant: all that a data directory keeps of it, beside a server that runs or without one.

A server that runs is told first, by the admin store, and forgets what it has in memory (`wiring.forgetting`);
then the files are gone through. What is broken off half-way is found again and finished by the next try.
"""

import asyncio
import difflib
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from bursar.adapters.admin.erasing import AdminErasure, erase_from_admin
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.alerts.erasing import erase_alerts
from bursar.adapters.anomalies import erase_anomalies
from bursar.adapters.budget_journal import read_open
from bursar.adapters.content.erasing import erase_content
from bursar.adapters.content.naming import tenant_digest
from bursar.adapters.directory_lock import is_locked
from bursar.adapters.ledger.erasing import Traces, erase_from_ledger, read_traces
from bursar.adapters.ledger.sqlite import FILE_NAME, LedgerReader, SqliteLedger
from bursar.domain.admin import AdminChange, AdminItem, AdminState, ItemKind
from bursar.domain.attribution import ERASED
from bursar.domain.report import ReportKey
from bursar.domain.scopes import Scope, ScopeKind
from bursar.errors import CallerMistake
from bursar.exchange.left_behind import presume
from bursar.settings import Settings
from bursar.settings.agents import quoted
from bursar.settings.stored import Act
from bursar.settings.stored_tenants import (
    Belongings,
    Erasure,
    ended_key,
    erasure_item,
    keys_of,
    read_erasure,
)
from bursar.wiring.budgets import LOCK_NAME, open_redis, recover_left

TAKEN_UP_S = 2.5
"""How long a server that runs may take to forget what it has in memory."""

_CHANGES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a tenant.

    Attributes:
        counts: How much, by store: `ledger` (calls), `content` (pieces), `admin` (items and changes in their
            log), `alerts`, `anomalies`, and `counters` where they are in Redis.
        left: Places of the settings file that name it, which no command changes.
        under_way: Calls of it that hold something now, as far as anybody can see.
        erased_at_s: When it was erased before; None where it was not.
    """

    counts: Mapping[str, int]
    left: tuple[str, ...] = ()
    under_way: int = 0
    erased_at_s: float | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is kept of it."""
        return not any(self.counts.values()) and not self.under_way


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases one tenant.

    Attributes:
        settings: Those of `bursar serve`; `storage.dir` is a directory that one has used.
        tenant: The tenant.
        act: Who erases, and when.
        taken_up_s: How long a server that runs is given to forget, by the wall's clock.
    """

    settings: Settings
    tenant: str
    act: Act
    taken_up_s: float = TAKEN_UP_S
    _directory: Path = field(init=False)

    def __post_init__(self) -> None:
        """Find the directory."""
        object.__setattr__(self, "_directory", Path(self.settings.storage.dir))

    @property
    def name(self) -> str:
        """What the audit log calls the tenant: a hash of its name."""
        return tenant_digest(self.tenant).hex()

    def find(self) -> Found:
        """Say what is kept, and change nothing.

        Raises:
            CallerMistake: Nothing is, and never was.
            StoreFailed: A store cannot be read.
        """
        found = self._look()
        if found.is_nothing and not found.left and found.erased_at_s is None:
            raise CallerMistake(
                f"ID: no tenant {self.tenant!r} is known in {self._directory}; {self._near()}"
            )
        return found

    def erase(self) -> Found:
        """Erase all that is kept. What calls bring that arrive meanwhile stays, and is found the next time.

        Returns:
            What was erased.

        Raises:
            CallerMistake: Nothing is known of the tenant, or calls of it are under way.
            StoreFailed: A store cannot be read or written; what is left is erased by the next try.
        """
        found = self.find()
        if found.is_nothing:
            return found
        is_served = self._is_served()
        self._recover()
        found = self._look()
        if found.under_way and is_served:
            raise CallerMistake(
                f"{found.under_way} calls of {self.tenant} are under way; stop it (bursar stop "
                f"{Scope(ScopeKind.TENANT, '', self.tenant)}), and erase it when they have ended"
            )
        SqliteAdmin.open(self._directory).put(erasure_item(self.name, Erasure(self.tenant), self.act))
        if is_served:
            time.sleep(self.taken_up_s)
        erased = self._erase()
        # A server may have been faster, and calls may have come.
        counts = {store: max(count, erased[store]) for store, count in found.counts.items()}
        return Found(counts, found.left)

    def _erase(self) -> dict[str, int]:
        """Go through all stores. Those that need to know the tenant's names come before the ledger."""
        directory, traces, belongings = self._directory, self._traces(), self._belongings()
        counts = self._counters(belongings, traces, is_dry_run=False)[0]
        counts["alerts"] = erase_alerts(directory, belongings.holds, _told_names(self.tenant, traces))
        counts["anomalies"] = erase_anomalies(directory, self.tenant)
        counts["content"] = erase_content(directory, self.tenant)
        counts["ledger"] = erase_from_ledger(directory / FILE_NAME, self.tenant)
        mark = erasure_item(self.name, Erasure(erased_at_s=self.act.at_s), self.act)
        counts["admin"] = erase_from_admin(
            directory, AdminErasure(belongings.holds_item, self._left_in_place, mark)
        )
        return counts

    def _left_in_place(self, item: AdminItem) -> AdminItem | None:
        return ended_key(item, self.act) if item.kind is ItemKind.KEY else None

    def _look(self) -> Found:
        traces, belongings = self._traces(), self._belongings()
        counts, held = self._counters(belongings, traces, is_dry_run=True)
        state, changes = self._set()
        items = [(kind, name) for kind, named in state.items.items() for name in named]
        items += [(change.kind, change.name) for change in changes]
        names = _told_names(self.tenant, traces)
        mark = state.items.get(ItemKind.ERASURE, {}).get(self.name)
        known = Erasure() if mark is None else read_erasure(mark)
        # What was broken off half-way names the tenant still.
        is_unfinished = bool(known.tenant)
        counts |= {
            "ledger": traces.calls,
            "content": erase_content(self._directory, self.tenant, is_dry_run=True),
            "admin": sum(belongings.holds_item(kind, name) for kind, name in items) + is_unfinished,
            "alerts": erase_alerts(self._directory, belongings.holds, names, is_dry_run=True),
            "anomalies": erase_anomalies(self._directory, self.tenant, is_dry_run=True),
        }
        return Found(
            counts,
            tuple(_places(self.settings, belongings)),
            held + self._open_calls(),
            known.erased_at_s,
        )

    def _counters(
        self, belongings: Belongings, traces: Traces, *, is_dry_run: bool
    ) -> tuple[dict[str, int], int]:
        """Forget the tenant's counters in Redis. Returns how many those were, and how many hold something."""
        storage = self.settings.storage
        url = storage.redis
        if url is None:
            return {}, 0

        async def forget() -> tuple[int, int]:
            async with AsyncExitStack() as resources:
                store = open_redis(storage, url, resources)
                return await store.forget(
                    belongings.holds, _scopes(belongings, traces), is_dry_run=is_dry_run
                )

        count, held = asyncio.run(forget())
        return {"counters": count}, held

    def _traces(self) -> Traces:
        return read_traces(self._directory / FILE_NAME, self.tenant)

    def _belongings(self) -> Belongings:
        state, changes = self._set()
        return Belongings(self.tenant, keys_of(self.tenant, state, changes))

    def _set(self) -> tuple[AdminState, list[AdminChange]]:
        """Return what operators set, and all their changes."""
        admin = SqliteAdmin.open_existing(self._directory)
        if admin is None:
            return AdminState(0, {}), []
        changes = list(admin.changes(_CHANGES_AT_ONCE))
        while changes and changes[-1].version > 1:
            more = admin.changes(_CHANGES_AT_ONCE, changes[-1].version)
            if not more:
                break
            changes += more
        return admin.read(), changes

    def _open_calls(self) -> int:
        """Count the tenant's calls that hold something, but for those that the ledger has."""
        ledger = LedgerReader.open(self._directory)
        entries = [presume(reservation) for reservation in read_open(self._directory)]
        return sum(
            entry is not None
            and entry.attribution.tenant == self.tenant
            and ledger.find(entry.operation_id) is None
            for entry in entries
        )

    def _recover(self) -> None:
        """Record what processes that died had under way, as the next start of a server would."""
        with closing(SqliteLedger.open(self._directory)) as ledger:
            asyncio.run(recover_left(self._directory, ledger))

    def _is_served(self) -> bool:
        """Whether a server may run here. Where counters are in Redis, nobody can tell."""
        return self.settings.storage.redis is not None or is_locked(self._directory / LOCK_NAME)

    def _near(self) -> str:
        report = LedgerReader.open(self._directory).report((ReportKey.TENANT,))
        tenants = [name for row in report.rows if (name := row.keys[0]) != ERASED]
        near = difflib.get_close_matches(self.tenant, tenants, 1)
        return f"did you mean {near[0]!r}?" if near else "bursar report --by tenant lists those that are"


def _told_names(tenant: str, traces: Traces) -> frozenset[str]:
    """Return what messages may name."""
    return frozenset((tenant, *traces.of("agent"), *traces.of("conversation")))


def _scopes(belongings: Belongings, traces: Traces) -> frozenset[str]:
    """Return all scopes of a tenant that anybody knows of."""
    kinds = (ScopeKind.AGENT, ScopeKind.CONVERSATION, ScopeKind.USER)
    scopes = [Scope(kind, belongings.tenant, name) for kind in kinds for name in traces.of(kind.value)]
    scopes += [Scope(ScopeKind.KEY, "", key_id) for key_id in belongings.keys]
    return frozenset(map(str, (Scope(ScopeKind.TENANT, "", belongings.tenant), *scopes)))


def _places(settings: Settings, belongings: Belongings) -> Iterator[str]:
    """Yield the places of the settings file that name a tenant."""
    for number, entry in enumerate(settings.budgets, 1):
        if belongings.holds_pattern(entry.pattern):
            yield f"[[budgets]] no. {number}, scope {entry.pattern}"
    if belongings.tenant in settings.tenants:
        yield f"[tenants.{quoted(belongings.tenant)}]"
    for name in settings.agents:
        tenant, slash, _ = name.partition("/")
        if slash and tenant == belongings.tenant:
            yield f"[agents.{quoted(name)}]"
