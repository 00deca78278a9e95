"""The doctor of ledger entries: what was billed tells that a cache missed, and often why.

Entries hold no content. Where a thread's call read less than the one before it had sent, neither the time
between them nor the model is to blame, and marks were there, something in the prompt changed: which text,
only a traffic log tells (`unavailable`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.bounded import BoundedDict
from bursar.domain.ledger import Attempt, CostBasis, Entry, Status
from bursar.domain.usage import PROMPT_CLASSES, TokenClass, Usage
from bursar.replay.diagnosis.agents import VAIN_CALLS_MIN
from bursar.replay.diagnosis.findings import NO_EXAMPLE, Example, Finding, Findings, Kind, dearest_first
from bursar.replay.diagnosis.losses import WRITE_CLASSES, Tariff, loss_nusd, tariff_of
from bursar.replay.diagnosis.reasons import Reason
from bursar.replay.diagnosis.sent import Books
from bursar.replay.diagnosis.spending import AgentOutput, OutputBill

_THREADS_MAX = 200_000
_AGENTS_MAX = 10_000
_NOTICED_TOKENS_MIN = 256


class _Turn(msgspec.Struct, frozen=True):
    """A thread's last call."""

    operation_id: str
    at_s: float
    ended_at_s: float
    model: str
    prompt_tokens: int
    cached_tokens: int
    life_s: int


@dataclass(slots=True)
class _Caching:
    """What caching has cost and kept for one agent."""

    calls: int = 0
    written_tokens: int = 0
    premium_nusd: int = 0
    kept_nusd: int = 0
    example: Example = NO_EXAMPLE


@dataclass(slots=True)
class LedgerCourse:
    """How a diagnosis goes. Mutable.

    Attributes:
        calls: Calls looked at: those that were answered.
        unpriced_calls: Those of unknown cost; they are in no amount.
        cost_nusd: What the others cost, output included.
        lone_calls: Those of no thread, which nothing can be compared with.
    """

    calls: int = 0
    unpriced_calls: int = 0
    cost_nusd: int = 0
    lone_calls: int = 0


