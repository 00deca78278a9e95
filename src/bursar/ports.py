"""The Protocols that adapters fill."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from bursar.domain.admin import AdminChange, AdminItem, AdminState, ItemKind
from bursar.domain.alerts import Message, Rejected
from bursar.domain.anomalies import Anomaly
from bursar.domain.ledger import Entry
from bursar.domain.reservations import Counter, End, Ended, Exceeded, Held, Level, Reservation, Throttled
from bursar.policy.response_cache import CacheUse


class Clock(Protocol):
    """The time, in seconds since the epoch; it may run faster than the wall's (`--time-scale`)."""

    def now(self) -> float:
        """Return the time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of this clock's time."""
        ...


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> None:
        """Let it not happen; too late once it has."""
        ...


class Timers(Protocol):
    """Sets timers, by the wall's time."""

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Call `act` once, in the event loop, after so many seconds or a little later."""
        ...


class Tokenizer(Protocol):
    """Counts text by o200k. Thread-safe."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        ...


class Ledger(Protocol):
    """Where entries are kept."""

    async def record(self, entry: Entry) -> None:
        """Return once the entry is durable. Recording an operation id again changes nothing.

        One that was only presumed is replaced by what really came of its call, whenever that is recorded.

        Raises:
            StoreFailed: It could not be made durable.
        """
        ...


class ContentKind(StrEnum):
    """What content is kept for; equal keys of different kinds never meet."""

    RESPONSE = "response"
    MEMO = "memo"
    RESULT = "result"


class ContentKey(msgspec.Struct, frozen=True):
    """Names one piece of content.

    Attributes:
        tenant: Whose it is. No other tenant can read or replace it, whatever key it knows.
        kind: What it is kept for.
        digest: What names it among the tenant's contents of this kind: a digest that nobody can forge,
            never text.
    """

    tenant: str
    kind: ContentKind
    digest: bytes


class ContentStore(Protocol):
    """Keeps content for a while: answers, summaries, full tool results.

    It is bounded; what was used least lately leaves first, and anything may be lost at any time. So losing
    it costs money, never correctness, and a store that fails holds nothing: no call fails by it.
    """

    async def get(self, key: ContentKey, now_s: float) -> bytes | None:
        """Return what is kept under a key; None for nothing, or nothing that could be read."""
        ...

    async def put(self, key: ContentKey, content: bytes, ttl_s: float, now_s: float) -> bool:
        """Keep content, in place of what is kept under its key, until its time to live has passed.

        Returns:
            Whether `get` would find it now. False: it is too large, or the store cannot keep up.
        """
        ...

    async def delete_tenant(self, tenant: str) -> int:
        """Delete all that is kept for a tenant, for good. Returns how many pieces of content that were.

        Raises:
            StoreFailed: Some of it may still be there.
        """
        ...

    async def purge(self, now_s: float) -> int:
        """Delete what has outlived its time. Returns how many pieces of content that were.

        Raises:
            StoreFailed: It could not be deleted; `get` returns none of it all the same.
        """
        ...


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request to a provider.

    Attributes:
        upstream: Name of the provider section, which has the base URL.
        method: HTTP method.
        path: Path and query below the base URL, percent-encoded.
        headers: All headers but the host and the framing.
        body: Body; empty for none.
        timeout_s: How long it may take, and how long it may be silent.
    """

    upstream: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float


class UpstreamResponse(Protocol):
    """A response whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they arrive.

        Raises:
            UpstreamFailed: The upstream broke off.
        """
        ...

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamFailed: The upstream broke off.
        """
        ...

    def close(self) -> None:
        """Give the connection back; drop it at once if the body is unfinished, so that the provider stops."""
        ...


class Upstream(Protocol):
    """The providers, over HTTP."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request and return once the response's head has arrived.

        Raises:
            UpstreamFailed: There was no response.
        """
        ...


