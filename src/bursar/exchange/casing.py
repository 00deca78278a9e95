"""Versions of a call, as cases for the techniques: what is known of its kind, its model and the cache."""

from collections.abc import Callable, Sequence

import msgspec

from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.decision import Decision
from bursar.domain.layout import Layout
from bursar.domain.prices import Price
from bursar.domain.prompt import Role
from bursar.domain.tokens import PER_MILLE
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.history import Material
from bursar.exchange.holding import Hold
from bursar.exchange.versions import Split, Version
from bursar.policy.case import Case, SharedStart
from bursar.policy.order import decide
from bursar.policy.prefix_cache import choose_split, is_cheaper
from bursar.view.rhythm import Prior, Return

# Before an agent's own rhythm is known: a call with tools, or with a history, is most likely one of many;
# a lone question most likely is not. Worth two observations, and one.
_LIKELY = Prior(Return(0.8, 0.0), weight=2.0)
_UNLIKELY = Prior(Return(0.1, 0.0), weight=1.0)

# Modes in which techniques are asked, be it only to say what they would have saved.
ACTING_MODES = frozenset(("optimise", "observe"))


class Habit(msgspec.Struct, frozen=True, gc=False):
    """What kind of call one is, for what may be expected after it."""

    kind: tuple[str, str, bool, bool, bool]
    prior: Prior


class _Outlook(msgspec.Struct, frozen=True, gc=False):
    """What may be expected after a version of a call.

    Attributes:
        front: Names its tools and system text.
        thread: How likely the thread's next call comes, and begins with what is sent now.
        prefix: How likely a new thread with the same front comes.
        system_varies: Whether its tools come with other system texts too.
    """

    front: bytes
    thread: Return
    prefix: Return
    system_varies: bool


def learn(engine: Engine, call: Call, layout: Layout, rules: CacheRules | None) -> Habit:
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
    is_lone = begins and not tools
    if is_lone and cacheable and engine.lone_trial.take():
        is_lone = False
    return Habit(kind, _UNLIKELY if is_lone else _LIKELY)


def see_survival(engine: Engine, call: Call, habit: Habit, layout: Layout) -> None:
    """Learn how much of what was sent before still stands in what goes out now."""
    agent, end = habit.kind[:2], layout.lasting_blocks
    if end:
        engine.survival.see_call(agent, call.place.thread.thread_id, layout.chain, end)
    if layout.system_end:
        front, new_thread = layout.chain[layout.system_end - 1], call.place.turn == 0
        engine.survival.see_front(agent, front, new_thread=new_thread)


