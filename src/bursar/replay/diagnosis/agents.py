"""What is known of an agent's writes to the cache: which were in vain, and what longer ones would cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from bursar.cachemodel.rules import CacheRules
from bursar.domain.bounded import BoundedDict
from bursar.domain.money import divide_half_even, usd_text
from bursar.domain.usage import TokenClass
from bursar.replay.diagnosis.findings import NO_EXAMPLE, Example, Finding, Kind
from bursar.replay.diagnosis.habits import Past
from bursar.replay.diagnosis.losses import Tariff
from bursar.replay.diagnosis.reasons import Reason

Agent = tuple[str, str]
_AGENTS_MAX = 10_000
VAIN_CALLS_MIN = 5
"""Fewer writes that nobody reads are no habit."""


@dataclass(slots=True)
class _Writes:
    """One agent's sums."""

    written_tokens: int = 0
    unread_tokens: int = 0
    unread_nusd: int = 0
    unread_calls: int = 0
    longer_nusd: int = 0
    kept_longer_nusd: int = 0
    longer_life: str = ""
    example: Example = NO_EXAMPLE


class Agents:
    """Writes to the cache by agent, with its tenant; bounded."""

    def __init__(self) -> None:
        self._writes: BoundedDict[Agent, _Writes] = BoundedDict(_AGENTS_MAX)

    def sent(self, agent: Agent, past: Past) -> None:
        """Count what a call wrote; it is unread until a later call could read it."""
        outcome, tariff, rules = past.sent.outcome, past.sent.tariff, past.sent.rules
        tokens = _written(past)
        if not tokens or tariff is None or rules is None:
            return
        writes = self._of(agent)
        writes.written_tokens += tokens
        writes.unread_tokens += tokens
        writes.unread_nusd += _premium_nusd(past)
        writes.unread_calls += 1
        writes.longer_nusd += _longer_nusd(tariff, rules, outcome.writes)
        if tokens > writes.example.tokens:
            writes.example = Example(past.place, tokens=tokens)

    def reused(self, agent: Agent, past: Past, shared_tokens: int) -> None:
        """Take note that a later call begins as an earlier one, for so many tokens, or could have."""
        before, after = _reread(past, past.reused_tokens), _reread(past, shared_tokens)
        if after <= before:
            return
        past.reused_tokens = shared_tokens
        tokens = _written(past)
        writes = self._writes.get(agent)
        if writes is None or past.sent.tariff is None:
            return
        premium_nusd = _premium_nusd(past)
        writes.unread_tokens -= after - before
        # Shares are cut from one whole, so that all of them give it back exactly.
        writes.unread_nusd -= premium_nusd * after // tokens - premium_nusd * before // tokens
        writes.unread_calls -= not before

    def expired(self, agent: Agent, rules: CacheRules, gap_s: float, lost_nusd: int) -> None:
        """Take note of what an expired entry cost; the longest life that its cache has may cover the gap."""
        writes = self._of(agent)
        writes.longer_life = _longest(rules)
        if gap_s < rules.ttls_s[writes.longer_life]:
            writes.kept_longer_nusd += lost_nusd

    def longer_life(self, agent: Agent) -> str:
        """Say whether entries of the longest life would have paid for an agent."""
        writes = self._writes.get(agent)
        if writes is None or not writes.longer_life:
            return ""
        kept, premium = writes.kept_longer_nusd, writes.longer_nusd
        amounts = f"(${_short_usd(kept)} kept, ${_short_usd(premium)} dearer writes)"
        if kept > premium:
            return f"A life of {writes.longer_life} would have paid {amounts}."
        return f"A life of {writes.longer_life} would not have paid {amounts}."

    def vain_writes(self) -> list[Finding]:
        """Return the agents most of whose writes nobody ever read or could have read."""
        return [
            Finding(
                kind=Kind(*agent, Reason.WRITE_WITHOUT_READ),
                calls=writes.unread_calls,
                tokens=writes.unread_tokens,
                lost_nusd=writes.unread_nusd,
                example=writes.example,
            )
            for agent, writes in self._writes.items()
            # The last call of every thread writes what nobody reads; that is the price of not knowing.
            if writes.unread_calls >= VAIN_CALLS_MIN and 2 * writes.unread_tokens > writes.written_tokens
        ]

    def _of(self, agent: Agent) -> _Writes:
        writes = self._writes.get(agent)
        if writes is None:
            writes = _Writes()
            self._writes.keep(agent, writes)
        return writes


def _written(past: Past) -> int:
    """Return the tokens that a call paid for writing; free writes are never in vain."""
    return sum(
        n for token_class, n in past.sent.outcome.writes.items() if token_class is not TokenClass.INPUT
    )


def _reread(past: Past, shared_tokens: int) -> int:
    """Return how many of the tokens that a call wrote are among its first `shared_tokens`."""
    return min(max(0, shared_tokens - past.sent.outcome.read_tokens), _written(past))


def _premium_nusd(past: Past) -> int:
    tariff = past.sent.tariff
    if tariff is None:
        return 0
    return sum(tariff.premium_nusd(token_class, n) for token_class, n in past.sent.outcome.writes.items())


def _short_usd(nusd: int) -> str:
    """Write an amount with four places: it stands in a sentence."""
    return usd_text(divide_half_even(nusd, 100_000) * 100_000)[:-5]


def _longest(rules: CacheRules) -> str:
    return max(rules.ttls_s, key=rules.ttls_s.__getitem__)


def _longer_nusd(tariff: Tariff, rules: CacheRules, writes: Mapping[TokenClass, int]) -> int:
    """Return by how much a call's writes were dearer, had they been written for the longest life."""
    longest = rules.write_classes[_longest(rules)]
    return sum(
        tariff.premium_nusd(longest, n) - tariff.premium_nusd(token_class, n)
        for token_class, n in writes.items()
    )
