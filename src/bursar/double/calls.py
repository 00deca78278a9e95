"""What goes into the provider double, and what comes out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bursar.domain.prices import Price, Terms
from bursar.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class DoubleCall:
    """One request to a model.

    Attributes:
        path: Below the host, such as `/v1/messages`.
        headers: Names in lower case.
        body: As it came.
        tier: What it is billed under where the way in which it came says so; empty for what it asks for.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event.

    Attributes:
        data: Its bytes on the wire, blank line included.
        at_s: When it is due, in seconds after the call arrived.
        output_tokens: Output tokens, reasoning included, that had been generated when it was sent.
    """

    data: bytes
    at_s: float
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What an answer costs if it reaches its end.

    Attributes:
        usage: Disjoint token classes.
        terms: What it is billed under.
        price: The price in force when the call arrived.
    """

    usage: Usage
    terms: Terms
    price: Price


def _nothing_begins(at_s: float) -> None:
    """Refusals leave nothing in a cache."""


@dataclass(frozen=True, slots=True)
class DoubleAnswer:
    """How the provider answers a call.

    Attributes:
        number: The call's number since the start or the last reset, from 1; 0 where it is none.
        status: HTTP status.
        headers: Headers, content type included.
        body: The whole body; empty where the answer streams.
        events: The stream's events, in order; empty where the answer is whole.
        begins_at_s: When the response begins, in seconds after the call arrived.
        ends_at_s: When it is complete.
        operation_id: The request's own, for the bill; empty where unsaid.
        conversation: The request's own, for the bill; empty where unsaid.
        model: The model it asked for; empty where unreadable.
        charge: What it costs; None where the provider refused or failed.
        cut_after: Number of events (of a whole body: bytes) after which the connection is cut.
        injected: Whether it is a failure that `error_rate` asked for.
        begun: To be called with the time when the response begins: from then on the provider's cache
            entries can be read.
    """

    number: int
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    events: tuple[Event, ...] = ()
    begins_at_s: float = 0.0
    ends_at_s: float = 0.0
    operation_id: str = ""
    conversation: str = ""
    model: str = ""
    charge: Charge | None = None
    cut_after: int | None = None
    injected: bool = False
    begun: Callable[[float], None] = _nothing_begins


@dataclass(frozen=True, slots=True)
class DoubleOptions:
    """How the double behaves. Rates are probabilities from 0 to 1.

    Attributes:
        latency_s: Time before anything happens to a call.
        first_token_s: Time from there to the first token.
        tokens_per_s: Pace of the output; 0 for all at once.
        error_rate: Share of valid calls that fail with 429, 500 or 529 (OpenAI: 503).
        cut_rate: Share of answers whose connection is cut in mid-answer.
        evict_rate: Share of calls before which the cache has lost what they would have read.
        token_skew: The provider's own token counts over Bursar's estimate.
        seed: What all draws depend on.
    """

    latency_s: float = 0.0
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    error_rate: float = 0.0
    cut_rate: float = 0.0
    evict_rate: float = 0.0
    token_skew: float = 1.0
    seed: int = 0
