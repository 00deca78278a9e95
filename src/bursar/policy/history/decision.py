"""Whether to rewrite a prompt's history now, and how.

With i, r, w the prices of an input token, of a cache read and of a cache write, R tokens replaced by m, S
tokens behind them, T calls to come: while the cache is warm, a rewriting saves T (R − m) r and costs
(m + S)(w − r) and the summary; once it has lapsed, it saves (R − m)(w + (T − 1) r). Both are the same
difference: what this call and those to come cost as it is, less what they cost rewritten. It is worked out
call by call, since a longer prompt may be billed at other rates.

What a step costs now is certain, what it saves later is a guess. So the guess must be twice that: a step
that pays only in a long run waits, and is taken for nothing when the cache lapses. And it must be large,
so that the next is many turns away.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import msgspec

from bursar.domain.layout import Layout
from bursar.domain.money import divide_half_even
from bursar.policy.history.candidates import Candidate, Prospect
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.outlook import MILLIONTHS, Outlook, Pricing
from bursar.wire.condensing.cuts import cut_points

_SURETY = 2


class HistoryKind(StrEnum):
    """What to do to a prompt's history."""

    NONE = "none"
    MASK = "mask"
    SUMMARISE = "summarise"
    DROP = "drop"


class SummaryOffer(msgspec.Struct, frozen=True, gc=False):
    """What a summary is expected to be.

    Attributes:
        tokens: Its length.
        cost_nusd: What it costs to have it written; None where that is unknown.
    """

    tokens: int
    cost_nusd: int | None


class HistoryPlan(msgspec.Struct, frozen=True, gc=False):
    """What was decided.

    Attributes:
        kind: What to do.
        reason: Why, for a person, in few words.
        summary_end: Messages of the client's own conversation before this one are replaced; 0 for none.
        mask_end: Tool results before this one are masked; 0 for none.
        tokens: Prompt tokens as they are expected then.
        expected_nusd: What it is expected to save over the calls to come, its cost counted; None where a
            price is unknown.
        fits: Whether the prompt is within its limit then.
    """

    kind: HistoryKind
    reason: str
    summary_end: int = 0
    mask_end: int = 0
    tokens: int = 0
    expected_nusd: int | None = 0
    fits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCase:
    """One call, as far as its history is concerned.

    Attributes:
        layout: Its prompt as it would go out: what was rewritten at earlier turns is rewritten here.
        kept: Which of its messages stay verbatim. What a summary left standing is among them.
        shift: How many messages more the client's own conversation has before any of these; 0 unless a
            summary stands in it.
        summary_tokens: Tokens of that summary.
        pricing: The model's prices.
        readable: Returns how many of the prompt's first so many tokens the cache holds now.
        outlook: What is expected of the thread.
        offer: What a summary would be; None where no model writes one.
        window_tokens: The model's window less the output; None where unknown.
    """

    layout: Layout
    pricing: Pricing
    readable: Callable[[int], int]
    outlook: Outlook
    kept: Collection[int] = ()
    shift: int = 0
    summary_tokens: int = 0
    offer: SummaryOffer | None = None
    window_tokens: int | None = None


def decide_history(case: HistoryCase, options: HistoryOptions) -> HistoryPlan:
    """Decide whether to rewrite a prompt's history, and how.

    Below `options.tokens` nothing is done, and beyond it only what pays. Beyond the limit the cheapest way
    that fits is taken, whatever it costs: within the recent part nothing is touched unless it must be, and
    nothing is dropped where a summary can be had. Where even that does not fit, the plan says so, and is
    the shortest that there is.
    """
    total = case.layout.total_tokens
    limit = options.limit_for(case.window_tokens)
    as_it_is = HistoryPlan(HistoryKind.NONE, "history is off", tokens=total)
    if not options.enabled:
        return as_it_is
    if limit is not None and total > limit:
        return _Choice(case, options, limit).must_fit(limit)
    if options.tokens is None or total < options.tokens:
        return msgspec.structs.replace(as_it_is, reason="the prompt is short enough")
    return _Choice(case, options, limit).pays()


class _Saving(NamedTuple):
    """What a way of rewriting saves, in millionths of nusd; negative where it costs."""

    now: int
    later: int

    @property
    def total(self) -> int:
        return self.now + self.later

    def pays(self) -> bool:
        """Whether it is worth it, and what it costs now is well spent."""
        return self.total > 0 and self.later > _SURETY * -self.now


