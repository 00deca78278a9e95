"""What is allowed in bursar.toml, and yet is probably not what was meant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bursar.policy.agent import AgentPolicy
from bursar.settings import Settings
from bursar.settings.agents import quoted
from bursar.settings.budget_meanings import doubts_about_budgets
from bursar.settings.explaining import Explanation, Value, as_key, explain
from bursar.wire.output import EFFORTS, THINKING_TOKENS_MIN, OutputLimits

# The working content store takes no piece of more than an eighth of its room.
_CONTENT_SHARE_MAX = 8

_TOOL_LIMITS = ("max_tokens", "max_rows", "max_field_chars")


@dataclass(frozen=True, slots=True)
class Remark:
    """One doubt.

    Attributes:
        place: The key in the file that it is about.
        problem: What will not be as it looks.
        mend: What to do about it; empty where the problem says it.
    """

    place: str
    problem: str
    mend: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the outside world.

    Attributes:
        is_priced: Says whether a model's price is known today.
        output_tokens_max: The longest answer that any known model gives.
    """

    is_priced: Callable[[str], bool]
    output_tokens_max: int


def remark(settings: Settings, known: Knowledge) -> list[Remark]:
    """Look for settings that do nothing, or not what they say; each is told once.

    Args:
        settings: The operator's.
        known: What is known of the outside world.
    """
    found = [explain(settings, *pair) for pair in settings.layers.pairs()]
    remarks = [
        *_about_mode(settings, found),
        *_about_idle_values(found),
        *_about_summaries(found, known.is_priced),
        *_about_response_cache(found),
        *_about_output(found, known.output_tokens_max),
        *_about_room(settings, found),
        *_about_names(settings),
        *(Remark(*doubt) for doubt in doubts_about_budgets(settings)),
    ]
    return list(dict.fromkeys(remarks))


def _about_mode(settings: Settings, found: Sequence[Explanation]) -> Iterator[Remark]:
    said = any(technique.said for explanation in found for technique in explanation.techniques)
    if settings.mode == "passthrough" and said:
        yield Remark(
            "mode", "calls pass untouched, so no technique acts", 'set it to "optimise" or "observe"'
        )
    if not settings.holdout:
        return
    if settings.mode != "optimise":
        yield Remark(
            "holdout", f'all conversations are left as they came in mode "{settings.mode}"', "remove it"
        )
    elif not any(_acts(explanation) for explanation in found):
        yield Remark("holdout", "no technique is on, so there is nothing to compare with", "remove it")


def _acts(explanation: Explanation) -> bool:
    return any(technique.state == "on" for technique in explanation.techniques)


def _about_idle_values(found: Sequence[Explanation]) -> Iterator[Remark]:
    """Tell of each value that does nothing for anybody for whom it is in force."""
    idle: dict[str, str] = {}
    busy: set[str] = set()
    for explanation in found:
        for technique in explanation.techniques:
            for value in technique.said:
                why = _why_idle(value.key, explanation.policy)
                place = value.place or ""
                if why:
                    idle.setdefault(place, why)
                else:
                    busy.add(place)
    for place, why in idle.items():
        if place not in busy:
            yield Remark(place, f"does nothing {why}", "set that too, or remove this")


def _why_idle(key: str, policy: AgentPolicy) -> str:
    """Say why a setting does nothing under a policy; empty where it does something."""
    table, _, name = key.partition(".")
    if table == "history" and not policy.history.enabled:
        return "without history_tokens or history_limit, with which the history is rewritten"
    if key == "history.summary_tokens_max" and policy.history.summary_model is None:
        return "without history.summary_model"
    if table == "response_cache" and name != "enabled" and not policy.response_cache.enabled:
        return "without response_cache.enabled"
    if table == "stable_prefix" and not policy.prefix_cache and getattr(policy.stable_prefix, name):
        return "without prefix_cache.enabled: it makes prompts begin alike for that only"
    return _why_results_idle(name, policy) if table == "tool_results" else ""


def _why_results_idle(name: str, policy: AgentPolicy) -> str:
    results = policy.tool_results
    if name == "mode":
        return ""
    if results.mode == "off":
        return 'while tool_results.mode is "off"; it wants "lossless" or "truncate"'
    if name == "references" and policy.history.enabled and results.references:
        return "where the history is rewritten, since what is referred to might not stay"
    lossy = results.mode == "truncate" or any(limits is not None for limits in results.by_tool.values())
    if name in _TOOL_LIMITS and not lossy:
        return 'without tool_results.mode = "truncate"'
    return ""


