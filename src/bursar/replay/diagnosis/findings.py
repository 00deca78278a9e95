"""What was found, added up by agent, reason and cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.domain.money import usd_text
from bursar.replay.diagnosis.mends import mend
from bursar.replay.diagnosis.reasons import Reason
from bursar.view.text_differences import Cause

_KINDS_MAX = 10_000


class Kind(msgspec.Struct, frozen=True):
    """What is added up.

    Attributes:
        tenant: Whose agent it is.
        agent: The agent.
        reason: Why the cache missed.
        cause: What differs; None where nothing does, or where it is not known.
    """

    tenant: str
    agent: str
    reason: Reason
    cause: Cause | None = None


class Example(msgspec.Struct, frozen=True):
    """One call of a finding.

    Attributes:
        call: Which one: file and line, or an operation id.
        earlier: The call that left something to be read, likewise; empty where there is none.
        place: What differs, such as `system[0]` or `tool_choice`; empty where nothing does.
        offset: Characters before the difference, from 0; None where the place differs as a whole.
        before: What the earlier call has there, shortened.
        after: What this call has there, shortened.
        gap_s: Seconds between the two; None where there is no earlier one.
        tokens: How many tokens could have been read.
    """

    call: str
    earlier: str = ""
    place: str = ""
    offset: int | None = None
    before: str = ""
    after: str = ""
    gap_s: float | None = None
    tokens: int = 0


NO_EXAMPLE = Example("")


@dataclass(slots=True)
class Finding:
    """What one kind cost. Mutable, for one diagnosis.

    Attributes:
        kind: What it is.
        calls: Calls that lost by it.
        tokens: Tokens that could have been read from the cache, or need not have been written.
        lost_nusd: What that cost; of calls of unknown price nothing.
        unpriced_calls: Those of unknown price.
        example: The call that lost most tokens by it.
        hint: What the mend depends on besides, in words; empty for nothing.
    """

    kind: Kind
    calls: int = 0
    tokens: int = 0
    lost_nusd: int = 0
    unpriced_calls: int = 0
    example: Example = NO_EXAMPLE
    hint: str = ""

    @property
    def known_lost_nusd(self) -> int | None:
        """What it cost, or None where no call's price is known."""
        return None if self.calls == self.unpriced_calls else self.lost_nusd

    @property
    def mend(self) -> str:
        """What to do about it."""
        advice = mend(self.kind.reason, self.kind.cause)
        return f"{advice} {self.hint}" if self.hint else advice

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` gives it; what does not apply is null."""
        kind, example, lost_nusd = self.kind, self.example, self.known_lost_nusd
        return {
            "tenant": kind.tenant,
            "agent": kind.agent,
            "reason": kind.reason.value,
            "cause": kind.cause.value if kind.cause else None,
            "calls": self.calls,
            "unpriced_calls": self.unpriced_calls,
            "tokens": self.tokens,
            "lost_usd": None if lost_nusd is None else usd_text(lost_nusd),
            "place": example.place or None,
            "offset": example.offset,
            "before": example.before or None,
            "after": example.after or None,
            "call": example.call or None,
            "earlier_call": example.earlier or None,
            "gap_s": None if example.gap_s is None else round(example.gap_s, 3),
            "mend": self.mend,
        }


class Findings:
    """Adds findings up, bounded."""

    def __init__(self) -> None:
        self._by_kind: BoundedDict[Kind, Finding] = BoundedDict(_KINDS_MAX)

    def add(self, kind: Kind, example: Example, lost_nusd: int | None) -> Finding:
        """Add a call that lost by something.

        Args:
            kind: By what.
            example: The call; its tokens are what it lost.
            lost_nusd: What that cost; None where unknown.
        """
        finding = self._by_kind.get(kind)
        if finding is None:
            finding = Finding(kind)
            self._by_kind.keep(kind, finding)
        finding.calls += 1
        finding.tokens += example.tokens
        if lost_nusd is None:
            finding.unpriced_calls += 1
        else:
            finding.lost_nusd += lost_nusd
        if example.tokens > finding.example.tokens:
            finding.example = example
        return finding

    def all(self) -> tuple[Finding, ...]:
        """Return what cost something, or may have: the dearest first, unknown amounts last."""
        return dearest_first(self._by_kind.values())


def dearest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings, and leave out those that cost nothing in the end."""
    kept = [each for each in findings if each.lost_nusd > 0 or each.known_lost_nusd is None]
    return tuple(sorted(kept, key=lambda each: (each.known_lost_nusd is None, -each.lost_nusd, -each.tokens)))
