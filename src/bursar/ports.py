"""The Protocols that adapters fill."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from bursar.domain.ledger import Entry
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


class OperationIds(Protocol):
    """Names calls."""

    def new(self) -> str:
        """Return an id that was never given before, anywhere."""
        ...