def _about_summaries(found: Sequence[Explanation], is_priced: Callable[[str], bool]) -> Iterator[Remark]:
    for explanation in found:
        history = explanation.policy.history
        model = history.summary_model
        if history.enabled and model is None:
            yield Remark(
                _place(explanation, "history_tokens") or _place(explanation, "history_limit"),
                "nothing is summarised: old tool results are masked, and where that is not enough to fit, "
                "messages are left out",
                "set history.summary_model, if that is not what you mean",
            )
        if model is not None and not is_priced(model):
            yield Remark(
                _place(explanation, "history.summary_model"),
                f'no price is known for "{model}", so what summaries cost would be unknown',
                f"check its name, or add [prices.{quoted(model)}]",
            )


def _about_response_cache(found: Sequence[Explanation]) -> Iterator[Remark]:
    for explanation in found:
        cache = explanation.policy.response_cache
        if cache.enabled and cache.tasks and not cache.safe_tools:
            yield Remark(
                _place(explanation, "response_cache.tasks"),
                "calls of these tasks that have tools take no part, since no tool is known to be without "
                "side effects",
                "name those that are in response_cache.safe_tools",
            )


def _about_output(found: Sequence[Explanation], output_tokens_max: int) -> Iterator[Remark]:
    for explanation in found:
        output = explanation.policy.output
        yield from _about_limits(explanation, output.limits, "", output_tokens_max)
        for task, limits in output.by_task.items():
            yield from _about_limits(explanation, limits, f"output.tasks.{as_key(task)}.", output_tokens_max)


def _about_limits(
    explanation: Explanation, limits: OutputLimits, task: str, output_tokens_max: int
) -> Iterator[Remark]:
    """Look at the limits of one task, by the path of its table, or at those of all that have none."""

    def place(key: str) -> str:
        own = f"{task}{key.removeprefix('output.')}" if task else key
        return _place(explanation, own) or _place(explanation, key)

    for key, tokens in (
        ("max_output_tokens", limits.max_tokens),
        ("output.thinking_tokens", limits.thinking_tokens),
    ):
        if tokens is not None and tokens >= output_tokens_max:
            yield Remark(
                place(key),
                f"limits nothing: no known model writes more than {output_tokens_max:,} tokens",
                "lower it, or remove it",
            )
    if limits.effort == EFFORTS[-1]:
        yield Remark(
            place("output.effort"), f'limits nothing: no effort is more than "{limits.effort}"', "remove it"
        )
    if limits.max_tokens is not None and limits.thinking_tokens is not None:
        least = limits.thinking_tokens + THINKING_TOKENS_MIN
        if limits.max_tokens < least:
            yield Remark(
                place("max_output_tokens"),
                f"answers that think for {limits.thinking_tokens:,} tokens may have {least:,}, so that there "
                "is room for the answer itself",
                "lower output.thinking_tokens",
            )


def _about_room(settings: Settings, found: Sequence[Explanation]) -> Iterator[Remark]:
    largest_bytes = settings.storage.content_bytes_max // _CONTENT_SHARE_MAX
    results = [explanation.policy.tool_results for explanation in found]
    truncates = any(
        result.mode == "truncate"
        or (result.mode == "lossless" and any(limits is not None for limits in result.by_tool.values()))
        for result in results
    )
    if truncates and largest_bytes < settings.server.body_limit_bytes:
        yield Remark(
            "storage.content_bytes_max",
            f"tool results of more than {largest_bytes:,} bytes, an eighth of it, cannot be kept in full, "
            "and are sent whole",
            "raise it, or lower server.body_limit_bytes",
        )
    for explanation in found:
        cache = explanation.policy.response_cache
        place = _place(explanation, "response_cache.answer_bytes_max")
        if place and cache.enabled and cache.answer_bytes_max > largest_bytes:
            yield Remark(
                place,
                f"answers of more than {largest_bytes:,} bytes, an eighth of storage.content_bytes_max, are "
                "not kept",
                "raise that, or lower this",
            )


def _about_names(settings: Settings) -> Iterator[Remark]:
    for tenant in settings.tenants:
        if "/" in tenant:
            yield Remark(
                f"tenants.{quoted(tenant)}",
                "agents of a tenant with a slash in its name can have no table of their own",
                "name it without",
            )


def _place(explanation: Explanation, key: str) -> str:
    """Return where the file sets a key; empty where it is silent."""
    said: list[Value] = [value for technique in explanation.techniques for value in technique.said]
    return next((value.place or "" for value in said if value.key == key), "")
