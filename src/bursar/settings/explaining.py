"""What is on for whom, in words, and which key of bursar.toml says so."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from bursar.domain.ledger import Technique
from bursar.policy.agent import GOVERNED, AgentPolicy
from bursar.settings import Mode, Settings
from bursar.settings.agents import Layers, quoted
from bursar.settings.meanings import meaning_of

State = Literal["on", "watched", "off"]

# Each technique with the keys that set it.
_KEYS: dict[Technique, tuple[str, ...]] = {
    Technique.RESPONSE_CACHE: ("response_cache.",),
    Technique.ROUTING: ("routing.",),
    Technique.OUTPUT: ("max_output_tokens", "output."),
    Technique.TOOL_RESULTS: ("tool_results.",),
    Technique.HISTORY: ("history_tokens", "history_limit", "history."),
    Technique.PREFIX_CACHE: ("prefix_cache.", "stable_prefix."),
}

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Value:
    """One setting that is in force.

    Attributes:
        key: Its path within a table, such as `tool_results.max_rows`.
        value: What holds, as in TOML; None where nothing is set and nothing limits.
        place: Its path in the file; None where that is silent, so that the default holds.
    """

    key: str
    value: object
    place: str | None


@dataclass(frozen=True, slots=True)
class TechniqueInForce:
    """What one technique does to the calls of somebody.

    Attributes:
        technique: The technique.
        state: `on`; `watched` where what it would save is booked and nothing changed; `off`.
        meaning: What it does, in words.
        values: Its settings.
    """

    technique: Technique
    state: State
    meaning: str
    values: tuple[Value, ...]

    @property
    def said(self) -> tuple[Value, ...]:
        """Those of its settings that the file holds."""
        return tuple(value for value in self.values if value.place is not None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is on for a tenant's agent.

    Attributes:
        tenant: The tenant; None for any.
        agent: The agent; None for any.
        policy: What the techniques read.
        techniques: What each does, in the order in which they act.
    """

    tenant: str | None
    agent: str | None
    policy: AgentPolicy
    techniques: tuple[TechniqueInForce, ...]


def explain(settings: Settings, tenant: str | None, agent: str | None) -> Explanation:
    """Say what is on for a tenant's agent, and why.

    Args:
        settings: The operator's.
        tenant: The tenant; None for one that has no table.
        agent: The agent; None likewise.
    """
    layers = settings.layers
    policy = layers.merged(tenant, agent).policy()
    values = _values_in_force(layers, tenant, agent)
    techniques: list[TechniqueInForce] = []
    for technique in GOVERNED:
        may_act = is_on(technique, policy) and (technique is not Technique.ROUTING or bool(settings.tiers))
        state = _state(technique, settings.mode) if may_act else "off"
        idle = state == "off" and may_act
        meaning = f'nothing in mode "{settings.mode}"' if idle else meaning_of(technique, policy)
        if technique is Technique.ROUTING and not settings.tiers:
            meaning = "there are no tiers to route to"
        own = tuple(value for value in values if value.key.startswith(_KEYS[technique]))
        techniques.append(TechniqueInForce(technique, state, meaning, own))
    return Explanation(tenant, agent, policy, tuple(techniques))


def is_on(technique: Technique, policy: AgentPolicy) -> bool:
    """Whether a technique may act, by an agent's policy."""
    match technique:
        case Technique.RESPONSE_CACHE:
            return policy.response_cache.enabled
        case Technique.TOOL_RESULTS:
            return policy.tool_results.mode != "off"
        case Technique.HISTORY:
            return policy.history.enabled
        case Technique.OUTPUT:
            limits = (policy.output.limits, *policy.output.by_task.values())
            return not all(limit.is_empty for limit in limits)
        case Technique.PREFIX_CACHE:
            return policy.prefix_cache
        case Technique.ROUTING:
            return policy.routing.enabled
        case _:
            return False


def _state(technique: Technique, mode: Mode) -> State:
    """Return the state of a technique that may act."""
    if mode == "passthrough":
        return "off"
    if mode == "optimise":
        return "on"
    # To answer from a cache, or by another model, is to act, so there is nothing to watch.
    return "off" if technique in {Technique.RESPONSE_CACHE, Technique.ROUTING} else "watched"


def _values_in_force(layers: Layers, tenant: str | None, agent: str | None) -> list[Value]:
    values = {key: Value(key, value, None) for key, value in _defaults().items()}
    for layer in layers.of(tenant, agent):
        said = layer.section.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for key, value in _flatten(said):
            values[key] = Value(key, value, f"{layer.place}.{key}" if layer.place else key)
    return list(values.values())


def as_key(name: str) -> str:
    """Write a name as it stands in a path of keys, quoted only where it must be."""
    return name if _BARE_KEY.fullmatch(name) else quoted(name)


def _flatten(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        key = path + as_key(name)
        if isinstance(value, dict):
            yield from _flatten(cast("dict[str, Any]", value), f"{key}.")
        else:
            yield key, value


def _defaults() -> dict[str, object]:
    """Return every key that a table may hold, but those of single tools and tasks, with its default."""
    policy = AgentPolicy()
    cache, results, history, output = (
        policy.response_cache,
        policy.tool_results,
        policy.history,
        policy.output.limits,
    )
    return {
        "response_cache.enabled": cache.enabled,
        "response_cache.temperature_0": cache.temperature_0,
        "response_cache.tasks": sorted(cache.tasks),
        "response_cache.safe_tools": sorted(cache.safe_tools),
        "response_cache.ttl_s": cache.ttl_s,
        "response_cache.answer_bytes_max": cache.answer_bytes_max,
        "routing.enabled": policy.routing.enabled,
        "routing.tier": policy.routing.tier or None,
        "routing.learned": policy.routing.learns,
        "routing.prefer_cheaper": policy.routing.prefers_cheaper,
        "max_output_tokens": output.max_tokens,
        "output.effort": output.effort,
        "output.thinking_tokens": output.thinking_tokens,
        "output.stop": list(output.stop),
        "tool_results.mode": results.mode,
        "tool_results.max_tokens": results.limits.tokens_max,
        "tool_results.max_rows": results.limits.rows_max,
        "tool_results.max_field_chars": results.limits.field_chars_max,
        "tool_results.references": results.references,
        "history_tokens": history.tokens,
        "history_limit": history.limit,
        "history.recent_tokens": history.recent_tokens,
        "history.summary_model": history.summary_model,
        "history.summary_tokens_max": history.summary_tokens_max,
        "history.pinned": list(history.pinned),
        "prefix_cache.enabled": policy.prefix_cache,
        "stable_prefix.split": policy.stable_prefix.split,
        "stable_prefix.order": policy.stable_prefix.order,
        "stable_prefix.volatile": policy.stable_prefix.volatile,
    }
