"""What an attempt used and cost: by the provider's word, or by estimate where it said nothing."""

from collections.abc import Sequence

import msgspec

from bursar.cachemodel.outcome import CacheOutcome
from bursar.domain.layout import Layout
from bursar.domain.ledger import CostBasis, Technique
from bursar.domain.money import divide_half_even
from bursar.domain.prices import Price, Terms, cost, total_nusd
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import PER_MILLE
from bursar.domain.usage import Usage
from bursar.errors import UnpricedClass
from bursar.exchange.bills import Bill, cost_under, unknown_cost, usage_under
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.planning import Plan, Stage
from bursar.wire.dialect import Answer


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
    limit = _output_limit(engine, call, plan)
    if answer is None and not call.request.stream and limit is not None:
        # A provider goes on with a whole answer that nobody waits for. How long it became is unknown, and
        # that is not zero.
        output = limit
    reported = answer.usage if answer is not None else None
    if reported is not None:
        # A cut stream has told what the prompt used; its output so far is at least what arrived.
        usage = msgspec.structs.replace(reported, output=max(reported.output, output))
    else:
        factor = engine.calibration.factor_per_mille(call.arrival.upstream, model)
        prompt_tokens = -(-plan.layout.total_tokens * factor // PER_MILLE)
        usage = plan.sent.usage(prompt_tokens, output)
    terms = (answer.terms if answer is not None else None) or call.request.terms
    bill = bill_reported(call, plan, usage, terms)
    if bill.cost_nusd is None:
        return bill
    return msgspec.structs.replace(
        bill, basis=CostBasis.ESTIMATED, most_nusd=_most(call, bill.cost_nusd, usage, terms, limit)
    )


def _output_limit(engine: Engine, call: Call, plan: Plan) -> int | None:
    """Return how long an answer could have become; None where nothing says."""
    limit = call.request.max_tokens if plan.max_tokens is None else plan.max_tokens
    if limit is None:
        window = engine.windows.find(call.dialect.name, call.request.model)
        limit = None if window is None else window.output_tokens_max
    return limit


def _most(call: Call, cost_nusd: int, usage: Usage, terms: Terms, limit: int | None) -> int | None:
    """Return the most that an attempt can have cost: all of the output that it was allowed."""
    if limit is None or call.price is None:
        return None
    most = cost(msgspec.structs.replace(usage, output=max(usage.output, limit)), call.price, terms)
    return max(cost_nusd, total_nusd(most))


def bill_reported(call: Call, plan: Plan, usage: Usage, terms: Terms) -> Bill:
    """Price what was used, by the provider's word; where there is no price, the cost is unknown."""
    if call.price is None:
        return unknown_cost(usage, terms)
    try:
        lines = cost(usage, call.price, terms)
        cost_nusd = total_nusd(lines)
        otherwise = _Otherwise(call.price, plan, usage, terms, cost_nusd)
        stages, stages_nusd = plan.stages, otherwise.stages()
        would_save: dict[Technique, int] = {}
        if plan.planned is not None and stages_nusd is not None:
            planned_nusd = otherwise.planned(*plan.planned)
            would_save = _shares(stages, [cost_nusd, *stages_nusd[1:], planned_nusd])
            # Nothing acted on this call; what earlier calls left in the cache may have saved all the same.
            stages, stages_nusd = stages[-1:], stages_nusd[:1]
        baseline_nusd: int | None = None
        shares: dict[Technique, int] = {}
        if plan.is_comparable and stages_nusd is not None:
            # Otherwise, as it came, the provider would have refused it, or nobody knows what it would have
            # cost: there is nothing to compare with.
            baseline_nusd = stages_nusd[0]
            shares = _shares(stages, [*stages_nusd, cost_nusd])
        return Bill(
            usage=usage,
            terms=terms,
            lines=lines,
            cost_nusd=cost_nusd,
            basis=CostBasis.MEASURED,
            most_nusd=cost_nusd,
            baseline_nusd=baseline_nusd,
            shares=shares,
            would_save=would_save,
        )
    except UnpricedClass:
        return unknown_cost(usage, terms)


def _shares(stages: Sequence[Stage], costs_nusd: Sequence[int]) -> dict[Technique, int]:
    """Say what each technique took off: what its stages would have cost, less what those after them would."""
    shares: dict[Technique, int] = {}
    for number, stage in enumerate(stages):
        share_nusd = costs_nusd[number] - costs_nusd[number + 1]
        shares[stage.technique] = shares.get(stage.technique, 0) + share_nusd
    return {technique: share_nusd for technique, share_nusd in shares.items() if share_nusd}


class _Otherwise(msgspec.Struct, frozen=True, gc=False):
    """Prices the same call with another prompt, or under another outcome of the cache.

    Where the cache model expects the same of both, the provider's own usage is the answer to both: that
    way an eviction or a count that differs from ours is never booked as saved or lost. For another prompt,
    the two differ by what the cache model expects of either.
    """

    price: Price
    plan: Plan
    usage: Usage
    terms: Terms
    cost_nusd: int

    def stages(self) -> list[int] | None:
        """Return what each stage would have cost, in nusd; None where another model has no rate for it."""
        stages = self.plan.stages
        # The stage with the prompt that went out: in observe mode the first, else the last.
        anchor = next(stage for stage in reversed(stages) if stage.layout is self.plan.layout)
        anchor_nusd = self._same_prompt(anchor.layout, anchor.outcome)
        if len(stages) == 1:
            return [anchor_nusd]
        beyond_nusd = anchor_nusd - self._expected(anchor.layout, anchor.outcome)
        costs_nusd: list[int] = []
        for stage in stages:
            if stage is anchor:
                costs_nusd.append(anchor_nusd)
            elif stage.elsewhere is None:
                costs_nusd.append(max(0, self._expected(stage.layout, stage.outcome) + beyond_nusd))
            else:
                cost_nusd = self._elsewhere(stage, stage.elsewhere.price)
                if cost_nusd is None:
                    return None
                costs_nusd.append(cost_nusd)
        return costs_nusd

    def _elsewhere(self, stage: Stage, price: Price) -> int | None:
        """Price what the cache model expects of another model; its answer is taken to be the same text.

        None where a class has no rate there.
        """
        here, there = self.plan.layout, stage.layout
        own, other = (each.ratios.per_mille[ContentClass.ASSISTANT] for each in (here, there))
        usage = msgspec.structs.replace(
            self.usage,
            output=divide_half_even(self.usage.output * other, own),
            reasoning=divide_half_even(self.usage.reasoning * other, own),
        )
        prompt_tokens = usage.prompt_tokens
        if here.total_tokens:
            prompt_tokens = divide_half_even(prompt_tokens * there.total_tokens, here.total_tokens)
        try:
            return cost_under(stage.outcome, prompt_tokens, usage, price, self.terms)
        except UnpricedClass:
            return None

    def planned(self, layout: Layout, outcome: CacheOutcome) -> int:
        """Return what the call would have cost, had the plan gone out."""
        if layout is self.plan.layout:
            return self._same_prompt(layout, outcome)
        beyond_nusd = self.cost_nusd - self._expected(self.plan.layout, self.plan.sent)
        return max(0, self._expected(layout, outcome) + beyond_nusd)

    def _same_prompt(self, layout: Layout, outcome: CacheOutcome) -> int:
        """Return what the prompt that was sent would have cost under another outcome."""
        return self.cost_nusd if _same_bill(outcome, self.plan.sent) else self._expected(layout, outcome)

    def _expected(self, layout: Layout, outcome: CacheOutcome) -> int:
        """Price what the cache model expects of a prompt."""
        sent, usage = self.plan.layout, self.usage
        prompt_tokens = usage.prompt_tokens
        if layout is not sent and sent.total_tokens:
            # By our own counts of both prompts, in the provider's proportion.
            prompt_tokens = divide_half_even(prompt_tokens * layout.total_tokens, sent.total_tokens)
        other = usage_under(outcome, prompt_tokens, usage)
        return self.cost_nusd if other == usage else total_nusd(cost(other, self.price, self.terms))


def _same_bill(one: CacheOutcome, other: CacheOutcome) -> bool:
    return one.read_tokens == other.read_tokens and one.writes == other.writes
