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
from bursar.domain.layout import Layout
from bursar.domain.ledger import Technique
from bursar.domain.prices import Price
from bursar.domain.prompt import Mark
from bursar.domain.tokens import PER_MILLE
from bursar.domain.windows import Window
from bursar.effects import Effect
from bursar.exchange.cache_options import CACHE_OPTIONS, read_cache_options, with_cache_mode
from bursar.exchange.call import Call
from bursar.exchange.casing import ACTING_MODES, Casing, Habit, cache_rules, learn, see_survival
from bursar.exchange.engine import Engine
from bursar.exchange.history import Condensed, condense
from bursar.exchange.holding import Hold
from bursar.exchange.rewriting import rewrite_results
from bursar.exchange.splitting import split_beginning
from bursar.exchange.stabilising import add_note, stabilise
from bursar.exchange.summarising import Summarised
from bursar.exchange.versions import Version, lay_out_version, with_messages
from bursar.wire.dialect import Edits
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.output import OutputLimits, limit_output


class Stage(msgspec.Struct, frozen=True, gc=False):
    """A request as it stood before a technique acted on it, with the client's own marks.

    Attributes:
        technique: The technique.
        layout: The prompt.
        outcome: What the provider's cache would have made of it, had all calls gone out at this stage.
        elsewhere: The model that it was for, where that is not the one that is asked in the end.
    """

    technique: Technique
    layout: Layout
    outcome: CacheOutcome
    elsewhere: "Elsewhere | None" = None


class Elsewhere(msgspec.Struct, frozen=True, gc=False):
    """Another model than the one that is asked in the end.

    Attributes:
        price: Its price.
        rules: How its cache behaves; None where it is taken to have none.
    """

    price: Price
    rules: CacheRules | None


class Plan(msgspec.Struct, frozen=True, gc=False):
    """One call's plan.

    Attributes:
        layout: The prompt as it is sent, laid out for the model.
        rules: How the model's cache behaves; None where it is taken to have none.
        body: What goes upstream.
        sent: What the provider's cache is expected to make of `body`.
        stages: The way from the client's own request to the plan, technique by technique. The first is the
            baseline: the request as it came.
        planned: In observe mode, the plan's prompt, and what the cache would have made of it, had all plans
            gone out.
        faults: Techniques that failed, so that the call goes out without them.
        max_tokens: The output limit, where it was lowered; else None.
        summary: The summary that was asked for on the way, if one was.
        is_comparable: Whether the request could have gone out as it came: its model's window holds it.
        marks: The cache marks in `body`,
        options: and what it says about caching as a whole.
        habit: What kind of call it is.
    """

    layout: Layout
    rules: CacheRules | None
    body: bytes
    sent: CacheOutcome
    stages: tuple[Stage, ...]
    planned: tuple[Layout, CacheOutcome] | None
    faults: tuple[str, ...]
    max_tokens: int | None = None
    summary: Summarised | None = None
    is_comparable: bool = True
    marks: Mapping[int, Mark] = msgspec.field(default_factory=dict[int, Mark])
    options: CacheOptions = CacheOptions()
    habit: Habit | None = None


