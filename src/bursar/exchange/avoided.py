"""What a call would have cost, had it been made and not answered by a kept answer."""

from collections.abc import Mapping

import msgspec

from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout
from bursar.domain.ledger import Technique
from bursar.errors import UnpricedClass
from bursar.exchange.bills import cost_under
from bursar.exchange.cache_options import read_cache_options
from bursar.exchange.call import Call
from bursar.exchange.casing import cache_rules
from bursar.exchange.engine import Engine
from bursar.exchange.versions import lay_out_version
from bursar.wire.dialect import Answer


class Avoided(msgspec.Struct, frozen=True, gc=False):
    """The cost of a call that was not made.

    Attributes:
        baseline_nusd: What it would have cost as it came; None where unknown.
        shares: Who saved that; adds up to it.
    """

    baseline_nusd: int | None
    shares: Mapping[Technique, int]


def price_avoided(engine: Engine, call: Call, answer: Answer) -> Avoided:
    """Price a call that a kept answer answers, and let the as-sent shadow of the provider's cache see it.

    The baseline is that of any call: as its client made it, on the shadow. Of that, the response cache saves
    what the call would have cost with its prompt warm, and no list price; what is more would not have been
    paid anyway, since prefix caching (where it is on) keeps a prompt warm that comes again.

    Tokens are those of the kept answer's usage. Where tool results or history had been shortened before they
    were sent, that counts the shorter prompt: what was saved there is left out, not estimated.

    Args:
        engine: What is known. What the provider's cache really holds is not touched.
        call: The call.
        answer: The kept answer, read.
    """
    rules, at_s = cache_rules(engine, call), call.arrival.at_s
    layout = lay_out_version(engine, call, call.request, b"")
    came = engine.as_sent.look(layout, layout.marks, rules, at_s, read_cache_options(call.request))
    engine.as_sent.keep(layout, came, rules, at_s)
    usage, price = answer.usage, call.price
    if usage is None or price is None:
        return Avoided(None, {})
    terms = answer.terms or call.request.terms
    try:
        baseline_nusd = cost_under(came, usage.prompt_tokens, usage, price, terms)
        warm_nusd = cost_under(_warm(layout, rules), usage.prompt_tokens, usage, price, terms)
    except UnpricedClass:
        return Avoided(None, {})
    own_nusd = min(baseline_nusd, warm_nusd) if call.policy.prefix_cache else baseline_nusd
    shares = {Technique.RESPONSE_CACHE: own_nusd, Technique.PREFIX_CACHE: baseline_nusd - own_nusd}
    return Avoided(baseline_nusd, {technique: nusd for technique, nusd in shares.items() if nusd})


def _warm(layout: Layout, rules: CacheRules | None) -> CacheOutcome:
    """Return what becomes of a prompt that the cache holds, as much of it as can be read there."""
    tokens = layout.total_tokens
    if rules is None or tokens < rules.minimum_tokens:
        return uncached(tokens)
    read = tokens // rules.step_tokens * rules.step_tokens
    return CacheOutcome(read, {}, tokens - read, None, ())
