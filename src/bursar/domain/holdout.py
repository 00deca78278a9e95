"""What the techniques do to whole conversations: those that they act on, beside those that are held out.

Shares of savings are worked out call by call, so they say nothing about calls that a conversation needed on
top, or that failed. The conversations that `holdout` leaves as they came do: drawn by their names alone,
they differ from the others in nothing else. Only days (UTC) on which calls were held out count, in both
groups, so that traffic from before a holdout is not taken for its counterpart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bursar.domain.attribution import ERASED
from bursar.domain.ledger import Entry, Status
from bursar.domain.money import divide_half_even, usd_text

HELD_OUT = "holdout"
"""The mode of calls that are held out."""

OPTIMISED = "optimise"
"""The mode of calls that they are compared with."""

CONVERSATIONS_MIN = 30
"""Below this many conversations, a group says too little: a usual rule of thumb for comparing means."""

FAILED = frozenset({Status.ERROR, Status.CUT, Status.REFUSED})
"""How calls end that got no whole answer, and whose client did not leave before it."""

S_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations that were treated alike.

    Attributes:
        conversations: How many; a conversation with calls of both modes counts in both groups.
        calls: Their calls.
        unknown_calls: Those whose cost is unknown; they are in no amount.
        failed_calls: Those that got no whole answer.
        cost_nusd: Known costs.
    """

    conversations: int = 0
    calls: int = 0
    unknown_calls: int = 0
    failed_calls: int = 0
    cost_nusd: int = 0

    @property
    def calls_per_conversation(self) -> Fraction | None:
        """Turns, as a conversation goes; None where there is none."""
        return _ratio(self.calls, self.conversations)

    @property
    def cost_per_conversation_nusd(self) -> Fraction | None:
        """Known costs per conversation; None where none is known."""
        return _ratio(self.cost_nusd, self.conversations) if self.calls > self.unknown_calls else None

    @property
    def cost_per_call_nusd(self) -> Fraction | None:
        """Cost per call whose cost is known; None where there is none."""
        return _ratio(self.cost_nusd, self.calls - self.unknown_calls)

    @property
    def failed_share(self) -> Fraction | None:
        """The part of the calls that failed; None where there is none."""
        return _ratio(self.failed_calls, self.calls)

    def measures(self) -> dict[str, Fraction | None]:
        """Return what groups are compared by."""
        return {
            "calls_per_conversation": self.calls_per_conversation,
            "cost_per_conversation": self.cost_per_conversation_nusd,
            "cost_per_call": self.cost_per_call_nusd,
            "failed_share": self.failed_share,
        }

    def as_json(self) -> dict[str, Any]:
        """Return it as a report's JSON has it: amounts with nine places, ratios as decimal text."""
        return {
            "conversations": self.conversations,
            "calls": self.calls,
            "unknown_calls": self.unknown_calls,
            "failed_calls": self.failed_calls,
            "cost_usd": None if 0 < self.calls == self.unknown_calls else usd_text(self.cost_nusd),
            "calls_per_conversation": decimal_text(self.calls_per_conversation, 3),
            "cost_per_conversation_usd": _usd(self.cost_per_conversation_nusd),
            "cost_per_call_usd": _usd(self.cost_per_call_nusd),
            "failed_share": decimal_text(self.failed_share, 6),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two groups of conversations over the same days.

    Attributes:
        optimised: Those that the techniques acted on.
        held_out: Those that were left as they came.
    """

    optimised: Group
    held_out: Group

    @property
    def is_large_enough(self) -> bool:
        """Whether both groups are large enough to be compared."""
        return min(self.optimised.conversations, self.held_out.conversations) >= CONVERSATIONS_MIN

    def differences(self) -> dict[str, Fraction | None]:
        """Return (optimised - held out) / held out, by measure; None where that is unknown or of zero."""
        held_out = self.held_out.measures()
        return {name: _relative(value, held_out[name]) for name, value in self.optimised.measures().items()}

    def as_json(self) -> dict[str, Any]:
        """Return it as a report's JSON has it."""
        return {
            "optimised": self.optimised.as_json(),
            "held_out": self.held_out.as_json(),
            "difference": {name: decimal_text(value, 6) for name, value in self.differences().items()},
            "large_enough": self.is_large_enough,
        }


def compare(entries: Iterable[Entry]) -> Comparison | None:
    """Compare the conversations that were held out with those that were not.

    Args:
        entries: Calls, each once.

    Returns:
        The two groups; None where nothing was held out.
    """
    calls = [
        entry
        for entry in entries
        # Of erased tenants' calls nobody knows which were one conversation.
        if entry.mode in {HELD_OUT, OPTIMISED} and entry.attribution.tenant != ERASED
    ]
    days = {_day(entry) for entry in calls if entry.mode == HELD_OUT}
    if not days:
        return None
    counted = [entry for entry in calls if _day(entry) in days]
    return Comparison(
        optimised=_group(entry for entry in counted if entry.mode == OPTIMISED),
        held_out=_group(entry for entry in counted if entry.mode == HELD_OUT),
    )


def comparison_of(groups: Mapping[str, Group]) -> Comparison | None:
    """Put groups that were summed up elsewhere together, by their mode; None where nothing was held out."""
    if HELD_OUT not in groups:
        return None
    return Comparison(groups.get(OPTIMISED, Group()), groups[HELD_OUT])


def decimal_text(value: Fraction | None, places: int) -> str | None:
    """Write a ratio with so many decimal places, one at least, rounded half-even; None stays that."""
    if value is None:
        return None
    scaled = divide_half_even(value.numerator * 10**places, value.denominator)
    whole, rest = divmod(abs(scaled), 10**places)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{places}d}"


def _group(entries: Iterable[Entry]) -> Group:
    calls = tuple(entries)
    costs_nusd = [entry.cost_nusd for entry in calls if entry.cost_nusd is not None]
    return Group(
        conversations=len({(entry.attribution.tenant, entry.attribution.conversation) for entry in calls}),
        calls=len(calls),
        unknown_calls=len(calls) - len(costs_nusd),
        failed_calls=sum(entry.status in FAILED for entry in calls),
        cost_nusd=sum(costs_nusd),
    )


def _day(entry: Entry) -> int:
    return int(entry.at_s // S_PER_DAY)


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _relative(value: Fraction | None, base: Fraction | None) -> Fraction | None:
    return (value - base) / base if value is not None and base else None


def _usd(nusd: Fraction | None) -> str | None:
    return None if nusd is None else usd_text(divide_half_even(nusd.numerator, nusd.denominator))
