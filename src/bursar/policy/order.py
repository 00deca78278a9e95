"""The techniques, in the order in which they act on a call."""

from dataclasses import dataclass

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions, CacheRequest
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.decision import Decision
from bursar.domain.layout import Layout
from bursar.domain.prices import Rates
from bursar.policy.cache_key import plan_cache_key
from bursar.policy.prefix_cache import PrefixCase, plan_marks
from bursar.view.rhythm import Return


@dataclass(frozen=True, slots=True)
class View:
    """What the techniques see of one call.

    Attributes:
        layout: Its prompt.
        options: What the client said about caching as a whole.
        rules: How the model's cache behaves.
        rates: The model's rates, in nusd per million tokens.
        thread: How likely the thread's next call is.
        prefix: How likely a new thread with the same tools and system text is.
        system_varies: Whether the same tools come with other system texts too.
        calls_a_minute: How often calls with this shared prefix came lately.
        conversation: Its conversation.
        has_cache_key: Whether the client set a cache key of its own.
        cache: The provider's cache, by our model of it.
        now_s: The time.
    """

    layout: Layout
    options: CacheOptions
    rules: CacheRules
    rates: Rates
    thread: Return
    prefix: Return
    system_varies: bool
    calls_a_minute: float
    conversation: str
    has_cache_key: bool
    cache: ProviderCache
    now_s: float


def decide(view: View) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    """Let each technique decide in turn.

    Returns:
        What was decided, and the names of techniques that failed: a call never fails by them.
    """
    decisions: list[Decision] = []
    faults: list[str] = []
    for name, technique in (("prefix_cache", _marks), ("cache_key", _cache_key)):
        try:
            decision = technique(view)
        except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
            faults.append(name)
        else:
            if decision is not None:
                decisions.append(decision)
    return tuple(decisions), tuple(faults)


def _marks(view: View) -> Decision | None:
    if view.rules.kind is CacheKind.OPENAI_AUTOMATIC:
        return None

    def look(request: CacheRequest) -> CacheOutcome:
        return view.cache.look(request.prefixes, request.marks, view.rules, view.now_s, request.options)

    return plan_marks(
        PrefixCase(
            layout=view.layout,
            options=view.options,
            rules=view.rules,
            rates=view.rates,
            thread=view.thread,
            prefix=view.prefix,
            system_varies=view.system_varies,
            look=look,
            deepest=_deepest_entry(view),
        )
    )


def _cache_key(view: View) -> Decision | None:
    if view.rules.kind is CacheKind.ANTHROPIC or view.has_cache_key:
        return None
    return plan_cache_key(view.layout, view.conversation, view.calls_a_minute)


def _deepest_entry(view: View) -> int | None:
    entry, now_s = view.cache.entry, view.now_s
    chain = view.layout.chain
    return next((i for i in range(len(chain) - 1, -1, -1) if entry(chain[i], now_s)), None)