class _Choice:
    """Chooses among the ways of rewriting one prompt."""

    def __init__(self, case: HistoryCase, options: HistoryOptions, limit: int | None) -> None:
        self._case = case
        self._prospect = Prospect(case.layout, case.kept, case.summary_tokens)
        self._recent_tokens = options.recent(limit)
        self._recent = self._prospect.recent_start(self._recent_tokens)
        self._bound = (limit or 0) if options.tokens is None else options.tokens
        # What a step must take out at least, and so what must come in before the next.
        self._least = max((self._bound - self._recent_tokens) // 2, 1)

    def pays(self) -> HistoryPlan:
        """Return the way that saves most, if it is worth it."""
        total = self._prospect.total_tokens
        as_it_is = HistoryPlan(HistoryKind.NONE, "too little would be gone", tokens=total)
        large = [way for way in self._gentle(drops=False) if total - way.tokens >= self._least]
        if not large:
            return as_it_is
        savings = [(saving, way) for way in large if (saving := self._saving(way)) is not None]
        if not savings:
            return msgspec.structs.replace(as_it_is, reason="a price is unknown", expected_nusd=None)
        worth = [(saving.total, way) for saving, way in savings if saving.pays()]
        if not worth:
            return msgspec.structs.replace(as_it_is, reason=f"it would not pay while {self._state()}")
        best = max(worth, key=lambda each: each[0])[1]
        return self._plan(best, f"it pays while {self._state()}")

    def must_fit(self, limit: int) -> HistoryPlan:
        """Return the cheapest way that fits; the shortest where none does."""
        gentle, harsh = list(self._gentle(drops=True)), list(self._harsh())
        fitting = [way for way in gentle if way.tokens <= limit]
        milder = [way for way in fitting if not way.dropped]
        if fitting:
            best = max(milder or fitting, key=self._worth)
        else:
            best = next((way for way in harsh if way.tokens <= limit), None)
        if best is not None:
            return self._plan(best, f"the prompt must fit into {limit:,} tokens")
        total = self._prospect.total_tokens
        shortest = min([*gentle, *harsh], key=lambda way: way.tokens, default=None)
        if shortest is None or shortest.tokens >= total:
            reason = f"nothing can be taken out of it, and it exceeds {limit:,} tokens"
            return HistoryPlan(HistoryKind.NONE, reason, tokens=total, fits=False)
        plan = self._plan(shortest, f"nothing makes it fit into {limit:,} tokens")
        return msgspec.structs.replace(plan, fits=False)

    @cached_property
    def _cuts(self) -> tuple[int, ...]:
        return cut_points(self._case.layout.prompt.messages)

    def _gentle(self, *, drops: bool) -> Iterator[Candidate]:
        """Yield the ways that leave the recent part alone, a mask before a summary.

        Args:
            drops: Whether messages may be dropped where no summary can take their place.
        """
        masked = self._prospect.mask(min(self._recent, self._prospect.last_question()))
        if masked is not None:
            yield masked
        if drops or self._case.offer is not None:
            replaced = self._replace(max([cut for cut in self._cuts if cut <= self._recent], default=0))
            if replaced is not None:
                yield replaced

    def _harsh(self) -> Iterator[Candidate]:
        """Yield the ways that do not, those that leave most of it alone first."""
        last = self._prospect.last_question()
        later = [cut for cut in self._cuts if cut > self._recent]
        earlier = [cut for cut in self._cuts if cut <= self._recent][-1:]
        ways = [self._prospect.mask(last), *(self._replace(cut) for cut in later)]
        # Whatever is left behind the summary can be masked as well.
        ways += [self._replace(cut, last) for cut in (*earlier, *later)]
        yield from [way for way in ways if way is not None]

    def _replace(self, cut: int, mask_end: int = 0) -> Candidate | None:
        offer = self._case.offer
        return self._prospect.replace(cut, None if offer is None else offer.tokens, mask_end)

    def _worth(self, way: Candidate) -> tuple[bool, int]:
        """Return a key by which ways of a known saving come after the others, the greatest last."""
        saving = self._saving(way)
        return (False, 0) if saving is None else (True, saving.total)

    def _saving(self, way: Candidate) -> "_Saving | None":
        """Return what a way saves; None where a price is unknown."""
        case, total = self._case, self._prospect.total_tokens
        pricing, output = case.pricing, case.outlook.output_tokens
        outlook = case.outlook.until(way.tokens, max(self._bound, way.tokens + self._least))
        read = min(case.readable(total), total)
        read_then = min(case.readable(way.unchanged_tokens), way.unchanged_tokens)
        now = pricing.this_call(total, read, output)
        then = pricing.this_call(way.tokens, read_then, output)
        later, later_then = pricing.later_calls(total, outlook), pricing.later_calls(way.tokens, outlook)
        if now is None or then is None or later is None or later_then is None:
            return None
        now_saving = now - then
        if way.summary_end and not way.dropped and case.offer is not None:
            if case.offer.cost_nusd is None:
                return None
            now_saving -= case.offer.cost_nusd * MILLIONTHS
        return _Saving(now_saving, later - later_then)

    def _state(self) -> str:
        total = self._prospect.total_tokens
        return "the cache is warm" if 2 * self._case.readable(total) > total else "the cache is cold"

    def _plan(self, way: Candidate, reason: str) -> HistoryPlan:
        saving, shift = self._saving(way), self._case.shift
        kind = HistoryKind.MASK
        if way.summary_end:
            kind = HistoryKind.DROP if way.dropped else HistoryKind.SUMMARISE
        return HistoryPlan(
            kind,
            reason,
            summary_end=way.summary_end + shift if way.summary_end else 0,
            mask_end=way.mask_end + shift if way.mask_end else 0,
            tokens=way.tokens,
            expected_nusd=None if saving is None else divide_half_even(saving.total, MILLIONTHS),
        )
