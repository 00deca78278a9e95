"""What an attempt used and cost: by the provider's word, or by estimate where it said nothing."""

from dataclasses import dataclass, replace

from bursar.cachemodel.outcome import CacheOutcome
from bursar.domain.ledger import CostBasis
from bursar.domain.prices import CostLine, Price, Terms, cost
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import PER_MILLE
from bursar.domain.usage import Usage
from bursar.errors import UnpricedClass
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.planning import Plan
from bursar.wire.dialect import Answer


@dataclass(frozen=True, slots=True)
class Bill:
    """What one attempt used and cost.

    Attributes:
        usage: Token classes; None where nothing is known.
        terms: What it was billed under.
        lines: Cost lines; empty where nothing was billed or the cost is unknown.
        basis: Where the cost comes from.
        most_nusd: The most it can have cost; None where unknown.
        baseline_nusd: What it would have cost as it came; None where unknown.
        planned_nusd: In observe mode, what the plan would have cost; None where unknown or not asked.
    """

    usage: Usage | None
    terms: Terms
    lines: tuple[CostLine, ...]
    basis: CostBasis
    most_nusd: int | None
    baseline_nusd: int | None
    planned_nusd: int | None = None

    @property
    def cost_nusd(self) -> int | None:
        """The sum of the lines, or None where the cost is unknown."""
        return None if self.basis is CostBasis.UNKNOWN else _total(self.lines)


def nothing_billed(terms: Terms) -> Bill:
    """Return the bill of an attempt that the provider refused or never received."""
    return Bill(None, terms, (), CostBasis.MEASURED, 0, 0)


def bill_reported(call: Call, plan: Plan, usage: Usage, terms: Terms) -> Bill:
    """Price the provider's own usage."""
    return _bill(call, plan, usage, terms, most=usage)


def bill_estimated(
    engine: Engine, call: Call, plan: Plan, answer: Answer | None, output_base_tokens: int
) -> Bill:
    """Price what was seen of an attempt whose provider did not say what it used.

    Args:
        engine: Ratios and calibration.
        call: The call.
        plan: Its plan.
        answer: What arrived; None for nothing.
        output_base_tokens: o200k tokens of the text that arrived.
    """
    model = call.request.model
    ratios = engine.ratios.ratios(model)
    output = ratios.convert(output_base_tokens, ContentClass.ASSISTANT)
    reported = answer.usage if answer is not None else None
    if reported is not None:
        # A cut stream has told what the prompt used; its output so far is at least what arrived.
        usage = replace(reported, output=max(reported.output, output))
    else:
        factor = engine.calibration.factor_per_mille(call.arrival.upstream, model)
        prompt_tokens = -(-plan.layout.total_tokens * factor // PER_MILLE)
        usage = plan.sent.usage(prompt_tokens, output)
    limit = call.request.max_tokens
    most = replace(usage, output=max(usage.output, limit)) if limit is not None else None
    terms = (answer.terms if answer is not None else None) or call.request.terms
    bill = _bill(call, plan, usage, terms, most=most)
    basis = CostBasis.ESTIMATED if bill.basis is CostBasis.MEASURED else bill.basis
    return replace(bill, basis=basis)


def _bill(call: Call, plan: Plan, usage: Usage, terms: Terms, *, most: Usage | None) -> Bill:
    if call.price is None:
        return Bill(usage, terms, (), CostBasis.UNKNOWN, None, None)
    try:
        lines = cost(usage, call.price, terms)
        most_nusd = _total(cost(most, call.price, terms)) if most is not None else None
        otherwise = _Otherwise(call.price, plan.sent, usage, terms, _total(lines))
        return Bill(
            usage=usage,
            terms=terms,
            lines=lines,
            basis=CostBasis.MEASURED,
            most_nusd=most_nusd,
            baseline_nusd=otherwise(plan.as_sent),
            planned_nusd=otherwise(plan.planned) if plan.planned is not None else None,
        )
    except UnpricedClass:
        return Bill(usage, terms, (), CostBasis.UNKNOWN, None, None)


@dataclass(frozen=True, slots=True)
class _Otherwise:
    """Prices the same call under another outcome of the cache.

    Where the cache model expects the same of both, the provider's own usage is the answer to both: that
    way an eviction or a count that differs from ours is never booked as saved or lost.
    """

    price: Price
    sent: CacheOutcome
    usage: Usage
    terms: Terms
    cost_nusd: int

    def __call__(self, outcome: CacheOutcome) -> int:
        if _same_bill(outcome, self.sent):
            return self.cost_nusd
        usage = self.usage
        shares = outcome.usage(usage.prompt_tokens, usage.output, usage.reasoning)
        other = replace(shares, web_search=usage.web_search, web_fetch=usage.web_fetch, other=usage.other)
        return _total(cost(other, self.price, self.terms))


def _same_bill(one: CacheOutcome, other: CacheOutcome) -> bool:
    return one.read_tokens == other.read_tokens and one.writes == other.writes


def _total(lines: tuple[CostLine, ...]) -> int:
    return sum(line.cost_nusd for line in lines)