class LedgerDoctor:
    """Looks at entries, which come in order of time.

    Args:
        books: What is known of models.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._turns: BoundedDict[tuple[str, str], _Turn] = BoundedDict(_THREADS_MAX)
        self._caching: BoundedDict[tuple[str, str], _Caching] = BoundedDict(_AGENTS_MAX)
        self._findings = Findings()
        self._output = OutputBill()
        self.course = LedgerCourse()

    def look(self, entry: Entry) -> None:
        """Look at a call."""
        if not entry.attempts or entry.status not in {Status.OK, Status.CUT, Status.ABORTED}:
            return
        course, last = self.course, entry.attempts[-1]
        course.calls += 1
        if entry.cost_nusd is None:
            course.unpriced_calls += 1
        else:
            course.cost_nusd += entry.cost_nusd
        self._output.add(entry)
        # An estimate splits the prompt by our own model, which would be asked what it has said itself.
        if last.usage is None or last.basis is CostBasis.ESTIMATED:
            return
        rules = self._books.rules.rules(last.model, last.started_at_s)
        price = self._books.prices.price(last.model, last.started_at_s)
        tariff = tariff_of(price, last.terms, last.usage.prompt_tokens)
        agent = (entry.attribution.tenant, entry.attribution.agent)
        if tariff is not None:
            self._count_caching(agent, entry, last.usage, tariff)
        if rules is None:
            return
        if not entry.thread:
            course.lone_calls += 1
            return
        self._compare(entry, last, last.usage, rules, tariff)

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found so far, the dearest first."""
        return dearest_first([*self._findings.all(), *self._vain_writes()])

    def output(self) -> tuple[AgentOutput, ...]:
        """Return what each agent paid for output and reasoning, the dearest first."""
        return self._output.agents()

    def _compare(
        self, entry: Entry, last: Attempt, usage: Usage, rules: CacheRules, tariff: Tariff | None
    ) -> None:
        """Compare a call with the one before it in its thread, and book what it lost."""
        key = (entry.attribution.tenant, entry.thread)
        before = self._turns.get(key)
        self._turns.keep(key, _turn(entry, last, usage, rules))
        if before is None:
            return
        # A thread's next call sends all of its last one again, unless its history was cut meanwhile.
        shared_tokens = min(before.prompt_tokens, usage.prompt_tokens)
        lost_tokens = shared_tokens - usage.cache_read
        if lost_tokens < max(_NOTICED_TOKENS_MIN, shared_tokens // 20):
            return
        reason = _reason(before, last, usage, rules)
        if reason is None:
            return
        lost_nusd = None
        if tariff is not None:
            lost_nusd = loss_nusd(_billed(usage), lost_tokens, tariff)
            if lost_nusd is not None:
                unwritten = max(0, shared_tokens - before.cached_tokens)
                lost_nusd -= tariff.premium_nusd(rules.write_classes[rules.default_ttl], unwritten)
        example = Example(
            call=entry.operation_id,
            earlier=before.operation_id,
            before=before.model if reason is Reason.MODEL_CHANGED else "",
            after=last.model if reason is Reason.MODEL_CHANGED else "",
            gap_s=last.started_at_s - before.at_s,
            tokens=lost_tokens,
        )
        kind = Kind(entry.attribution.tenant, entry.attribution.agent, reason)
        self._findings.add(kind, example, lost_nusd)
        self._explain_writes(kind, usage, lost_tokens, tariff)

    def _explain_writes(self, kind: Kind, usage: Usage, lost_tokens: int, tariff: Tariff | None) -> None:
        """Count no write as vain whose reason is known: what it cost is in that loss."""
        caching = self._caching.get((kind.tenant, kind.agent))
        if caching is None or tariff is None:
            return
        left = lost_tokens
        for token_class in WRITE_CLASSES:
            explained = min(left, usage.of(token_class))
            left -= explained
            caching.written_tokens -= explained
            caching.premium_nusd -= tariff.premium_nusd(token_class, explained)
        caching.calls -= left < lost_tokens

    def _count_caching(self, agent: tuple[str, str], entry: Entry, usage: Usage, tariff: Tariff) -> None:
        caching = self._caching.get(agent)
        if caching is None:
            caching = _Caching()
            self._caching.keep(agent, caching)
        written = {c: n for c in WRITE_CLASSES if (n := usage.of(c))}
        tokens = sum(written.values())
        caching.calls += bool(tokens)
        caching.written_tokens += tokens
        caching.premium_nusd += sum(tariff.premium_nusd(c, n) for c, n in written.items())
        # A read is a write with a premium below nothing.
        caching.kept_nusd -= tariff.premium_nusd(TokenClass.CACHE_READ, usage.cache_read)
        if tokens > caching.example.tokens:
            caching.example = Example(entry.operation_id, tokens=tokens)

    def _vain_writes(self) -> list[Finding]:
        """Return the agents whose writes cost more than their reads have kept."""
        return [
            Finding(
                kind=Kind(*agent, Reason.WRITE_WITHOUT_READ),
                calls=caching.calls,
                tokens=caching.written_tokens,
                lost_nusd=caching.premium_nusd - caching.kept_nusd,
                example=caching.example,
            )
            for agent, caching in self._caching.items()
            if caching.calls >= VAIN_CALLS_MIN and caching.premium_nusd > caching.kept_nusd
        ]


def _turn(entry: Entry, last: Attempt, usage: Usage, rules: CacheRules) -> _Turn:
    cached_tokens = usage.prompt_tokens - usage.input
    if rules.kind is CacheKind.OPENAI_AUTOMATIC:
        cached_tokens = usage.prompt_tokens
    lives = [rules.ttls_s[ttl] for ttl, c in rules.write_classes.items() if usage.of(c)]
    return _Turn(
        operation_id=entry.operation_id,
        at_s=last.started_at_s,
        ended_at_s=last.started_at_s + last.latency_ms / 1000,
        model=last.model,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=cached_tokens,
        life_s=rules.ttls_s[rules.default_ttl]
        if rules.kind is CacheKind.OPENAI_AUTOMATIC
        else max(lives, default=rules.ttls_s[rules.default_ttl]),
    )


def _reason(before: _Turn, last: Attempt, usage: Usage, rules: CacheRules) -> Reason | None:
    """Return why a call did not read what the one before it had sent."""
    if min(before.prompt_tokens, usage.prompt_tokens) < rules.minimum_tokens:
        # Without marks nobody wanted it cached; an automatic cache is always asked.
        return Reason.BELOW_MINIMUM if rules.kind is not CacheKind.ANTHROPIC else None
    if last.started_at_s >= before.ended_at_s + before.life_s:
        return Reason.EXPIRED
    if last.started_at_s < before.ended_at_s:
        return Reason.CONCURRENT
    if last.model != before.model:
        return Reason.MODEL_CHANGED
    if not before.cached_tokens and usage.prompt_tokens == usage.input:
        return Reason.UNMARKED
    return Reason.UNAVAILABLE


def _billed(usage: Usage) -> Mapping[TokenClass, int]:
    return {token_class: usage.of(token_class) for token_class in PROMPT_CLASSES}
