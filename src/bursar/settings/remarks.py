"""What is allowed in bursar.toml, and yet is probably not what was meant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bursar.policy.agent import AgentPolicy
from bursar.settings import Settings
from bursar.settings.agents import quoted
from bursar.settings.explaining import Explanation, Value, explain, is_on
from bursar.wire.output import THINKING_TOKENS_MIN

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


def remark(settings: Settings, is_priced: Callable[[str], bool]) -> list[Remark]:
    """Look for settings that do nothing, or not what they say; each is told once.

    Args:
        settings: The operator's.
        is_priced: Says whether a model's price is known today.
    """
    found = [explain(settings, *pair) for pair in settings.layers.pairs()]
    remarks = [
        *_about_mode(settings, found),
        *_about_idle_values(found),
        *_about_models(found, is_priced),
        *_about_policies(found),
        *_about_room(settings, found),
        *_about_names(settings),
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
    return any(is_on(technique.technique, explanation.policy) for technique in explanation.techniques)


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


def _about_models(found: Sequence[Explanation], is_priced: Callable[[str], bool]) -> Iterator[Remark]:
    for explanation in found:
        model = explanation.policy.history.summary_model
        if model is not None and not is_priced(model):
            yield Remark(
                _place(explanation, "history.summary_model"),
                f'no price is known for "{model}", so what summaries cost would be unknown',
                f"check its name, or add [prices.{quoted(model)}]",
            )


def _about_policies(found: Sequence[Explanation]) -> Iterator[Remark]:
    for explanation in found:
        policy = explanation.policy
        cache, output = policy.response_cache, policy.output.limits
        if cache.enabled and cache.tasks and not cache.safe_tools:
            yield Remark(
                _place(explanation, "response_cache.tasks"),
                "calls of these tasks that have tools take no part, since no tool is known to be without "
                "side effects",
                "name those that are in response_cache.safe_tools",
            )
        thinking = output.thinking_tokens
        if output.max_tokens is not None and thinking is not None:
            least = thinking + THINKING_TOKENS_MIN
            if output.max_tokens < least:
                yield Remark(
                    _place(explanation, "max_output_tokens"),
                    f"answers that think for {thinking:,} tokens may have {least:,}, so that there is room "
                    "for the answer itself",
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
