"""What an exchange asks its driver to do.

The exchange yields one of these and is resumed with the result named in its docstring. Nothing here does
anything by itself.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bursar.domain.ledger import Entry
from bursar.domain.reservations import Reservation
from bursar.policy.response_cache import CacheUse, KeptAnswer
from bursar.policy.tool_results.shortening import Job
from bursar.ports import ContentKey, UpstreamRequest
from bursar.wire.dialect import StreamMeter


class Count(msgspec.Struct, frozen=True):
    """Count texts by o200k. Resumed with their tokens, `list[int]`."""

    texts: Sequence[str]


class Shorten(msgspec.Struct, frozen=True):
    """Shorten texts of tool results. Resumed with what is left of each, `list[Part]`."""

    jobs: Sequence[Job]


class LookUp(msgspec.Struct, frozen=True):
    """Look up working content. Resumed with it, `bytes`, or None where there is none."""

    key: ContentKey


class Keep(msgspec.Struct, frozen=True):
    """Keep working content for a while. Resumed with whether it is kept."""

    key: ContentKey
    content: bytes
    ttl_s: float


class Join(msgspec.Struct, frozen=True):
    """Join the identical call in flight, or lead.

    Resumed with the `KeptAnswer` that its leader shared, with None where this call leads or goes alone, or
    with `Left`.
    """

    key: bytes


class Left(msgspec.Struct, frozen=True):
    """The client left while its call waited, for another one or for what it is to hold."""


class Share(msgspec.Struct, frozen=True):
    """Give an answer to those who wait for this call. Resumed with how many those were."""

    answer: KeptAnswer


class Pause(msgspec.Struct, frozen=True):
    """Wait. Resumed with the time it is then, `float`, or None if the client left meanwhile."""

    seconds: float


class Send(msgspec.Struct, frozen=True):
    """Send a request upstream. Resumed with a `Whole`, `Ended`, `Cut`, `Aborted` or `Unreachable`.

    Attributes:
        request: What goes out.
        meter: Where a stream was asked for, what its bytes pass through. A failed status is
            returned as `Whole` all the same, before anything has reached the client.
        begun: Called once with the time when a response of status 200 begins: from then on the
            provider's cache entries can be read.
        client_headers: Bursar's own headers for the client, where the answer streams.
        holds_back: Whether the client's stream begins only with the first bytes that the meter passes on.
    """

    request: UpstreamRequest
    meter: StreamMeter | None
    begun: Callable[[float], None]
    client_headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    holds_back: bool = False


class Times(msgspec.Struct, frozen=True):
    """When an attempt was sent and when it ended, in seconds since the epoch."""

    sent_at_s: float
    ended_at_s: float


class Whole(msgspec.Struct, frozen=True):
    """A whole response that has not been passed on yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    times: Times


class Ended(msgspec.Struct, frozen=True):
    """A stream came to its terminal event; that event is still held back."""

    times: Times


class Cut(msgspec.Struct, frozen=True):
    """The upstream broke off after its answer had begun.

    Attributes:
        streamed: Whether the client has received a part of it.
    """

    streamed: bool
    times: Times


class Aborted(msgspec.Struct, frozen=True):
    """The client left, or we are shutting down.

    Attributes:
        begun: Whether an answer had begun to arrive.
    """

    begun: bool
    times: Times


class Unreachable(msgspec.Struct, frozen=True):
    """No response: refused, reset, or too late.

    Attributes:
        reason: For a person, without addresses or secrets.
        sent: Whether the request may have reached the provider, which may then bill what nobody saw.
    """

    reason: str
    sent: bool
    times: Times


class Record(msgspec.Struct, frozen=True):
    """Commit a ledger entry. Resumed with True once it is durable, or False if the store failed.

    Attributes:
        entry: The entry.
        cache: What the response cache did for its call.
    """

    entry: Entry
    cache: CacheUse = CacheUse.OFF


class Reserve(msgspec.Struct, frozen=True):
    """Hold what a call can take at most.

    Resumed with `Held`, `Exceeded`, `Throttled` or `reservations.Ended`; with None where the store failed,
    and nobody knows whether it is held.
    """

    reservation: Reservation


class Extend(msgspec.Struct, frozen=True):
    """Hold more for a call: its demands' amounts are the new totals.

    Resumed as from `Reserve`; with `Left` where the call is to end, because its task was cancelled.
    """

    reservation: Reservation


class Settle(msgspec.Struct, frozen=True):
    """Count what a call took in the place of what is held for it, whatever becomes of its client.

    Resumed with `reservations.Ended`; with None where the store failed: it is counted once the store works
    again.

    Attributes:
        reservation: The call's.
        amounts: What it took of each demand's counter, in order; None where nothing of it was begun.
        recorded: Whether the ledger has the call.
    """

    reservation: Reservation
    amounts: Sequence[int] | None
    recorded: bool = True


Sent = Whole | Ended | Cut | Aborted | Unreachable
Hold = Reserve | Extend | Settle
Effect = Count | Shorten | LookUp | Keep | Join | Share | Pause | Send | Record | Hold


class Reply(msgspec.Struct, frozen=True):
    """How an exchange ends: what the client gets.

    Attributes:
        status: HTTP status.
        headers: Headers, Bursar's own included. Already sent where the answer streamed.
        body: Body; for a stream, the bytes still to come (comment and terminal event).
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
