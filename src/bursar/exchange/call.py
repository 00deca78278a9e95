"""A call, once it has been read."""

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.prices import Price
from bursar.exchange.arrival import Arrival
from bursar.policy.agent import AgentPolicy
from bursar.view.threads import ThreadCall
from bursar.wire.dialect import Dialect, Request


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a call would have been without routing.

    Attributes:
        request: The request, for the model that it would have gone to.
        price: That model's price; None where none is known.
        name: Names its prompt among the call's versions.
    """

    request: Request
    price: Price | None
    name: bytes


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call: what was asked, by whom, and how it is to be treated.

    Attributes:
        arrival: As it came.
        dialect: The dialect it speaks.
        request: Its body, read.
        attribution: Whom it is for; the conversation is always named here.
        mode: `observe`, `optimise` or `passthrough`; or `holdout`, where the conversation is one of those
            that are left as they came to compare the others with.
        policy: What is set for its agent.
        price: The model's price; None where none is known.
        place: Its position in its thread.
        body: Its body as it would go out without any technique.
        alias: The tier that it asks for in place of a model: empty for any; None where it names a model.
        is_complex: Whether its client says that it is harder than its task.
        asked: What it would have been without routing, where it goes to another model.
    """

    arrival: Arrival
    dialect: Dialect
    request: Request
    attribution: Attribution
    mode: str
    policy: AgentPolicy
    price: Price | None
    place: ThreadCall
    body: bytes
    alias: str | None = None
    is_complex: bool = False
    asked: Asked | None = None
