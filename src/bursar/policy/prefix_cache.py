"""Prefix caching: where to set cache marks so that the bill falls.

A mark costs the write premium on what is new and earns the read discount on what comes again. Each way of
marking a request is priced by the cache model: what it costs now, and what the next call of the thread and
the next thread with the same shared prefix will cost, weighed by how likely they come while an entry
lives. The cheapest wins; of equals, the one that changes least. For a single mark on the tail this is the
rule P(next within the TTL) > (w − i)/(w − r), and for an hour instead of five minutes
P(5 m < gap ≤ 1 h) · (S + d)(w₅ − r) > d (w₁ − w₅).

A client's own marks stay, and are completed where that pays.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.rules import CacheKind
from bursar.domain.decision import Decision
from bursar.domain.layout import Layout
from bursar.domain.ledger import Technique
from bursar.domain.money import divide_half_even
from bursar.domain.prompt import Mark
from bursar.domain.usage import TokenClass
from bursar.policy.case import Case
from bursar.view.rhythm import Return

# Probabilities become integers here, so that no float comes near money.
_SURE = 1_000_000
_TOKENS_PER_RATE = 1_000_000

# An entry that lives this long is taken to live through gaps of up to an hour.
_LONG_TTL_S = 1_800


class _Way(msgspec.Struct, frozen=True, gc=False):
    """One way of marking a request."""

    reason: str
    added: Mapping[int, Mark]
    options: CacheOptions


def plan_marks(case: Case) -> Decision | None:
    """Choose the cheapest way of marking a request; None where the provider's cache takes no marks."""
    if case.rules.kind is CacheKind.OPENAI_AUTOMATIC:
        return None
    best, best_cost, as_sent_cost = _choose(case)
    return Decision(
        Technique.PREFIX_CACHE,
        best.reason,
        marks=best.added,
        implicit=best.options.implicit if best.options != case.options else None,
        expected_nusd=divide_half_even(as_sent_cost - best_cost, _SURE * _TOKENS_PER_RATE),
    )


def choose_split(whole: Case, splits: Sequence[Case]) -> int | None:
    """Choose where to split a text, if that pays: where a mark is set, or an entry can be read.

    Args:
        whole: The request with the text in one block.
        splits: The same with the text in two, here or there. All expect the same `starts`.

    Returns:
        Index of the split; None where the request is cheaper as it is.
    """
    chosen, (_, least, _) = None, _choose(whole)
    for index, case in enumerate(splits):
        best, cost, _ = _choose(case)
        # Where neither is so, nothing but the rounding of tokens makes one cheaper.
        if cost < least and (case.split in best.added or _is_kept(case, case.split)):
            chosen, least = index, cost
    return chosen


def _is_kept(case: Case, block: int | None) -> bool:
    return block is not None and case.cache.entry(case.layout.chain[block], case.now_s) is not None


def _choose(case: Case) -> tuple[_Way, int, int]:
    """Return the cheapest way of marking a request, what it costs, and what the request costs as it is."""
    pricing = _Pricing(case)
    best = _Way("as sent", {}, case.options)
    best_cost = as_sent_cost = pricing.expect(best)
    if pricing.can_write and case.layout.total_tokens >= case.rules.minimum_tokens:
        for way in _ways(case):
            cost = pricing.expect(way)
            if cost < best_cost:
                best, best_cost = way, cost
    return best, best_cost, as_sent_cost


def is_cheaper(case: Case, other: Case) -> bool:
    """Whether a shorter version of a request costs less than another of as many blocks.

    Each is priced as it is marked best, over this call and, by their chances, the next ones. That only takes
    pricing where the cache holds more of the longer version, so that what it would read has to be written
    anew; and where the shorter one is too short for the cache.
    """
    if case.layout.total_tokens >= case.rules.minimum_tokens:
        warm = _deepest(case, 0)
        if _deepest(other, 0 if warm is None else warm + 1) is None:
            return True
    elif other.layout.total_tokens < case.rules.minimum_tokens:
        return True
    return _least(case) < _least(other)


def _deepest(case: Case, first: int) -> int | None:
    """Return the number of the last block from `first` on whose prefix has a live entry, or None."""
    return case.cache.deepest(case.layout, len(case.layout.chain), case.now_s, first=first)


