"""What goes upstream, and what the caches will make of it."""

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.rules import CacheRules
from bursar.domain.decision import Decision
from bursar.domain.layout import Layout, lay_out
from bursar.domain.ledger import Technique
from bursar.domain.prices import Price
from bursar.domain.prompt import Mark, Role
from bursar.domain.tokens import PER_MILLE
from bursar.effects import Count, Effect
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.rewriting import rewrite_results
from bursar.policy.case import Case
from bursar.policy.order import decide
from bursar.policy.prefix_cache import is_cheaper
from bursar.view.rhythm import Prior, Return
from bursar.wire.dialect import Edits, Request
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.output import limit_output
from bursar.wire.raw_json import is_null, set_member

# Before an agent's own rhythm is known: a call with tools, or with a history, is most likely one of many;
# a lone question most likely is not. Worth two observations, and one.
_LIKELY = Prior(Return(0.8, 0.0), weight=2.0)
_UNLIKELY = Prior(Return(0.1, 0.0), weight=1.0)

# To be wrong about an agent's first lone questions costs little either way, a write each; but a thread that
# goes on loses more by what was not written than one-shot calls lose by what was.
_TRIED_CALLS = 5

# Modes in which techniques are asked, be it only to say what they would have saved.
_ACTING_MODES = frozenset(("optimise", "observe"))

_CACHE_OPTIONS = "prompt_cache_options"


class Stage(msgspec.Struct, frozen=True, gc=False):
    """A request as it stood before a technique acted on it, with the client's own marks.

    Attributes:
        technique: The technique.
        layout: The prompt.
        outcome: What the provider's cache would have made of it, had all calls gone out at this stage.
    """

    technique: Technique
    layout: Layout
    outcome: CacheOutcome


class Plan(msgspec.Struct, frozen=True, gc=False):
    """One call's plan.

    Attributes:
        layout: The prompt as it is sent, laid out for the model.
        rules: How the model's cache behaves; None where it is taken to have none.
        body: What goes upstream.
        sent: What the provider's cache is expected to make of `body`.
        stages: The way from the client's own request to the plan, technique by technique. The first is the
            baseline: the request as it came.
        max_tokens: The output limit, where it was lowered; else None.
        planned: In observe mode, the plan's prompt, and what the cache would have made of it, had all plans
            gone out.
        faults: Techniques that failed, so that the call goes out without them.
    """

    layout: Layout
    rules: CacheRules | None
    body: bytes
    sent: CacheOutcome
    stages: tuple[Stage, ...]
    planned: tuple[Layout, CacheOutcome] | None
    faults: tuple[str, ...]
    max_tokens: int | None = None


class _Version(msgspec.Struct, frozen=True, gc=False):
    """A request with content that could go out.

    Attributes:
        request: The request.
        layout: Its prompt.
    """

    request: Request
    layout: Layout


def make_plan(engine: Engine, call: Call) -> Generator[Effect, Any, Plan]:
    """Plan a call: count it into what is known, ask the techniques, and write what goes upstream.

    Yields:
        What the techniques need done.
    """
    at_s = call.arrival.at_s
    rules = _rules(engine, call)
    came = _Version(call.request, _lay_out(engine, call, call.request, b""))
    options = _cache_options(call)
    habit = _learn(engine, call, came.layout, rules)
    acts = call.mode in _ACTING_MODES
    limited, faults = _limit_output(engine, call, came) if acts else (came, ())
    chosen, more_faults = (yield from _shorten(engine, call, limited)) if acts else (limited, ())
    faults += more_faults
    case = _Casing(engine, call, rules, options, habit)
    if chosen is not limited and not case.pays(chosen.layout, limited.layout):
        chosen = limited
    decisions, more_faults = case.decide(chosen.layout)
    look = partial(engine.as_sent.look, rules=rules, now_s=at_s, options=options)
    path = ((Technique.OUTPUT, came.layout), (Technique.TOOL_RESULTS, limited.layout))
    stages = _stages((*path, (Technique.PREFIX_CACHE, chosen.layout)), look)
    faults += more_faults
    if call.mode != "optimise":
        sent = engine.sent.look(came.layout, came.layout.marks, rules, at_s, options)
        planned = None
        if call.mode == "observe" and (decisions or chosen is not came):
            marks, plan_options = _with_decisions(chosen.layout, options, decisions)
            outcome = engine.planned.look(chosen.layout, marks, rules, at_s, plan_options)
            planned = chosen.layout, outcome
        return Plan(came.layout, rules, call.arrival.body, sent, stages, planned, faults)
    body, written = _write(call, chosen, decisions)
    marks, sent_options = chosen.layout.marks, options
    if written is None:
        marks, sent_options = _with_decisions(chosen.layout, options, decisions)
    else:
        faults += (written,)
        chosen, marks = came, came.layout.marks
        stages = _stages(((Technique.PREFIX_CACHE, came.layout),), look)
    sent = engine.sent.look(chosen.layout, marks, rules, at_s, sent_options)
    lowered = chosen.request.max_tokens if chosen.request.max_tokens != call.request.max_tokens else None
    return Plan(chosen.layout, rules, body, sent, stages, None, faults, lowered)


