"""What prompts would cost at least, if all calls to come were known.

A provider's cache bills each block of a prompt as read, written or plain, and what a block may be billed as
hangs on the calls before it that begin with the same blocks. So the prefixes of all calls make a tree, each
of its nodes is met by calls at known times, and for each node alone the cheapest row of bills is found: paid
plain, or written once and then read for as long as it lives. The sum over the nodes is a lower bound on what
*any* way of marking the same prompts can cost, because every rule that couples nodes is left out to the
bill's advantage: marks are not limited in number or distance, and whatever is read is kept for the longest
time to live from then on, as a longer-lived entry behind it would keep it. What is kept of the rules:
nothing shorter than the minimum is cached; an entry can be read once a response that made it has begun,
until its time to live after it was last met; writes cost what they cost.

It takes one pass over the calls and keeps nothing of nodes that nothing can read any more.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from bursar.cachemodel.prompts import Prefixes
from bursar.cachemodel.rules import CacheRules
from bursar.domain.prices import PER_MILLE, Rates
from bursar.domain.usage import TokenClass

_TOKENS_PER_RATE = 1_000_000
_DENOMINATOR = _TOKENS_PER_RATE * PER_MILLE * PER_MILLE
# More than any bill in these units: a state that cannot be.
_NEVER = 1 << 200
# A bill rounds each line, so each of the at most six lines of a prompt may be half a nanodollar short.
_ROUNDED_NUSD = 3


@dataclass(frozen=True, slots=True)
class PromptCall:
    """One call's prompt.

    Attributes:
        at_s: When it is sent.
        begins_at_s: When the answer begins.
        prefixes: Its prefixes.
        rules: How the model's cache behaves; None where it has none.
        rates: Nanodollars per million tokens.
        factor: What they are multiplied by, in millionths.
    """

    at_s: float
    begins_at_s: float
    prefixes: Prefixes
    rules: CacheRules | None
    rates: Rates
    factor: int


@dataclass(slots=True)
class _Node:
    """One prefix's last block, as far as calls have met it.

    Attributes:
        costs: The least that it can have cost so far, in nusd times `_DENOMINATOR`: first where nothing of
            it is kept, then for each time to live, shortest first, where it is kept for that long.
        begun_s: When the last answer to have begun began; minus infinity for none.
        beginning_s: When the answers will begin that have not yet.
        dead_s: From when on nothing can be kept of it.
    """

    costs: list[int]
    begun_s: float = float("-inf")
    beginning_s: list[float] = field(default_factory=list[float])
    dead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Tariff:
    """What one call's tokens cost each, in nusd times `_DENOMINATOR`, and how long writes live."""

    plain: int
    read: int
    writes: Sequence[int]
    lives_s: Sequence[int]


class Optimum:
    """A lower bound on the cost of prompts. Takes calls in order of time."""

    def __init__(self) -> None:
        self._nodes: dict[bytes, _Node] = {}
        self._settled = 0
        self._rounded_nusd = 0

    def add(self, call: PromptCall) -> None:
        """Take a call in."""
        ends, chain = call.prefixes.ends, call.prefixes.chain
        if not ends:
            return
        tariff = _tariff(call)
        if any(rate * call.factor % _DENOMINATOR for rate in call.rates.values()):
            self._rounded_nusd += _ROUNDED_NUSD
        # What lies before the minimum can only be cached together with the block that reaches it.
        first = bisect_left(ends, call.rules.minimum_tokens) if call.rules is not None else len(ends)
        if first == len(ends):
            self._settled += ends[-1] * tariff.plain
            return
        counted = 0
        for name, end in zip(chain[first:], ends[first:], strict=True):
            self._meet(name, end - counted, tariff, call)
            counted = end
        self._forget_dead(call.at_s)

    def total_nusd(self) -> int:
        """Return the bound for all calls so far, rounded down."""
        kept = sum([min(node.costs) for node in self._nodes.values()])
        return max(0, (self._settled + kept) // _DENOMINATOR - self._rounded_nusd)

    def _meet(self, name: bytes, tokens: int, tariff: _Tariff, call: PromptCall) -> None:
        # What is met last stands last, so that what is dead is found at the front.
        node = self._nodes.pop(name, None)
        if node is None:
            node = _Node([0, *[_NEVER] * len(tariff.writes)])
        _choose(node, tokens, tariff, call.at_s)
        if call.begins_at_s <= call.at_s:
            node.begun_s = max(node.begun_s, call.begins_at_s)
        else:
            node.beginning_s.append(call.begins_at_s)
        node.dead_s = max(node.dead_s, call.begins_at_s + tariff.lives_s[-1])
        self._nodes[name] = node

    def _forget_dead(self, now_s: float) -> None:
        nodes = self._nodes
        while nodes:
            oldest = next(iter(nodes))
            if nodes[oldest].dead_s > now_s:
                return
            self._settled += min(nodes.pop(oldest).costs)


def _choose(node: _Node, tokens: int, tariff: _Tariff, now_s: float) -> None:
    """Let a call meet a node: whatever is then kept, the least that it can have cost."""
    if node.beginning_s:
        node.begun_s = max([node.begun_s, *[at_s for at_s in node.beginning_s if at_s <= now_s]])
        node.beginning_s = [at_s for at_s in node.beginning_s if at_s > now_s]
    costs = node.costs
    reading = _NEVER
    for state, life_s in enumerate(tariff.lives_s, start=1):
        if now_s < node.begun_s + life_s:
            reading = min(reading, costs[state])
        elif not node.beginning_s:
            costs[0] = min(costs[0], costs[state])
            costs[state] = _NEVER
    plain = tokens * tariff.plain
    least = costs[0]
    after = [costs[0] + plain]
    for cost, write in zip(costs[1:], tariff.writes, strict=True):
        least = min(least, cost)
        after.append(min(cost + plain, least + tokens * write))
    after[-1] = min(after[-1], reading + tokens * tariff.read)
    node.costs = after


def _tariff(call: PromptCall) -> _Tariff:
    rates, factor = call.rates, call.factor
    plain = rates[TokenClass.INPUT] * factor
    if call.rules is None:
        return _Tariff(plain, plain, (), ())
    # A class without a rate cannot be billed, so it is none of the choices.
    priced = [
        (life_s, rates[write] * factor if write in rates else _NEVER)
        for name, life_s in sorted(call.rules.ttls_s.items(), key=lambda ttl: ttl[1])
        for write in (call.rules.write_classes[name],)
    ]
    read = rates[TokenClass.CACHE_READ] * factor if TokenClass.CACHE_READ in rates else _NEVER
    return _Tariff(plain, read, [write for _, write in priced], [life_s for life_s, _ in priced])
