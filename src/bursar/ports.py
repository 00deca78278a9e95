"""The Protocols that adapters fill."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from bursar.domain.ledger import Entry


class Clock(Protocol):
    """The time, in seconds since the epoch; it may run faster than the wall's (`--time-scale`)."""

    def now(self) -> float:
        """Return the time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of this clock's time."""
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
        """Return the whole body."""
        ...

    def close(self) -> None:
        """Drop the connection at once if the body is unfinished, so that the provider stops working."""
        ...


class Upstream(Protocol):
    """The providers, over HTTP."""

    async def send(
        self, upstream: str, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> UpstreamResponse:
        """Send a POST and return once the response's head has arrived.

        Raises:
            UpstreamFailed: There was no response.
        """
        ...
