"""`[defaults]`, `[tenants.NAME]` and `[agents.NAME]` of bursar.toml: what is on, and for whom.

All have the same keys, and every key is optional. What is said of a tenant's agent (`[agents."TENANT/NAME"]`)
goes before what is said of the agent, that before what is said of the tenant, and that before the defaults;
each key counts by itself, also within a table.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bursar.policy.agent import AgentPolicy, OutputPolicy, PolicyBook, StablePrefixPolicy, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.loops import LoopOptions
from bursar.policy.response_cache import ResponseCacheOptions
from bursar.policy.tool_results.limits import Limits
from bursar.settings.agent_routing import AgentRouting
from bursar.settings.sections import Section
from bursar.settings.values import Label
from bursar.wire.output import THINKING_TOKENS_MIN, OutputLimits

ToolResultMode = Literal["lossless", "truncate", "off"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tokens = Annotated[int, Field(gt=0, le=100_000_000)]


class ToolLimits(Section):
    """`tool_results.tools.NAME`: what is different for one tool.

    Attributes:
        mode: `lossless`, or `truncate` to what follows.
        max_tokens: Tokens of a result.
        max_rows: Rows of each table in it.
        max_field_chars: Characters of each field, where a result is too long.
    """

    mode: Literal["lossless", "truncate"] | None = None
    max_tokens: Tokens | None = None
    max_rows: Annotated[int, Field(gt=0)] | None = None
    max_field_chars: Annotated[int, Field(ge=16)] | None = None


class ToolResults(Section):
    """`tool_results`: how tool results are shortened.

    Attributes:
        mode: `lossless` (default): in fewer tokens, nothing lost; `truncate`: to the limits, the rest behind
            a handle; `off`: as they came.
        max_tokens: Tokens of a result; default 1,000.
        max_rows: Rows of each table in it.
        max_field_chars: Characters of each field, where a result is too long; default 500.
        references: Whether a result that came before may be pointed at; default true.
        tools: What is different for single tools.
    """

    mode: ToolResultMode | None = None
    max_tokens: Tokens | None = None
    max_rows: Annotated[int, Field(gt=0)] | None = None
    max_field_chars: Annotated[int, Field(ge=16)] | None = None
    references: bool | None = None
    tools: dict[str, ToolLimits] = Field(default_factory=dict)


class History(Section):
    """`history`: how a long history is rewritten.

    Attributes:
        recent_tokens: What stays verbatim at the end; default a third of `history_tokens`.
        summary_model: The model that summarises; absent: tool results are masked only.
        summary_tokens_max: The longest summary; default 1,000.
        pinned: Messages that hold one of these texts stay verbatim.
    """

    recent_tokens: Tokens | None = None
    summary_model: str | None = None
    summary_tokens_max: Tokens | None = None
    pinned: tuple[str, ...] | None = None


class TaskOutput(Section):
    """`output.tasks.NAME`: what is different for one task."""

    max_output_tokens: Tokens | None = None
    effort: Effort | None = None
    thinking_tokens: Annotated[int, Field(ge=THINKING_TOKENS_MIN)] | None = None
    stop: tuple[str, ...] | None = None


class Output(Section):
    """`output`: what a model may write beside `max_output_tokens`. Nothing is limited unasked.

    Attributes:
        effort: The most effort.
        thinking_tokens: The largest thinking budget.
        stop: Further stop sequences.
        tasks: What is different for single tasks.
    """

    effort: Effort | None = None
    thinking_tokens: Annotated[int, Field(ge=THINKING_TOKENS_MIN)] | None = None
    stop: tuple[str, ...] | None = None
    tasks: dict[str, TaskOutput] = Field(default_factory=dict)


class ResponseCache(Section):
    """`response_cache`: which calls may be answered by what was answered before.

    Attributes:
        enabled: Whether any may; default true.
        temperature_0: Whether calls at temperature 0 take part unasked; default true.
        tasks: Tasks whose calls take part.
        safe_tools: Tools without side effects; a call with any other takes no part unasked.
        ttl_s: How long an answer is kept; default an hour.
        answer_bytes_max: Longer answers are not kept; default 1 MiB.
    """

    enabled: bool | None = None
    temperature_0: bool | None = None
    tasks: tuple[str, ...] | None = None
    safe_tools: tuple[str, ...] | None = None
    ttl_s: Annotated[float, Field(gt=0, le=30 * 86_400)] | None = None
    answer_bytes_max: Annotated[int, Field(gt=0)] | None = None


class PrefixCache(Section):
    """`prefix_cache`: the provider's prompt cache, used where it pays.

    Attributes:
        enabled: Whether cache marks are set; default true.
    """

    enabled: bool | None = None


class StablePrefix(Section):
    """`stable_prefix`: prompts that begin alike are made to begin the same for the provider's cache.

    Attributes:
        split: Whether a text may be sent as two blocks, where what earlier calls began with ends; default
            true.
        order: Whether tools are sent sorted by name, with the keys of their JSON sorted; default false.
        volatile: Whether lines of the instructions that hold a time, an id or a count, and were seen to vary,
            are sent behind the prompt; default false.
    """

    split: bool | None = None
    order: bool | None = None
    volatile: bool | None = None


class Loops(Section):
    """`loops`: what is done about an agent that does the same over and over.

    Attributes:
        mode: `stop` (default): its conversation is warned, then stopped; `warn`; or `off`.
        repeats: How often the same may come again before that; default 3.
        waiting: Tools by which the agent waits for something, so that it may well call them again.
        notify: Whom to tell when a conversation is stopped, by the names of `[notify.NAME]`.
    """

    mode: Literal["stop", "warn", "off"] | None = None
    repeats: Annotated[int, Field(ge=2, le=100)] | None = None
    waiting: tuple[str, ...] | None = None
    notify: tuple[Label, ...] | None = None


class AgentSection(Section):
    """One of the tables.

    Attributes:
        history_tokens: Prompt tokens from which a rewrite of the history is considered.
        history_limit: Prompt tokens that no call may exceed.
        max_output_tokens: Tokens that an answer may have.
    """

    history_tokens: Tokens | None = None
    history_limit: Tokens | None = None
    max_output_tokens: Tokens | None = None
    history: History = History()
    output: Output = Output()
    tool_results: ToolResults = ToolResults()
    response_cache: ResponseCache = ResponseCache()
    prefix_cache: PrefixCache = PrefixCache()
    stable_prefix: StablePrefix = StablePrefix()
    loops: Loops = Loops()
    routing: AgentRouting = AgentRouting()

    @property
    def bounds_history(self) -> bool:
        """Whether it says how long a history may become, or how much of it stays."""
        sizes = (self.history_tokens, self.history_limit, self.history.recent_tokens)
        return any(size is not None for size in sizes)

    @model_validator(mode="after")
    def _check_history(self) -> "AgentSection":
        tokens, limit, recent = self.history_tokens, self.history_limit, self.history.recent_tokens
        if tokens is not None and limit is not None and limit < tokens:
            raise PydanticCustomError(
                "history", "history_limit must not be less than history_tokens, which begins before it"
            )
        bound = limit if limit is not None else tokens
        if recent is not None and bound is not None and recent >= bound:
            raise PydanticCustomError("history", "history.recent_tokens must leave something to rewrite")
        return self

    def policy(self) -> AgentPolicy:
        """Return it as the techniques read it."""
        return AgentPolicy(
            prefix_cache=self.prefix_cache.enabled is not False,
            tool_results=_tool_results(self.tool_results),
            history=HistoryOptions(
                **_said(tokens=self.history_tokens, limit=self.history_limit, **self.history.model_dump())
            ),
            output=_output(self),
            response_cache=_response_cache(self.response_cache),
            stable_prefix=StablePrefixPolicy(**self.stable_prefix.model_dump(exclude_none=True)),
            loops=LoopOptions(
                **_said(
                    mode=self.loops.mode,
                    repeats=self.loops.repeats,
                    waiting=_set(self.loops.waiting),
                    notify=self.loops.notify,
                )
            ),
            routing=self.routing.options(),
        )


def _said(**values: Any) -> dict[str, Any]:
    """Keep the values that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _set(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _limits(tokens: int | None, rows: int | None, field_chars: int | None) -> Limits:
    return Limits(**_said(tokens_max=tokens, rows_max=rows, field_chars_max=field_chars))


def _tool_results(section: ToolResults) -> ToolResultPolicy:
    limits = _limits(section.max_tokens, section.max_rows, section.max_field_chars)
    by_tool: dict[str, Limits | None] = {}
    for name, tool in section.tools.items():
        # A tool's own limits ask for the loss; a table that says nothing asks for nothing.
        lossy = section.mode == "truncate" or bool(tool.model_dump(exclude_none=True))
        if tool.mode == "lossless" or not lossy:
            by_tool[name] = None
        else:
            by_tool[name] = _limits(
                tool.max_tokens or section.max_tokens,
                tool.max_rows or section.max_rows,
                tool.max_field_chars or section.max_field_chars,
            )
    said = _said(mode=section.mode, references=section.references)
    return ToolResultPolicy(**said, limits=limits, by_tool=by_tool)


def _output(section: AgentSection) -> OutputPolicy:
    general = _said(
        max_tokens=section.max_output_tokens,
        effort=section.output.effort,
        thinking_tokens=section.output.thinking_tokens,
        stop=section.output.stop,
    )
    by_task: dict[str, OutputLimits] = {}
    for name, task in section.output.tasks.items():
        own = task.model_dump(exclude_none=True)
        if "max_output_tokens" in own:
            own["max_tokens"] = own.pop("max_output_tokens")
        by_task[name] = OutputLimits(**{**general, **own})
    return OutputPolicy(OutputLimits(**general), by_task)


def _response_cache(section: ResponseCache) -> ResponseCacheOptions:
    said = section.model_dump(exclude_none=True)
    for name in ("tasks", "safe_tools"):
        if name in said:
            said[name] = frozenset(said[name])
    return ResponseCacheOptions(**said)


class Layer(Section):
    """A table that counts for somebody, and where it stands in the file.

    Attributes:
        place: Its path in the file; empty for the file's top.
        section: What it says.
    """

    place: str
    section: AgentSection


class Layers:
    """All tables that say what is on, and who each is for.

    Args:
        everybody: What counts for all, the weaker first.
        tenants: `[tenants]`.
        agents: `[agents]`; a name with a slash is a tenant's agent.
    """

    def __init__(
        self,
        everybody: Sequence[Layer],
        tenants: Mapping[str, AgentSection],
        agents: Mapping[str, AgentSection],
    ) -> None:
        self._everybody = everybody
        self._tenants = tenants
        self._agents = agents

    def named(self) -> Iterator[tuple[str | None, str | None]]:
        """Yield every tenant and agent that has a table of its own, after everybody; None stands for any."""
        yield None, None
        yield from ((tenant, None) for tenant in self._tenants)
        for name in self._agents:
            first, slash, rest = name.partition("/")
            yield (first, rest) if slash else (None, name)

    def pairs(self) -> Iterator[tuple[str | None, str | None]]:
        """Yield every tenant and agent for whom tables count together in a way of their own."""
        agents = [name for name in self._agents if "/" not in name]
        yield from dict.fromkeys((*self.named(), *product(self._tenants, agents)))

    def of(self, tenant: str | None, agent: str | None) -> list[Layer]:
        """Return the tables that count for a tenant's agent, those that go before others last."""
        layers = list(self._everybody)
        if tenant is not None and tenant in self._tenants:
            layers.append(Layer(place=f"tenants.{quoted(tenant)}", section=self._tenants[tenant]))
        if agent is None:
            return layers
        own = [agent] if "/" not in agent else []
        own += [f"{tenant}/{agent}"] if tenant is not None else []
        layers += [
            Layer(place=f"agents.{quoted(name)}", section=self._agents[name])
            for name in own
            if name in self._agents
        ]
        return layers

    def tiers(self) -> Iterator[tuple[str, str]]:
        """Yield where tiers are named, and which."""
        for layer in (layer for pair in self.named() for layer in self.of(*pair)):
            routing, place = layer.section.routing, f"{layer.place}.routing" if layer.place else "routing"
            yield from ((f"{place}.thresholds.{quoted(name)}", name) for name in routing.thresholds)
            if routing.tier is not None:
                yield f"{place}.tier", routing.tier

    def merged(self, tenant: str | None, agent: str | None) -> AgentSection:
        """Return what counts for a tenant's agent, as one table.

        Raises:
            ValidationError: Keys of different tables contradict each other.
        """
        merged: dict[str, Any] = {}
        for layer in self.of(tenant, agent):
            _merge(merged, layer.section.model_dump(exclude_none=True, exclude_defaults=True))
        return AgentSection.model_validate(merged)

    def book(self) -> PolicyBook:
        """Return the policies of all agents."""
        policies = {pair: self.merged(*pair).policy() for pair in self.pairs()}
        return PolicyBook(
            default=policies[None, None],
            by_tenant={t: p for (t, a), p in policies.items() if t is not None and a is None},
            by_agent={a: p for (t, a), p in policies.items() if t is None and a is not None},
            by_both={(t, a): p for (t, a), p in policies.items() if t is not None and a is not None},
        )


def quoted(name: str) -> str:
    """Write a name as a key of a TOML file."""
    return json.dumps(name, ensure_ascii=False)


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        below = into.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        else:
            into[key] = value
