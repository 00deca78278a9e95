"""What goes upstream, and what the caches will make of it."""

import msgspec

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.rules import CacheRules
from bursar.domain.decision import Decision
from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Mark, Role
from bursar.domain.tokens import PER_MILLE
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.policy.case import Case
from bursar.policy.order import decide
from bursar.view.rhythm import Prior, Return
from bursar.wire.dialect import Edits
from bursar.wire.raw_json import is_null, set_member

# Before an agent's own rhythm is known: a call with tools, or with a history, is most likely one of many;
# a lone question most likely is not. Worth two observations, and one.
_LIKELY = Prior(Return(0.8, 0.0), weight=2.0)
_UNLIKELY = Prior(Return(0.1, 0.0), weight=1.0)

_CACHE_OPTIONS = "prompt_cache_options"


class Plan(msgspec.Struct, frozen=True, gc=False):
    """One call's plan.

    Attributes:
        layout: The prompt, laid out for the model.
        rules: How the model's cache behaves; None where it is taken to have none.
        body: What goes upstream.
        sent: What the provider's cache is expected to make of `body`.
        as_sent: What it would have made of the client's own request, had all calls gone out as they came.
        planned: In observe mode: what it would have made of the plan, had all plans gone out.
        faults: Techniques that failed, so that the call goes out without them.
    """

    layout: Layout
    rules: CacheRules | None
    body: bytes
    sent: CacheOutcome
    as_sent: CacheOutcome
    planned: CacheOutcome | None
    faults: tuple[str, ...]


def make_plan(engine: Engine, call: Call) -> Plan:
    """Plan a call: count it into what is known, ask the techniques, and write what goes upstream."""
    at_s = call.arrival.at_s
    rules = _rules(engine, call)
    layout = _lay_out(engine, call)
    options = _cache_options(call)
    as_sent = engine.as_sent.look(layout, layout.marks, rules, at_s, options)
    decisions, faults = _decide(engine, call, layout, rules, options)
    body, more_faults = _write(call, layout, decisions)
    went_out = decisions if not more_faults and call.mode == "optimise" else ()
    marks, sent_options = _with_decisions(layout, options, went_out)
    sent = engine.sent.look(layout, marks, rules, at_s, sent_options)
    planned = None
    if call.mode == "observe" and decisions:
        would_marks, would_options = _with_decisions(layout, options, decisions)
        planned = engine.planned.look(layout, would_marks, rules, at_s, would_options)
    return Plan(layout, rules, body, sent, as_sent, planned, faults + more_faults)


def response_began(engine: Engine, plan: Plan, at_s: float) -> None:
    """Take note that the provider answers: from now on its cache entries can be read."""
    engine.sent.keep(plan.layout, plan.sent, plan.rules, at_s)
    engine.as_sent.keep(plan.layout, plan.as_sent, plan.rules, at_s)
    if plan.planned is not None:
        engine.planned.keep(plan.layout, plan.planned, plan.rules, at_s)


def _lay_out(engine: Engine, call: Call) -> Layout:
    """Lay the prompt out, going on from the thread's last call, or else from the agent's last new thread."""
    request, layouts = call.request, engine.layouts
    scope, start = _scope(engine, call), call.place.start
    known = layouts.get(start)
    layout = lay_out(
        request.prompt,
        scope=scope,
        ratios=engine.ratios.ratios(request.model),
        known=known if known is not None else layouts.get(scope),
    )
    layouts.keep(start, layout)
    if known is None:
        layouts.keep(scope, layout)
    return layout