def make_plan(
    engine: Engine, call: Call, hold: Hold, habit: Habit | None = None
) -> Generator[Effect, Any, Plan]:
    """Plan a call: count it into what is known, ask the techniques, and write what goes upstream.

    Args:
        engine: What is known.
        call: The call.
        hold: What it holds.
        habit: What kind of call it is, where it was planned before: it is counted once.

    Yields:
        What the techniques need done.
    """
    at_s = call.arrival.at_s
    rules = cache_rules(engine, call)
    came = Version(call.request, lay_out_version(engine, call, call.request, b""))
    options = read_cache_options(call.request)
    is_new = habit is None
    if habit is None:
        habit = learn(engine, call, came.layout, rules)
    case = Casing(engine, call, rules, options, habit)
    content = yield from _prepare(engine, call, came, case, hold)
    version, faults = content.version, content.faults
    if is_new:
        see_survival(engine, call, habit, version.layout)
    decisions, more_faults = case.decide(version)
    decisions, faults = content.decisions + decisions, faults + more_faults
    look = partial(engine.as_sent.look, rules=rules, now_s=at_s, options=options)
    asked = _asked_stages(engine, call)
    stages = asked + _stages((*content.path, (Technique.PREFIX_CACHE, version.layout)), look)
    if call.mode != "optimise":
        sent = engine.sent.look(came.layout, came.layout.marks, rules, at_s, options)
        planned = None
        if call.mode == "observe" and (decisions or version is not came):
            marks, plan_options = _with_decisions(version.layout, options, decisions)
            outcome = engine.planned.look(version.layout, marks, rules, at_s, plan_options)
            planned = version.layout, outcome
        return Plan(
            came.layout,
            rules,
            call.body,
            sent,
            stages,
            planned,
            faults,
            marks=came.layout.marks,
            options=options,
            habit=habit,
        )
    body, written = _write(call, version, decisions)
    marks, sent_options = version.layout.marks, options
    if written is None:
        marks, sent_options = _with_decisions(version.layout, options, decisions)
    else:
        faults += (written,)
        version, marks = came, came.layout.marks
        stages = asked + _stages(((Technique.PREFIX_CACHE, came.layout),), look)
    return Plan(
        layout=version.layout,
        rules=rules,
        body=body,
        sent=engine.sent.look(version.layout, marks, rules, at_s, sent_options),
        stages=stages,
        planned=None,
        faults=faults,
        max_tokens=None
        if version.request.max_tokens == call.request.max_tokens
        else version.request.max_tokens,
        summary=content.summary,
        is_comparable=_is_comparable(engine, call, stages[0].layout, version),
        marks=marks,
        options=sent_options,
        habit=habit,
    )


def _as_asked(call: Call) -> Call:
    """Return a call as it would have been without routing."""
    asked = call.asked
    return call if asked is None else msgspec.structs.replace(call, request=asked.request, price=asked.price)


def _asked_stages(engine: Engine, call: Call) -> tuple[Stage, ...]:
    """Return a call as it stood before it was routed; nothing where it was not, or that has no price."""
    asked = call.asked
    if asked is None or asked.price is None:
        return ()
    before, at_s = _as_asked(call), call.arrival.at_s
    rules = cache_rules(engine, before)
    layout = lay_out_version(engine, before, asked.request, asked.name)
    outcome = engine.as_sent.look(layout, layout.marks, rules, at_s, read_cache_options(asked.request))
    return (Stage(Technique.ROUTING, layout, outcome, Elsewhere(asked.price, rules)),)


class _Content(msgspec.Struct, frozen=True, gc=False):
    """What the techniques that change content made of a call.

    Attributes:
        path: The techniques in the order in which they acted, each with the prompt that it acted on.
        version: What came of it.
        faults: Techniques that failed, and what is wrong besides.
        summary: The summary that was asked for on the way, if one was.
        decisions: What was decided beside how it is marked.
    """

    path: tuple[tuple[Technique, Layout], ...]
    version: Version
    faults: tuple[str, ...] = ()
    summary: Summarised | None = None
    decisions: tuple[Decision, ...] = ()


def _prepare(
    engine: Engine, call: Call, came: Version, case: Casing, hold: Hold
) -> Generator[Effect, Any, _Content]:
    """Take a call through the techniques that change its content."""
    if call.mode not in ACTING_MODES:
        return _Content((), came)
    limited, faults = _limit_output(engine, call, came)
    front = yield from stabilise(engine, call, limited, case)
    call, steady = front.call, front.version
    shortened, more_faults = yield from _shorten(engine, call, steady)

    def choose() -> Version:
        if shortened is steady or case.pays(shortened.layout, steady.layout):
            return shortened
        return steady

    if call.policy.history.enabled:
        condensed = yield from condense(engine, call, case.material(shortened, choose, hold))
    else:
        base = choose()
        condensed = Condensed(base, base)
    version, split_faults = yield from split_beginning(engine, call, condensed.version, case)
    noted = yield from add_note(engine, call, version, front.note)
    faults += front.faults + more_faults + condensed.faults + split_faults
    if noted is None:
        return _Content((), came, (*faults, Technique.PREFIX_CACHE.value), condensed.summary)
    path = (
        (Technique.OUTPUT, came.layout),
        (Technique.PREFIX_CACHE, limited.layout),
        (Technique.TOOL_RESULTS, steady.layout),
        (Technique.HISTORY, condensed.base.layout),
        (Technique.PREFIX_CACHE, condensed.version.layout),
    )
    return _Content(path, noted, faults, condensed.summary, front.decisions)