class Casing:
    """Puts versions of one call before the techniques.

    Args:
        engine: What is known.
        call: The call.
        rules: How the model's cache behaves.
        options: What the client said about caching as a whole.
        habit: What kind of call it is.
    """

    def __init__(
        self, engine: Engine, call: Call, rules: CacheRules | None, options: CacheOptions, habit: Habit
    ) -> None:
        self._engine = engine
        self._call = call
        self._rules = rules
        self._options = options
        self._habit = habit
        self._outlook: _Outlook | None = None
        self._cache = engine.sent if call.mode == "optimise" else engine.planned
        self._marks = call.policy.prefix_cache and call.mode in ACTING_MODES

    def decide(self, version: Version) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
        """Let the techniques decide how a version is marked."""
        rules, price, layout = self._rules, self._call.price, version.layout
        if not self._marks or rules is None or price is None or layout.total_tokens < rules.minimum_tokens:
            # No provider caches less than its minimum, however it is marked.
            return (), ()
        split = version.split
        if split is None:
            return decide(self._case(layout, rules, price))
        starts = (self._start(layout, split),)
        case = self._case(layout, rules, price, split.whole)
        return decide(msgspec.structs.replace(case, starts=starts, split=split.block))

    @property
    def cacheable_tokens(self) -> int | None:
        """Prompt tokens from which marks may pay; None where none are set."""
        rules = self._rules
        if not self._marks or rules is None or self._call.price is None:
            return None
        return None if rules.kind is CacheKind.OPENAI_AUTOMATIC else rules.minimum_tokens

    def choose_split(self, whole: Layout, versions: Sequence[Version]) -> int | None:
        """Choose the version, by its index, whose split pays; None where the text is to stay whole."""
        rules, price = self._rules, self._call.price
        splits = [(version.layout, version.split) for version in versions if version.split is not None]
        if rules is None or price is None or not splits:
            return None
        starts = tuple([self._start(layout, split) for layout, split in splits])
        case = msgspec.structs.replace(self._case(whole, rules, price), starts=starts)
        cases = [
            msgspec.structs.replace(self._case(layout, rules, price, whole), starts=starts, split=split.block)
            for layout, split in splits
        ]
        return choose_split(case, cases)

    def _start(self, layout: Layout, split: Split) -> SharedStart:
        """Return the prefix that a split ends, and how likely a new thread brings it."""
        prior, at_s = self._habit.prior, self._call.arrival.at_s
        coming = self._engine.beginnings.expect(split.name, prior, at_s)
        return SharedStart(layout.ends[split.block], coming)

    def pays(self, shorter: Layout, longer: Layout) -> bool:
        """Whether a shorter version is cheaper, with what the provider's cache holds of either."""
        if shorter.total_tokens > longer.total_tokens:
            return False
        rules, price = self._rules, self._call.price
        if rules is None or price is None or longer.total_tokens < rules.minimum_tokens:
            # Nothing is kept of either.
            return True
        return is_cheaper(self._case(shorter, rules, price), self._case(longer, rules, price))

    def may_be_kept(self, layout: Layout) -> bool:
        """Whether the provider's cache may keep a version: it is used, and the version is long enough."""
        rules = self._rules
        if not self._marks or rules is None or self._call.price is None:
            return False
        return layout.total_tokens >= rules.minimum_tokens

    def held_tokens(self, layout: Layout) -> int:
        """Return how many of a version's first tokens the provider's cache holds."""
        block = self._cache.deepest(layout, len(layout.chain), self._call.arrival.at_s)
        return 0 if block is None else layout.ends[block]

    def material(self, shortened: Version, choose: Callable[[], Version], hold: Hold) -> Material:
        """Return what there is before the history is rewritten."""
        rules = self._rules
        if rules is not None and rules.kind is CacheKind.ANTHROPIC:
            # Nothing is cached there without a mark, ours or the client's.
            rules = rules if self._marks or shortened.layout.marks else None
        return Material(shortened, choose, rules, self._cache, hold)

    def _case(self, layout: Layout, rules: CacheRules, price: Price, whole: Layout | None = None) -> Case:
        """Return a version as a case; of one with a text that was split, what stood there whole is known."""
        call, outlook = self._call, self._look_ahead(layout if whole is None else whole)
        return Case(
            layout=layout,
            options=self._options,
            rules=rules,
            rates=price.rates_for(layout.total_tokens),
            thread=outlook.thread,
            prefix=outlook.prefix,
            system_varies=outlook.system_varies,
            agent=call.attribution.agent,
            has_cache_key="prompt_cache_key" in call.request.fields,
            cache=self._cache,
            now_s=call.arrival.at_s,
        )

    def _look_ahead(self, layout: Layout) -> _Outlook:
        """Say what may be expected after the call; for versions with the same front, that is the same."""
        front = layout.chain[layout.system_end - 1] if layout.system_end else b""
        known = self._outlook
        if known is not None and known.front == front:
            return known
        engine, habit, at_s = self._engine, self._habit, self._call.arrival.at_s
        survival, agent = engine.survival, habit.kind[:2]
        outlook = _Outlook(
            front,
            engine.rhythm.expect(habit.kind, habit.prior, at_s).times(survival.of_calls(agent)),
            engine.prefixes.expect(layout, habit.prior, at_s).times(survival.of_fronts(agent)),
            engine.prefixes.system_varies(layout),
        )
        self._outlook = outlook
        return outlook


def cache_rules(engine: Engine, call: Call) -> CacheRules | None:
    """Return the rules of a call's cache, its minimum in *our* tokens if the provider counts differently."""
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