def _least(case: Case) -> int:
    """Return what a request costs when it is marked as is best for it, in nusd times a constant."""
    pricing = _Pricing(case)
    least = pricing.expect(_Way("as sent", {}, case.options))
    if not pricing.can_write or case.rules.kind is CacheKind.OPENAI_AUTOMATIC:
        return least
    return min([least, *(pricing.expect(way) for way in _ways(case))])


def _ways(case: Case) -> Iterator[_Way]:
    """Yield the ways worth pricing, those that change least first."""
    layout, rules = case.layout, case.rules
    front = [
        layout.last_markable(layout.system_end),
        layout.last_markable(layout.tools_end) if case.system_varies else None,
    ]
    if rules.kind is CacheKind.OPENAI_MARKS and case.options.implicit:
        yield _Way("nothing is likely to be read again", {}, _explicit(case))
    yield from _ways_with(case, front)
    if case.split is not None:
        yield from _ways_with(case, [case.split, *front])


def _ways_with(case: Case, front: list[int | None]) -> Iterator[_Way]:
    """Yield the ways of marking what new threads may share, and what this thread's next call may read."""
    layout, rules = case.layout, case.rules
    tail = layout.last_markable(layout.lasting_blocks)
    reader = _deepest_markable(case)
    short, *longer = rules.ttls_s if rules.kind is CacheKind.ANTHROPIC else (rules.default_ttl,)
    marked_last = max(layout.marks, default=-1)
    tail_is_marked = marked_last >= _last_turn(layout)
    seats = max(0, rules.marks_max - len(layout.marks))
    # To price a way costs more than all else about it, so none is yielded that is the one before it.
    yield from _placed(case, "shared prefix", front, short, seats)
    if reader not in {None, front[0]}:
        yield from _placed(case, "what is cached already", [reader, *front], short, seats)
    if not tail_is_marked and tail not in {None, reader}:
        yield from _placed(case, "tail and shared prefix", [tail, reader, *front], short, seats)
    if not layout.marks and _may_come_late(case):
        for ttl in longer:
            yield from _placed(case, f"shared prefix for {ttl}", front, ttl, seats)
            yield from _placed(case, f"tail and shared prefix for {ttl}", [tail, reader, *front], ttl, seats)
            yield from _mixed(case, tail, front, short, ttl)


def _may_come_late(case: Case) -> bool:
    """Whether anything that a mark could help may come after entries that live shortest are gone."""
    return any(coming.middle for coming in (case.thread, case.prefix, *(s.coming for s in case.starts)))


def _placed(case: Case, reason: str, wanted: list[int | None], ttl: str, seats: int) -> Iterator[_Way]:
    """Yield a way that adds marks at the wanted blocks, as far as seats and the order of TTLs allow."""
    marks, ends, minimum_tokens = case.layout.marks, case.layout.ends, case.rules.minimum_tokens
    places = [
        block
        for block in dict.fromkeys(wanted)
        if block is not None and block not in marks and ends[block] >= minimum_tokens
    ][:seats]
    if not places:
        return
    added = {block: Mark(_fitting_ttl(case, block, ttl)) for block in places}
    for options in _modes(case):
        yield _Way(reason, added, options)


def _modes(case: Case) -> Iterator[CacheOptions]:
    """Yield the client's own options, and without the provider's breakpoint where it could be left off."""
    yield case.options
    if case.rules.kind is CacheKind.OPENAI_MARKS and case.options.implicit:
        yield _explicit(case)


def _explicit(case: Case) -> CacheOptions:
    """Return the client's options without the provider's own breakpoint."""
    return CacheOptions(implicit=False, ttl=case.options.ttl)


def _mixed(case: Case, tail: int | None, front: list[int | None], short: str, long: str) -> Iterator[_Way]:
    """Yield the way that keeps the shared prefix long and the tail short."""
    ends, minimum_tokens = case.layout.ends, case.rules.minimum_tokens
    added = {block: Mark(long) for block in front if block is not None and ends[block] >= minimum_tokens}
    if tail is not None and added and tail not in added:
        yield _Way(f"tail, and shared prefix for {long}", {**added, tail: Mark(short)}, case.options)