def _is_comparable(engine: Engine, call: Call, first: Layout, version: Version) -> bool:
    """Whether a call could have gone out as it came, and it is known what that would have cost.

    Args:
        engine: The windows of models.
        call: The call.
        first: Its prompt as it came.
        version: What goes out.
    """
    if call.asked is None:
        return version.request is call.request or _could_go(engine, call, first)
    return call.asked.price is not None and _could_go(engine, _as_asked(call), first)


def _could_go(engine: Engine, call: Call, layout: Layout) -> bool:
    """Whether a model's window holds a prompt; where it is unknown, the benefit of the doubt is its."""
    window = engine.windows.find(call.dialect.name, call.request.model)
    if window is None:
        return True
    factor = engine.calibration.factor_per_mille(call.arrival.upstream, call.request.model)
    return layout.total_tokens * factor <= window.context_tokens * PER_MILLE


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
        rules = plan.rules if stage.elsewhere is None else stage.elsewhere.rules
        engine.as_sent.keep(stage.layout, stage.outcome, rules, at_s)
    if plan.planned is not None:
        layout, outcome = plan.planned
        engine.planned.keep(layout, outcome, plan.rules, at_s)


def _limit_output(engine: Engine, call: Call, came: Version) -> tuple[Version, tuple[str, ...]]:
    """Return the call with what its model may write limited, where the operator asked for that."""
    limits = call.policy.output.limits_for(call.attribution.task)
    if limits.is_empty:
        return came, ()
    window = engine.windows.find(call.dialect.name, call.request.model)
    try:
        fields = limit_output(call.request, _within_reach(window, limits), window)
        if not fields:
            return came, ()
        request = call.dialect.with_fields(call.request, fields)
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return came, (Technique.OUTPUT.value,)
    # What changes how a model thinks may keep its prompt from the cache.
    same = request.prompt == call.request.prompt
    return Version(request, came.layout if same else lay_out_version(engine, call, request, b"limited")), ()


def _within_reach(window: Window | None, limits: OutputLimits) -> OutputLimits:
    """Leave out a limit that no answer of the model reaches: its provider would refuse to be asked for it."""
    if limits.max_tokens is None or window is None or limits.max_tokens < window.output_tokens_max:
        return limits
    return msgspec.structs.replace(limits, max_tokens=None)


def _shorten(
    engine: Engine, call: Call, came: Version
) -> Generator[Effect, Any, tuple[Version, tuple[str, ...]]]:
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
        return (yield from with_messages(engine, call, came, messages, b"shortened")), ()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return came, (Technique.TOOL_RESULTS.value,)


def _write(call: Call, version: Version, decisions: tuple[Decision, ...]) -> tuple[bytes, str | None]:
    """Write what goes upstream. If that fails, the call goes out as it came, and the fault is named."""
    request, layout = version.request, version.layout
    fields = dict(call.dialect.usage_request_fields(call.request))
    marks = {layout.places[block]: mark for d in decisions for block, mark in d.marks.items()}
    for decision in decisions:
        fields.update(decision.fields)
        if decision.implicit is not None:
            fields[CACHE_OPTIONS] = with_cache_mode(call.request, implicit=decision.implicit)
    if not fields and not marks and request is call.request:
        return call.body, None
    if marks and UNSEEN_MARKS in request.features:
        # The client set marks inside a block, say. Providers count those too, and bind their order; ours
        # could make one too many.
        return call.body, UNSEEN_MARKS
    try:
        body = call.dialect.write(request, Edits(marks, fields))
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return call.body, "write"
    return body, None


def _with_decisions(
    layout: Layout, options: CacheOptions, decisions: tuple[Decision, ...]
) -> tuple[dict[int, Mark], CacheOptions]:
    marks = dict(layout.marks)
    for decision in decisions:
        marks.update(decision.marks)
        if decision.implicit is not None:
            options = CacheOptions(implicit=decision.implicit, ttl=options.ttl)
    return marks, options