class Client(Protocol):
    """The other end of a call: who asked."""

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of a response."""
        ...

    async def write(self, data: bytes) -> None:
        """Send body bytes; returns at once if the client has left."""
        ...

    async def left(self) -> None:
        """Return once the client has closed the connection."""
        ...


class Observer(Protocol):
    """Told of every call that ended, for metrics. It never fails and never waits."""

    def ended(self, entry: Entry, *, durable: bool, cache: CacheUse = CacheUse.OFF) -> None:
        """Learn that a call ended, and what the response cache did for it."""
        ...


class AnomalySink(Protocol):
    """Told of spending that is not as usual: a few times a month, if all is well."""

    async def found(self, anomaly: Anomaly) -> None:
        """Learn of a finding. It never fails; nothing waits for it but further findings."""
        ...


class OperationIds(Protocol):
    """Names calls."""

    def new(self) -> str:
        """Return an id that was never given before, anywhere."""
        ...


class BudgetStore(Protocol):
    """Where reservations are held. Every method is one atomic step over all counters that it touches.

    Raises, all methods alike:
        StoreFailed: The store could not be asked, or did not answer; the step may have happened. Asking
            again is safe.
        ValueError: The caller's fault: an amount below zero, one counter asked twice, not one amount for each
            demand, a throttle whose minute no demand counts.
    """

    async def reserve(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Throttled | Ended:
        """Hold all that a call asks for, or nothing.

        Holding the same reservation again changes nothing. One that has ended, or whose end was asked for
        before it came, is not held: `Ended`.
        """
        ...

    async def extend(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Ended:
        """Hold more for a call: its demands' amounts are the new totals, never less than before.

        The counters are the same as before, in the same order. What asks no more of one is not judged again.
        A reservation that the store does not know is held as a whole, or not at all. Throttles do not apply.
        """
        ...

    async def settle(self, reservation: Reservation, amounts: Sequence[int], now_s: float) -> Ended:
        """Count what a call really took, in the place of what was held for it.

        What is not held, because the store was down or forgot it, is counted all the same; an amount beyond
        what was held is counted whole. What was presumed before is corrected to what was really taken:
        that end counts as the first.

        Args:
            reservation: The call's.
            amounts: What it took of each demand's counter, in order.
            now_s: The time.
        """
        ...

    async def release(self, reservation: Reservation, now_s: float) -> Ended:
        """End a reservation of which nothing was taken. One that comes later under its id is not held.

        What was presumed of it is taken back: that end counts as the first.
        """
        ...

    async def renew(self, reservation_ids: Sequence[str], ttl_s: int, now_s: float) -> frozenset[str]:
        """Hold reservations for longer, never for less. Returns those that are not held any more.

        One that was left behind is held until it is presumed.
        """
        ...

    async def find_left(self, now_s: float, most: int = 256, overdue_s: float = 0) -> Sequence[Reservation]:
        """Return what was left behind, the oldest first, with the amounts that are held; it stays held.

        Args:
            now_s: The time.
            most: How many at most.
            overdue_s: Only what should have been renewed at least so long ago.
        """
        ...

    async def presume(self, reservation: Reservation, now_s: float) -> Ended | None:
        """End one that was left behind at the held amounts, as presumed; a late `settle` corrects them.

        Returns:
            Its end; None where it has ended or was renewed meanwhile, and nothing changed.
        """
        ...

    async def read(self, counters: Sequence[Counter], now_s: float) -> Sequence[Level]:
        """Return how counters stand; one that holds nothing stands at zero."""
        ...

    async def correct(
        self, counter: Counter, settled: int, now_s: float, *, expected: int | None = None
    ) -> Level:
        """Set what a counter has settled, by the ledger's word. Returns how it stood before.

        What is held stays held; a counter of open calls settles nothing, ever.

        Args:
            counter: The counter.
            settled: What it is to have settled.
            now_s: The time.
            expected: What it must have settled for that; where it is something else, nothing changes. None
                where it does not matter.
        """
        ...


class HoldJournal(Protocol):
    """Where a process writes down what it holds, so that a crash forgets none of it."""

    def opened(self, reservation: Reservation, at_s: float) -> None:
        """Write down what is held for a call, before anything is sent; again when that becomes more.

        Raises:
            StoreFailed: It may not be written; the call must not be sent.
        """
        ...

    def closed(self, reservation_id: str, end: End, amounts: Sequence[int] = ()) -> None:
        """Write down that a reservation has ended, once the ledger has its call.

        Raises:
            StoreFailed: It may not be written; after a crash it is looked up in the ledger.
        """
        ...


class AdminStore(Protocol):
    """What operators set while the gateway runs. Its methods block, for a commit at most.

    Whoever keeps a copy of the state asks for the version every few seconds, and reads when it has changed;
    who makes a change, reads at once.

    Raises, all methods alike:
        StoreFailed: The store could not be read or written; then nothing changed.
    """

    def version(self) -> int:
        """Return the state's version, the number of changes so far: cheap enough for every second."""
        ...

    def read(self) -> AdminState:
        """Return all that is set."""
        ...

    def put(self, item: AdminItem, expected: str | UnsetType | None = UNSET) -> AdminChange | None:
        """Set an item, in place of the one of its kind and name.

        Args:
            item: The item.
            expected: The content that it was made from, None where there was none; UNSET where that does not
                matter.

        Returns:
            What changed; None where the same content was set already.

        Raises:
            BadSetting: A text is too long, or no Unicode.
            ChangedMeanwhile: What is set is not what was expected; nothing changed.
        """
        ...

    def remove(self, kind: ItemKind, name: str, by: str, at_s: float) -> AdminChange | None:
        """Remove an item. Returns what changed; None where there was none."""
        ...

    def changes(self, limit: int = 100, before_version: int | None = None) -> Sequence[AdminChange]:
        """Return the last changes, the latest first.

        Args:
            limit: How many at most.
            before_version: Only earlier ones than this; None for the latest.
        """
        ...


class Notifier(Protocol):
    """Tells somebody something. Its methods block, for as long as it takes to give up; thread-safe."""

    def send(self, message: Message) -> Rejected | None:
        """Send a message. Returns None once it was taken, else why it was not. It never fails otherwise."""
        ...