def _fitting_ttl(case: Case, block: int, ttl: str) -> str:
    """Return the TTL of a mark among the client's: longer ones must stand before shorter ones."""
    if not case.layout.marks:
        return ttl
    lives = case.rules.ttls_s
    later = [case.rules.ttl(mark.ttl) for at, mark in case.layout.marks.items() if at > block]
    return max([ttl, *later], key=lambda name: lives[name])


def _last_turn(layout: Layout) -> int:
    """Return the number of the block with which the last message begins."""
    ends = layout.message_ends
    return ends[-2] if len(ends) > 1 else layout.system_end


def _deepest_markable(case: Case) -> int | None:
    """Return the number of the last block that takes a mark and whose prefix has a live entry, or None.

    A provider's own breakpoint may have left an entry at a block that takes none.
    """
    layout = case.layout
    block = _deepest(case, 0)
    while block is not None and not layout.blocks[block].markable:
        block = case.cache.deepest(layout, block, case.now_s)
    return block


class _Pricing:
    """Prices ways of marking one request, in nusd times `_SURE` times `_TOKENS_PER_RATE`."""

    def __init__(self, case: Case) -> None:
        self._case = case
        rules, rates = case.rules, case.rates
        self._input = rates.get(TokenClass.INPUT, 0)
        self._read = rates.get(TokenClass.CACHE_READ, self._input)
        write = rates.get(rules.write_classes[rules.default_ttl])
        self.can_write = write is not None and TokenClass.CACHE_READ in rates
        self._write = write if write is not None else self._input
        self._coming = list(_coming(case))

    def expect(self, way: _Way) -> int:
        """Price this call and, by their chances, the next of the thread and the next new thread."""
        case = self._case
        marks = {**case.layout.marks, **way.added}
        outcome = case.cache.look(case.layout, marks, case.rules, case.now_s, way.options)
        cost = _SURE * self._now(outcome)
        for short, middle, start, end in self._coming:
            if short:
                cost += short * self._again(outcome, start, end, 0)
            if middle:
                cost += middle * self._again(outcome, start, end, _LONG_TTL_S)
        return cost

    def _now(self, outcome: CacheOutcome) -> int:
        rates = self._case.rates
        cost = outcome.read_tokens * self._read + outcome.input_tokens * self._input
        for token_class, tokens in outcome.writes.items():
            # A time to live without a rate must never look cheap.
            cost += tokens * rates.get(token_class, 10 * self._write)
        return cost

    def _depth(self, outcome: CacheOutcome, end: int, lives_s: int) -> int:
        """Return how many of the first `end` tokens will be readable, by entries of at least some life."""
        ends, lives = self._case.layout.ends, self._case.rules.ttls_s
        for block, ttl in reversed(outcome.kept):
            if ends[block] <= end and lives[ttl] >= lives_s:
                return ends[block]
        return 0

    def _again(self, outcome: CacheOutcome, start: int, end: int, lives_s: int) -> int:
        """Price what a prompt of `end` tokens costs beyond its first `start`: what is not read is written."""
        cost = self._prompt(self._depth(outcome, end, lives_s), end)
        return cost - self._prompt(self._depth(outcome, start, lives_s), start) if start else cost

    def _prompt(self, depth: int, end: int) -> int:
        """Price a prompt of `end` tokens of which `depth` are read, and the rest is written anew."""
        return depth * self._read + (end - depth) * self._write


def _coming(case: Case) -> Iterator[tuple[int, int, int, int]]:
    """Yield what may come: its chances, sooner and later, and from which token to which it counts.

    Who brings a longer prefix is counted for the shorter one already, so only the rest counts.
    """
    layout = case.layout
    lasting = layout.lasting_blocks
    yield *_chances(case.thread), 0, layout.ends[lasting - 1] if lasting else 0
    prefixes = [(layout.ends[layout.system_end - 1] if layout.system_end else 0, case.prefix)]
    if case.starts:
        prefixes += [(start.end_tokens, start.coming) for start in case.starts]
        prefixes.sort(key=_end_tokens)
    before = 0
    for end, coming in prefixes:
        yield *_chances(coming), before, end
        before = end


def _end_tokens(prefix: tuple[int, Return]) -> int:
    return prefix[0]


def _chances(coming: Return) -> tuple[int, int]:
    return round(coming.short * _SURE), round(coming.middle * _SURE)