def _decide(
    engine: Engine, call: Call, layout: Layout, rules: CacheRules | None, options: CacheOptions
) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    """Learn from the call's arrival, and let the techniques decide."""
    at_s = call.arrival.at_s
    first = call.place.turn == 0
    tools = bool(layout.tools_end)
    begins = first and not any(piece.role is Role.ASSISTANT for piece in call.request.prompt.messages)
    prior = _UNLIKELY if begins and not tools else _LIKELY
    kind = (call.attribution.tenant, call.attribution.agent, begins, tools)
    engine.rhythm.arrive(call.place.thread.thread_id, kind, at_s)
    engine.prefixes.arrive(layout, new_thread=first, at_s=at_s)
    if call.mode == "passthrough" or not engine.options.prefix_cache or rules is None or call.price is None:
        return (), ()
    if layout.total_tokens < rules.minimum_tokens:
        # No provider caches it, however it is marked.
        return (), ()
    case = Case(
        layout=layout,
        options=options,
        rules=rules,
        rates=call.price.rates_for(layout.total_tokens),
        thread=engine.rhythm.expect(kind, prior, at_s),
        prefix=engine.prefixes.expect(layout, prior, at_s),
        system_varies=engine.prefixes.system_varies(layout),
        agent=call.attribution.agent,
        has_cache_key="prompt_cache_key" in call.request.fields,
        cache=engine.sent if call.mode == "optimise" else engine.planned,
        now_s=at_s,
    )
    return decide(case)


def _write(call: Call, layout: Layout, decisions: tuple[Decision, ...]) -> tuple[bytes, tuple[str, ...]]:
    """Write what goes upstream. If that fails, the call goes out as it came."""
    if call.mode != "optimise":
        return call.arrival.body, ()
    fields = dict(call.dialect.usage_request_fields(call.request))
    marks = {layout.places[block]: mark for d in decisions for block, mark in d.marks.items()}
    for decision in decisions:
        fields.update(decision.fields)
        if decision.implicit is not None:
            fields[_CACHE_OPTIONS] = _with_cache_mode(call, implicit=decision.implicit)
    if not fields and not marks:
        return call.arrival.body, ()
    try:
        body = call.dialect.write(call.request, Edits(marks, fields))
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return call.arrival.body, ("write",)
    if marks and call.dialect.count_marks(body) > len(layout.marks) + len(marks):
        # The client set marks where we see none, inside a block, say. Providers count those too, and bind
        # their order; ours could make one too many.
        return call.arrival.body, ("unseen_marks",)
    return body, ()


def _with_cache_mode(call: Call, *, implicit: bool) -> bytes:
    """Return what the client says about caching, with the provider's own breakpoint on or off."""
    said = call.request.fields.get(_CACHE_OPTIONS)
    options = b"{}" if said is None or is_null(said) else said
    return set_member(options, "mode", b'"implicit"' if implicit else b'"explicit"')


def _with_decisions(
    layout: Layout, options: CacheOptions, decisions: tuple[Decision, ...]
) -> tuple[dict[int, Mark], CacheOptions]:
    marks = dict(layout.marks)
    for decision in decisions:
        marks.update(decision.marks)
        if decision.implicit is not None:
            options = CacheOptions(implicit=decision.implicit, ttl=options.ttl)
    return marks, options


def _rules(engine: Engine, call: Call) -> CacheRules | None:
    """Return the cache's rules, its minimum in *our* tokens where the provider counts differently."""
    rules = engine.rules.rules(call.request.model, call.arrival.at_s)
    if rules is None:
        return None
    factor = engine.calibration.factor_per_mille(call.arrival.upstream, call.request.model)
    if factor == PER_MILLE:
        return rules
    key = (rules.model, rules.starts, factor)
    calibrated = engine.calibrated_rules.get(key)
    if calibrated is None:
        calibrated = rules.counted_by(factor)
        engine.calibrated_rules.keep(key, calibrated)
    return calibrated


def _scope(engine: Engine, call: Call) -> bytes:
    """Name the cache that a call meets: base URL, account and model."""
    base_url = engine.options.upstreams[call.arrival.upstream].base_url
    return call.arrival.credential + f"{base_url}\0{call.request.model}".encode("utf-8", "surrogatepass")


class _CacheFields(msgspec.Struct):
    mode: str | None = None
    ttl: str | None = None


def _cache_options(call: Call) -> CacheOptions:
    """Read what a request says about caching as a whole. What is malformed says nothing."""
    fields = call.request.fields
    try:
        if _CACHE_OPTIONS in fields:
            said = msgspec.json.decode(fields[_CACHE_OPTIONS], type=_CacheFields | None)
            if said is not None:
                return CacheOptions(implicit=said.mode != "explicit", ttl=said.ttl)
        elif "prompt_cache_retention" in fields:
            return CacheOptions(ttl=msgspec.json.decode(fields["prompt_cache_retention"], type=str | None))
    except msgspec.DecodeError:
        pass
    return CacheOptions()
