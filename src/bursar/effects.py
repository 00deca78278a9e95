"""What an exchange asks its driver to do.

The exchange yields one of these and is resumed with the result named in its docstring. Nothing here does
anything by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bursar.domain.ledger import Entry
from bursar.wire.dialect import Answer, StreamMeter


@dataclass(frozen=True, slots=True)
class Count:
    """Count texts by o200k. Resumed with their tokens, `list[int]`."""

    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait. Resumed with the time it is then, `float`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request upstream. Resumed with a `Whole`, `Ended`, `Cut`, `Aborted` or `Unreachable`.

    Attributes:
        upstream: Name of the provider section.
        path: Path below its base URL, such as `/v1/messages`.
        headers: Headers for the provider.
        body: Request body.
        meter: Where a stream was asked for, what its bytes pass through. A failed status is
            returned as `Whole` all the same, before anything has reached the client.
        begun: Called once with the time when the first response bytes arrive (status 200): from then on
            the provider's cache entries can be read.
        client_headers: Headers for the client, where the answer streams.
        timeout_s: How long the whole attempt may take.
    """

    upstream: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    meter: StreamMeter | None
    begun: Callable[[float], None]
    client_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole response that has not been passed on yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream came to its terminal event; that event is still held back."""

    answer: Answer
    at_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The upstream broke off in mid-stream."""

    answer: Answer
    at_s: float


@dataclass(frozen=True, slots=True)
class Aborted:
    """The client left. `answer` is what had arrived of a stream; None where nothing had."""

    answer: Answer | None
    at_s: float


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No response: refused, reset, or too late.

    Attributes:
        reason: For a person, without addresses or secrets.
        timed_out: Whether time ran out, so that the provider may bill what nobody saw.
    """

    reason: str
    timed_out: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """Commit a ledger entry. Resumed with True once it is durable, or False if the store failed."""

    entry: Entry


Sent = Whole | Ended | Cut | Aborted | Unreachable
Effect = Count | Pause | Send | Record


@dataclass(frozen=True, slots=True)
class Reply:
    """How an exchange ends: what the client gets.

    Attributes:
        status: HTTP status.
        headers: Headers, Bursar's own included. Already sent where the answer streamed.
        body: Body; for a stream, the bytes still to come (comment and terminal event).
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
