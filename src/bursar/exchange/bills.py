"""What an attempt, or all of a call's, used and cost."""

from collections.abc import Mapping

import msgspec

from bursar.cachemodel.outcome import CacheOutcome
from bursar.domain.ledger import CostBasis, Technique
from bursar.domain.prices import CostLine, Price, Terms, cost, total_nusd
from bursar.domain.usage import Usage


class Bill(msgspec.Struct, frozen=True, gc=False):
    """What one attempt used and cost.

    Attributes:
        usage: Token classes; None where nothing is known.
        terms: What it was billed under.
        lines: Cost lines; empty where nothing was billed or the cost is unknown.
        cost_nusd: The sum of the lines; None where the cost is unknown.
        basis: Where the cost comes from.
        most_nusd: The most it can have cost; None where unknown.
        baseline_nusd: What it would have cost as it came; None where unknown.
        shares: Each technique's part of baseline − cost.
        would_save: In observe mode, what each technique would have saved.
    """

    usage: Usage | None
    terms: Terms
    lines: tuple[CostLine, ...]
    cost_nusd: int | None
    basis: CostBasis
    most_nusd: int | None
    baseline_nusd: int | None
    shares: Mapping[Technique, int] = msgspec.field(default_factory=dict[Technique, int])
    would_save: Mapping[Technique, int] = msgspec.field(default_factory=dict[Technique, int])


def nothing_billed(terms: Terms) -> Bill:
    """Return the bill of an attempt that the provider refused or never received."""
    return Bill(None, terms, (), 0, CostBasis.MEASURED, 0, 0)


def unknown_cost(usage: Usage | None, terms: Terms) -> Bill:
    """Return the bill of an attempt that may have cost something, nobody knows what."""
    return Bill(usage, terms, (), None, CostBasis.UNKNOWN, None, None)


def usage_under(outcome: CacheOutcome, prompt_tokens: int, usage: Usage) -> Usage:
    """Return a usage under another outcome of the provider's cache.

    Args:
        outcome: What the cache makes of the prompt.
        prompt_tokens: The prompt's tokens.
        usage: What was used; of it only the prompt hangs on the cache.
    """
    other = outcome.usage(prompt_tokens, usage.output, usage.reasoning)
    if usage.web_search or usage.web_fetch or usage.other:
        # What the provider's own tools cost does not hang on its cache.
        other = msgspec.structs.replace(
            other, web_search=usage.web_search, web_fetch=usage.web_fetch, other=usage.other
        )
    return other


def cost_under(outcome: CacheOutcome, prompt_tokens: int, usage: Usage, price: Price, terms: Terms) -> int:
    """Price a usage under another outcome of the provider's cache (`usage_under`), in nusd.

    Raises:
        UnpricedClass: A class of it has no rate.
    """
    return total_nusd(cost(usage_under(outcome, prompt_tokens, usage), price, terms))


# The less that is known, the further behind.
_SURENESS = (CostBasis.MEASURED, CostBasis.ESTIMATED, CostBasis.UNKNOWN)


def with_own_attempt(bill: Bill, own: Bill, technique: Technique) -> Bill:
    """Add to a call's bill what an attempt cost that a technique made for itself.

    As it came, the call would not have had it: so it is none of the baseline, and what it cost comes off
    the technique's share.

    Args:
        bill: The bill of the client's own request.
        own: That of the technique's. It has no lines in the sum: those belong to one attempt.
        technique: Whose it is.
    """
    cost_nusd = _sum(bill.cost_nusd, own.cost_nusd)
    baseline_nusd, shares = bill.baseline_nusd, bill.shares
    if cost_nusd is None:
        baseline_nusd, shares = None, {}
    elif baseline_nusd is not None and own.cost_nusd:
        share_nusd = bill.shares.get(technique, 0) - own.cost_nusd
        shares = {**bill.shares, technique: share_nusd}
        if not share_nusd:
            del shares[technique]
    return msgspec.structs.replace(
        bill,
        usage=_add_usage(bill, own),
        cost_nusd=cost_nusd,
        basis=max(bill.basis, own.basis, key=_SURENESS.index),
        most_nusd=_sum(bill.most_nusd, own.most_nusd),
        baseline_nusd=baseline_nusd,
        shares=shares,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _add_usage(one: Bill, other: Bill) -> Usage | None:
    """Add two bills' usages up; None where nothing was used, or one of them is unknown."""
    if one.usage is None or other.usage is None:
        unknown = any(bill.usage is None and bill.cost_nusd is None for bill in (one, other))
        return None if unknown else one.usage or other.usage
    theirs = msgspec.structs.asdict(other.usage)
    # Counts add up, and so do the names of what no class holds.
    return Usage(**{name: value + theirs[name] for name, value in msgspec.structs.asdict(one.usage).items()})