def _stages(
    path: Sequence[tuple[Technique, Layout]], look: Callable[[Layout, Mapping[int, Mark]], CacheOutcome]
) -> tuple[Stage, ...]:
    """Return the stages of a plan; a technique that left the prompt as it was has none, but for the last.

    Args:
        path: The techniques in the order in which they act, each with the prompt that it acted on.
        look: Says what the provider's cache makes of a prompt with marks.
    """
    stages = [
        Stage(technique, layout, look(layout, layout.marks))
        for (technique, layout), (_, after) in pairwise(path)
        if after is not layout
    ]
    technique, layout = path[-1]
    return (*stages, Stage(technique, layout, look(layout, layout.marks)))


def response_began(engine: Engine, plan: Plan, at_s: float) -> None:
    """Take note that the provider answers: from now on its cache entries can be read."""
    engine.sent.keep(plan.layout, plan.sent, plan.rules, at_s)
    for stage in plan.stages:
        # One shadow serves all stages, since what a technique changes has other names from there on.
        engine.as_sent.keep(stage.layout, stage.outcome, plan.rules, at_s)
    if plan.planned is not None:
        layout, outcome = plan.planned
        engine.planned.keep(layout, outcome, plan.rules, at_s)


def _limit_output(engine: Engine, call: Call, came: _Version) -> tuple[_Version, tuple[str, ...]]:
    """Return the call with what its model may write limited, where the operator asked for that."""
    limits = call.policy.output.limits_for(call.attribution.task)
    if limits.is_empty:
        return came, ()
    try:
        fields = limit_output(call.request, limits)
        if not fields:
            return came, ()
        request = call.dialect.with_fields(call.request, fields)
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return came, (Technique.OUTPUT.value,)
    # What changes how a model thinks may keep its prompt from the cache.
    same = request.prompt == call.request.prompt
    return _Version(request, came.layout if same else _lay_out(engine, call, request, b"limited")), ()


def _shorten(
    engine: Engine, call: Call, came: _Version
) -> Generator[Effect, Any, tuple[_Version, tuple[str, ...]]]:
    """Return the call with its tool results shortened; as it came where that fails or changes nothing."""
    policy = call.policy
    if policy.tool_results.mode == "off":
        return came, ()
    try:
        # With a history that is rewritten, what a reference points at might not stay.
        references = policy.tool_results.references and not policy.history.enabled
        messages = yield from rewrite_results(
            engine.rewritten, call, policy.tool_results, references=references
        )
        if messages is None:
            return came, ()
        reading = call.dialect.reread(came.request, messages, engine.memo)
        counts: list[int] = (yield Count(reading.texts)) if reading.texts else []
        request = reading.finish(counts)
        return _Version(request, _lay_out(engine, call, request, b"shortened")), ()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return came, (Technique.TOOL_RESULTS.value,)


def _lay_out(engine: Engine, call: Call, request: Request, version: bytes) -> Layout:
    """Lay a prompt out, going on from the thread's last call, or else from the agent's last new thread.

    Args:
        engine: What is known.
        call: The call.
        request: It, or another version of it,
        version: and which.
    """
    layouts = engine.layouts
    scope, start = _scope(engine, call), call.place.start + version
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


