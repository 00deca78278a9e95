"""Ledger entries: what one call was, used, cost, and would have cost as it came.

Entries are written once, when a call ends, and never changed but when their tenant is erased. `saved` is
always baseline − cost, and the techniques' shares add up to it exactly.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from bursar.domain.attribution import Attribution
from bursar.domain.prices import CostLine, Terms, total_nusd
from bursar.domain.usage import Usage


class Component(StrEnum):
    """Where tokens go, by their position in the prompt."""

    SYSTEM = "system"
    TOOLS = "tools"
    HISTORY = "history"
    TOOL_RESULTS = "tool_results"
    USER = "user"
    OUTPUT = "output"
    ROUTING = "routing"


class Technique(StrEnum):
    """A way to save."""

    PREFIX_CACHE = "prefix_cache"
    RESPONSE_CACHE = "response_cache"
    ROUTING = "routing"
    HISTORY = "history"
    TOOL_RESULTS = "tool_results"
    OUTPUT = "output"
    BATCH = "batch"


ACTING_ORDER = (
    Technique.RESPONSE_CACHE,
    Technique.ROUTING,
    Technique.OUTPUT,
    Technique.TOOL_RESULTS,
    Technique.HISTORY,
    Technique.PREFIX_CACHE,
    Technique.BATCH,
)
"""All techniques, in the order in which they act on a call: what one saves is what it took off the call as
those before it had left it. (`Technique` itself is in the order of the ledger's columns.)
"""


class Status(StrEnum):
    """How a call ended."""

    OK = "ok"
    CUT = "cut"  # The upstream broke off after it had begun to answer.
    ABORTED = "aborted"  # The client left before the end.
    ERROR = "error"  # The provider refused it, failed, or could not be reached.
    REFUSED = "refused"  # Bursar refused it; nothing went upstream.


class CostBasis(StrEnum):
    """Where a cost comes from."""

    MEASURED = "measured"  # The provider's own usage.
    ESTIMATED = "estimated"  # Our count of what was seen, where the provider reported nothing.
    UNKNOWN = "unknown"  # No price or no usage: never shown as zero.


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One upstream request made for a call.

    Attributes:
        attempt_id: Unique: the operation id, a slash, and the attempt's number from 1.
        model: The model it asked for.
        upstream: Name of the provider section that it went to, such as `anthropic`.
        started_at_s: When it was sent.
        latency_ms: From sending to its end.
        http_status: The provider's status; None where there was no answer.
        status: How it ended.
        usage: Token classes; None where the provider reported none and nothing could be estimated.
        terms: What it was billed under.
        lines: Cost lines, in nusd.
        basis: Where the cost comes from.
    """

    attempt_id: str
    model: str
    upstream: str
    started_at_s: float
    latency_ms: int
    http_status: int | None
    status: Status
    usage: Usage | None
    terms: Terms
    lines: tuple[CostLine, ...]
    basis: CostBasis

    @property
    def cost_nusd(self) -> int | None:
        """The sum of the lines, or None where the cost is unknown."""
        if self.basis is CostBasis.UNKNOWN:
            return None
        return total_nusd(self.lines)


class ComponentShare(msgspec.Struct, frozen=True, gc=False):
    """What one component took: tokens by class name, and cost in nusd (None: unknown)."""

    tokens: Mapping[str, int]
    cost_nusd: int | None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One call in the ledger.

    Attributes:
        operation_id: Unique; recording it again changes nothing.
        at_s: When the call arrived.
        attribution: Whom it is for.
        dialect: Such as `anthropic.messages`.
        model: The model that the client asked for.
        mode: `observe`, `optimise` or `passthrough`.
        stream: Whether the client asked for a stream.
        status: How it ended.
        http_status: What the client got; 499 where it left.
        latency_ms: From arrival to the last byte, less the ledger's own commit.
        overhead_us: Time inside Bursar before sending, in microseconds.
        thread: Id of the thread; empty where none was recognised.
        turn: Calls that came before it in its thread.
        attempts: Every upstream request, in order.
        usage: Sum over attempts; None where unknown.
        components: What each component took; adds up to `usage` and `cost_nusd` exactly.
        cost_nusd: What the call cost; None where unknown.
        cost_max_nusd: For an estimated cost, the most it can have been. For an unknown one, what was held for
            the call, as which its budgets count it; None where no money was held. Else equal to `cost_nusd`.
        baseline_nusd: What it would have cost as it came; None where unknown.
        shares: Each technique's part of baseline − cost; adds up exactly; may be negative.
        basis: Where the cost comes from.
        faults: Names of what failed inside Bursar while the call went out as it came.
        would_save: In observe mode: what each technique would have saved, had it acted.
        decisions: What was decided about it beside what its techniques did, such as `prefer_cheaper`.
    """

    operation_id: str
    at_s: float
    attribution: Attribution
    dialect: str
    model: str
    mode: str
    stream: bool
    status: Status
    http_status: int
    latency_ms: int
    overhead_us: int
    thread: str
    turn: int
    attempts: tuple[Attempt, ...]
    usage: Usage | None
    components: Mapping[Component, ComponentShare]
    cost_nusd: int | None
    cost_max_nusd: int | None
    baseline_nusd: int | None
    shares: Mapping[Technique, int]
    basis: CostBasis
    faults: tuple[str, ...] = ()
    would_save: Mapping[Technique, int] = msgspec.field(default_factory=dict[Technique, int])
    decisions: tuple[str, ...] = ()

    @property
    def saved_nusd(self) -> int | None:
        """Baseline − cost, or None where either is unknown."""
        if self.cost_nusd is None or self.baseline_nusd is None:
            return None
        return self.baseline_nusd - self.cost_nusd
