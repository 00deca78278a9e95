"""What an agent's policy does, in words for the operator."""

from collections.abc import Iterable

from bursar.domain.ledger import Technique
from bursar.policy.agent import AgentPolicy, OutputPolicy, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.response_cache import ResponseCacheOptions
from bursar.policy.routing.options import RoutingOptions
from bursar.policy.tool_results.limits import Limits
from bursar.wire.output import OutputLimits

_UNITS_S = ((86_400, "d"), (3_600, "h"), (60, "min"))


def meaning_of(technique: Technique, policy: AgentPolicy) -> str:
    """Say what a technique does to an agent's calls, by its policy."""
    match technique:
        case Technique.RESPONSE_CACHE:
            return _response_cache(policy.response_cache)
        case Technique.TOOL_RESULTS:
            return _tool_results(policy.tool_results, rewritten=policy.history.enabled)
        case Technique.HISTORY:
            return _history(policy.history)
        case Technique.OUTPUT:
            return _output(policy.output)
        case Technique.PREFIX_CACHE:
            return _prefix_cache(policy)
        case Technique.ROUTING:
            return _routing(policy.routing)
        case _:
            return "not set per agent"


def _response_cache(options: ResponseCacheOptions) -> str:
    if not options.enabled:
        return "every call is made"
    calls = ["that ask by header"]
    if options.temperature_0:
        calls.append("at temperature 0")
    if options.tasks:
        calls.append(f"of task {_listed(options.tasks)}")
    tools = (
        f"with tools only where all are of {_listed(options.safe_tools)}"
        if options.safe_tools
        else "with tools only those that ask"
    )
    return f"calls {' or '.join(calls)} get the answer of an equal call, for {_span(options.ttl_s)}; {tools}"


def _tool_results(policy: ToolResultPolicy, *, rewritten: bool) -> str:
    if policy.mode == "off":
        return "as they came"
    parts = [_limits(policy.limits if policy.mode == "truncate" else None)]
    parts += [f"{name}: {_limits(limits)}" for name, limits in policy.by_tool.items()]
    if policy.references and not rewritten:
        parts.append("an equal result points at the first")
    return "; ".join(parts)


def _limits(limits: Limits | None) -> str:
    if limits is None:
        return "fewer tokens, nothing lost"
    rows = f", {limits.rows_max:,} rows of a table" if limits.rows_max is not None else ""
    fields = f"{limits.field_chars_max:,} characters of a field where it is too long"
    return f"at most {limits.tokens_max:,} tokens{rows}, {fields}; the full result can be fetched"


def _history(options: HistoryOptions) -> str:
    if not options.enabled:
        return "left alone"
    parts: list[str] = []
    if options.tokens is not None:
        parts.append(f"rewritten from {options.tokens:,} prompt tokens on, where that pays")
    if options.limit is not None:
        parts.append(f"never above {options.limit:,} prompt tokens")
    parts.append(f"the last {options.recent(options.limit):,} tokens stay verbatim")
    if options.summary_model is None:
        parts.append("old tool results are masked, nothing is summarised")
    else:
        parts.append(f"summaries by {options.summary_model}, {options.summary_tokens_max:,} tokens at most")
    if options.pinned:
        parts.append(f"messages with {_listed(options.pinned)} stay")
    return "; ".join(parts)


def _output(policy: OutputPolicy) -> str:
    parts = [_written(policy.limits)]
    parts += [f"task {name}: {_written(limits)}" for name, limits in policy.by_task.items()]
    return "; ".join(parts)


def _routing(options: RoutingOptions) -> str:
    if not options.enabled:
        return "bursar/auto is the baseline's model, and models are as clients name them"
    otherwise = f"tier {options.tier}" if options.tier else "the tier that fits how hard it looks"
    parts = [f"a call that may be routed goes to its task's tier, without a task to {otherwise}"]
    if options.prefers_cheaper:
        parts.append("one tier down where a budget prefers that")
    return "; ".join(parts)


def _prefix_cache(policy: AgentPolicy) -> str:
    if not policy.prefix_cache:
        return "only the client's own marks"
    parts = ["cache marks set where they pay"]
    if policy.stable_prefix.split:
        parts.append("a text that begins as earlier ones did is sent as two blocks where that pays")
    if policy.stable_prefix.order:
        parts.append("tools and their keys in one order")
    if policy.stable_prefix.volatile:
        parts.append("lines of the instructions that vary move behind the prompt")
    return "; ".join(parts)


def _written(limits: OutputLimits) -> str:
    parts: list[str] = []
    if limits.max_tokens is not None:
        parts.append(f"at most {limits.max_tokens:,} tokens")
    if limits.effort is not None:
        parts.append(f"effort {limits.effort} at most")
    if limits.thinking_tokens is not None:
        parts.append(f"thinking {limits.thinking_tokens:,} tokens at most")
    if limits.stop:
        parts.append(f"stops at {_listed(limits.stop)}")
    return ", ".join(parts) or "as clients ask"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _span(seconds: float) -> str:
    for unit_s, name in _UNITS_S:
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{int(seconds // unit_s):,} {name}"
    return f"{seconds:,g} s"