class _Habit(msgspec.Struct, frozen=True, gc=False):
    """What kind of call one is, for what may be expected after it."""

    kind: tuple[str, str, bool, bool, bool]
    prior: Prior


def _learn(engine: Engine, call: Call, layout: Layout, rules: CacheRules | None) -> _Habit:
    """Learn from a call's arrival, and say what kind of call it is."""
    at_s = call.arrival.at_s
    first = call.place.turn == 0
    tools = bool(layout.tools_end)
    begins = first and not any(piece.role is Role.ASSISTANT for piece in call.request.prompt.messages)
    # Prompts that are too short for the cache say little about those that are not.
    cacheable = rules is not None and layout.total_tokens >= rules.minimum_tokens
    kind = (call.attribution.tenant, call.attribution.agent, begins, tools, cacheable)
    engine.rhythm.arrive(call.place.thread.thread_id, kind, at_s)
    engine.prefixes.arrive(layout, new_thread=first, at_s=at_s)
    lone = begins and not tools and engine.rhythm.arrivals(kind) > _TRIED_CALLS
    return _Habit(kind, _UNLIKELY if lone else _LIKELY)


class _Casing:
    """Puts versions of one call before the techniques.

    Args:
        engine: What is known.
        call: The call.
        rules: How the model's cache behaves.
        options: What the client said about caching as a whole.
        habit: What kind of call it is.
    """

    def __init__(
        self, engine: Engine, call: Call, rules: CacheRules | None, options: CacheOptions, habit: _Habit
    ) -> None:
        self._engine = engine
        self._call = call
        self._rules = rules
        self._options = options
        self._habit = habit
        self._cache = engine.sent if call.mode == "optimise" else engine.planned
        self._marks = call.policy.prefix_cache and call.mode in _ACTING_MODES

    def decide(self, layout: Layout) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
        """Let the techniques decide how a version is marked."""
        rules, price = self._rules, self._call.price
        if not self._marks or rules is None or price is None or layout.total_tokens < rules.minimum_tokens:
            # No provider caches less than its minimum, however it is marked.
            return (), ()
        return decide(self._case(layout, rules, price))

    def pays(self, shorter: Layout, longer: Layout) -> bool:
        """Whether a shorter version is cheaper, with what the provider's cache holds of either."""
        if shorter.total_tokens > longer.total_tokens:
            return False
        rules, price = self._rules, self._call.price
        if rules is None or price is None:
            return True
        return is_cheaper(self._case(shorter, rules, price), self._case(longer, rules, price))

    def _case(self, layout: Layout, rules: CacheRules, price: Price) -> Case:
        engine, call, habit = self._engine, self._call, self._habit
        at_s = call.arrival.at_s
        return Case(
            layout=layout,
            options=self._options,
            rules=rules,
            rates=price.rates_for(layout.total_tokens),
            thread=engine.rhythm.expect(habit.kind, habit.prior, at_s),
            prefix=engine.prefixes.expect(layout, habit.prior, at_s),
            system_varies=engine.prefixes.system_varies(layout),
            agent=call.attribution.agent,
            has_cache_key="prompt_cache_key" in call.request.fields,
            cache=self._cache,
            now_s=at_s,
        )


def _write(call: Call, version: _Version, decisions: tuple[Decision, ...]) -> tuple[bytes, str | None]:
    """Write what goes upstream. If that fails, the call goes out as it came, and the fault is named."""
    request, layout = version.request, version.layout
    fields = dict(call.dialect.usage_request_fields(call.request))
    marks = {layout.places[block]: mark for d in decisions for block, mark in d.marks.items()}
    for decision in decisions:
        fields.update(decision.fields)
        if decision.implicit is not None:
            fields[_CACHE_OPTIONS] = _with_cache_mode(call, implicit=decision.implicit)
    if not fields and not marks and request is call.request:
        return call.arrival.body, None
    if marks and UNSEEN_MARKS in request.features:
        # The client set marks inside a block, say. Providers count those too, and bind their order; ours
        # could make one too many.
        return call.arrival.body, UNSEEN_MARKS
    try:
        body = call.dialect.write(request, Edits(marks, fields))
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return call.arrival.body, "write"
    return body, None


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
