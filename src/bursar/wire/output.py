"""Limits on what a model writes, as each dialect states them: length, effort, thinking, stop sequences.

Nothing is ever raised: a limit that the client set lower stays, and what it did not switch on stays off.
Nothing is asked of a model that it would refuse: effort is limited to a level that it has, and what it does
not take is not added.

Sources: the types of the anthropic SDK 2.12 and of the openai SDK 3.54, checked 2026-11-24.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bursar.domain.windows import Window
from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Request

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Levels of effort, rising."""

# Of a model that nobody knows, all that its API has.
_ANTHROPIC_EFFORTS = EFFORTS[EFFORTS.index("low") :]

THINKING_TOKENS_MIN = 1_024
"""The least thinking budget that Anthropic takes, and what is left for the answer beside one."""

# OpenAI takes no more; Anthropic states no limit.
_OPENAI_STOPS_MAX = 4

_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str])


class OutputLimits(msgspec.Struct, frozen=True):
    """What an operator allows a model to write.

    Attributes:
        max_tokens: Tokens of an answer, thinking included; None for what the client asks.
        effort: The most effort, one of `EFFORTS`; None for what the client asks. Where it is less than all
            that the model has, the model's least. What a client leaves to its provider is limited by that
            one only: of any other nobody says whether it would not be more than the model's own.
        thinking_tokens: The largest thinking budget, at least `THINKING_TOKENS_MIN`; None likewise.
        stop: Further stop sequences.
    """

    max_tokens: int | None = None
    effort: str | None = None
    thinking_tokens: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return (
            self.max_tokens is None and self.effort is None and self.thinking_tokens is None and not self.stop
        )


_NONE = OutputLimits()


def limit_output(request: Request, limits: OutputLimits, window: Window | None = None) -> Mapping[str, bytes]:
    """Return the top-level fields of a request that its limits change, as raw JSON; empty for none.

    Args:
        request: The request.
        limits: What its model may write.
        window: What the model takes; None where it is unknown.
    """
    return _LIMITERS[request.dialect](request, limits, window or _UNKNOWN)


_UNKNOWN = Window("", "", 0, 0)


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int = 0


_THINKING = msgspec.json.Decoder(_Thinking)


def _limit_anthropic(request: Request, limits: OutputLimits, window: Window) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    stated = request.fields.get("thinking", raw.NULL)
    thinking = None if stated == raw.NULL else raw.attempt(_THINKING, stated)
    budget_tokens = thinking.budget_tokens if thinking is not None and thinking.type == "enabled" else 0
    if limits.thinking_tokens is not None:
        allowed_tokens = max(limits.thinking_tokens, THINKING_TOKENS_MIN)
        if budget_tokens > allowed_tokens:
            budget_tokens = allowed_tokens
            fields["thinking"] = raw.set_member(stated, "budget_tokens", raw.encode(allowed_tokens))
    if limits.max_tokens is not None and request.max_tokens is not None:
        # A thinking budget must leave room for an answer.
        least = budget_tokens + THINKING_TOKENS_MIN if budget_tokens else 1
        max_tokens = max(limits.max_tokens, least)
        if max_tokens < request.max_tokens:
            fields["max_tokens"] = raw.encode(max_tokens)
    if limits.effort is not None:
        config = request.fields.get("output_config", raw.NULL)
        config = b"{}" if config == raw.NULL else config
        if raw.is_object(config):
            members = raw.read_object(config, "output_config")
            effort = _lower_effort(members.get("effort"), limits.effort, window, _ANTHROPIC_EFFORTS)
            if effort is not None:
                fields["output_config"] = raw.set_member(config, "effort", raw.encode(effort))
    if window.stops:
        _add_stops(request, "stop_sequences", limits.stop, None, fields)
    return fields


def _limit_openai(request: Request, limits: OutputLimits, window: Window) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    if limits.max_tokens is not None and (
        request.max_tokens is None or request.max_tokens > limits.max_tokens
    ):
        # The older name is refused by models that reason; the newer one is taken by all.
        older = not raw.is_null(request.fields.get("max_tokens"))
        fields["max_tokens" if older else "max_completion_tokens"] = raw.encode(limits.max_tokens)
    if limits.effort is not None:
        effort = _lower_effort(request.fields.get("reasoning_effort"), limits.effort, window, EFFORTS)
        if effort is not None:
            fields["reasoning_effort"] = raw.encode(effort)
    if window.stops:
        _add_stops(request, "stop", limits.stop, _OPENAI_STOPS_MAX, fields)
    return fields


def _lower_effort(stated: raw.Slice | None, most: str, window: Window, efforts: Sequence[str]) -> str | None:
    """Return the effort to ask for in place of what a client states or leaves unsaid; None to keep that.

    Args:
        stated: What the client states.
        most: The most that is allowed.
        window: What the model takes.
        efforts: What its API takes, where nobody knows what the model does.
    """
    levels = efforts if window.efforts is None else window.efforts
    if not levels:
        return None
    allowed = [level for level in levels if _rank(level) <= _rank(most)]
    effort = allowed[-1] if allowed else levels[0]
    if stated is None or raw.is_null(stated):
        return levels[0] if window.efforts is not None and effort == levels[0] else None
    level = raw.attempt(_TEXT, stated)
    # A level that we do not know is the provider's to judge.
    return effort if level in EFFORTS and _rank(level) > _rank(effort) else None


def _rank(effort: str) -> int:
    return EFFORTS.index(effort)


def _add_stops(
    request: Request, name: str, more: Sequence[str], most: int | None, fields: dict[str, bytes]
) -> None:
    if not more:
        return
    stated = request.fields.get(name, raw.NULL)
    one = raw.attempt(_TEXT, stated)
    known = [one] if one is not None else [] if stated == raw.NULL else raw.attempt(_TEXTS, stated)
    if known is None:
        return
    stops = list(dict.fromkeys([*known, *more]))[:most]
    if stops[: len(known)] == known and len(stops) > len(known):
        fields[name] = raw.encode(stops)


_LIMITERS: dict[str, Callable[[Request, OutputLimits, Window], dict[str, bytes]]] = {
    anthropic.NAME: _limit_anthropic,
    openai_chat.NAME: _limit_openai,
}
