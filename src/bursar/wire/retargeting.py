"""A request for another model of its dialect than the one that it was written for.

Only what the other model would refuse is changed, and only where that loses nothing that was asked for: an
output limit beyond its longest answer, a level of effort that it does not have. Where a request asks for
something that the other model is known not to have, it cannot go there.

Sources: the types of the anthropic SDK 2.12 and of the openai SDK 3.54, and the documents that
data/model_limits.toml names, checked 2026-11-24.
"""

from collections.abc import Mapping, Sequence

from bursar.domain.prompt import BlockKind, Role
from bursar.domain.windows import Window
from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Request
from bursar.wire.output import EFFORTS
from bursar.wire.splicing import splice_elements

# What OpenAI's models that always reason refuse.
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "logit_bias")


def retarget_fields(request: Request, model: str, window: Window | None) -> Mapping[str, bytes] | None:
    """Return the top-level fields that change for another model; None where it cannot serve the request.

    Args:
        request: The request.
        model: The other model.
        window: What it takes; None where nobody knows, and its provider is left to judge.
    """
    fields = {"model": raw.encode(model)}
    if window is None:
        return fields
    stops = {anthropic.NAME: "stop_sequences", openai_chat.NAME: "stop"}[request.dialect]
    if not window.stops and not raw.is_null(request.fields.get(stops)):
        return None
    more = _FITTERS[request.dialect](request, window)
    return None if more is None else {**fields, **more}


def _fit_anthropic(request: Request, window: Window) -> dict[str, bytes] | None:
    fields: dict[str, bytes] = {}
    thinking = request.fields.get("thinking", raw.NULL)
    kind = raw.optional_text(raw.read_object(thinking, ""), "type") if raw.is_object(thinking) else ""
    if kind == "adaptive" and window.efforts == ():
        # How much a model thinks by itself and how much effort it takes are one and the same there.
        return None
    if request.max_tokens is not None and request.max_tokens > window.output_tokens_max:
        if kind == "enabled":
            # A thinking budget may reach up to the limit.
            return None
        fields["max_tokens"] = raw.encode(window.output_tokens_max)
    config = request.fields.get("output_config", raw.NULL)
    if raw.is_object(config):
        effort = raw.read_object(config, "").get("effort")
        other = _fit_effort(effort, window.efforts)
        if other is not None:
            fields["output_config"] = raw.set_member(config, "effort", other or None)
    return fields


def _fit_openai(request: Request, window: Window) -> dict[str, bytes] | None:
    stated = request.fields
    if window.reasons and any(not raw.is_null(stated.get(name)) for name in _SAMPLING):
        return None
    fields: dict[str, bytes] = {}
    limit = request.max_tokens
    if limit is not None:
        limit = min(limit, window.output_tokens_max)
        older = not raw.is_null(stated.get("max_tokens"))
        if older and window.reasons:
            fields |= {"max_tokens": raw.NULL, "max_completion_tokens": raw.encode(limit)}
        elif limit < (request.max_tokens or 0):
            fields["max_tokens" if older else "max_completion_tokens"] = raw.encode(limit)
    other = _fit_effort(stated.get("reasoning_effort"), window.efforts)
    if other is not None:
        fields["reasoning_effort"] = other or raw.NULL
    return fields


_FITTERS = {anthropic.NAME: _fit_anthropic, openai_chat.NAME: _fit_openai}


def _fit_effort(stated: raw.Slice | None, levels: Sequence[str] | None) -> bytes | None:
    """Return the effort to ask for in place of a stated one; empty for none at all, None to keep it."""
    if stated is None or raw.is_null(stated) or levels is None or not raw.is_text(stated):
        return None
    level = raw.read_text(stated, "effort")
    if level in levels or level not in EFFORTS:
        return None
    if not levels:
        return b""
    rank = EFFORTS.index(level)
    # The nearest one that is no less; the most that there is where all are.
    return raw.encode(next((each for each in levels if EFFORTS.index(each) >= rank), levels[-1]))


def without_thinking(request: Request, before: int) -> bytes | None:
    """Return a request's messages without the thinking blocks of its first messages, as raw JSON.

    Some models' thinking is bound to them, and another model refuses it.

    Args:
        request: The request.
        before: So many of its messages were written for another model.

    Returns:
        The messages; the same where they hold none. None where thinking cannot be left out: within a run of
        tool calls, whose first answer must show it, and where a message would be left with nothing.
    """
    messages, pieces = request.fields["messages"], request.prompt.messages
    thoughtful = [
        number
        for number, piece in enumerate(pieces[:before])
        if piece.role is Role.ASSISTANT and any(b.kind is BlockKind.THINKING for b in piece.blocks)
    ]
    if not thoughtful:
        return messages
    if thoughtful[-1] >= _run_start(request) or any(
        all(b.kind is BlockKind.THINKING for b in pieces[number].blocks) for number in thoughtful
    ):
        return None
    kinds = {number: [block.kind for block in pieces[number].blocks] for number in thoughtful}

    def drop(number: int, message: bytes) -> bytes:
        blocks = raw.read_array(raw.read_object(message, "")["content"], "")
        kept = [
            block for kind, block in zip(kinds[number], blocks, strict=True) if kind is not BlockKind.THINKING
        ]
        return raw.set_member(message, "content", raw.join_array(kept))

    return splice_elements(messages, request.piece_ends["messages"], thoughtful, drop)


def _run_start(request: Request) -> int:
    """Return where a run of tool calls begins that the last message goes on with; beyond all for none."""
    pieces = request.prompt.messages
    if not pieces or all(block.kind is not BlockKind.TOOL_RESULT for block in pieces[-1].blocks):
        return len(pieces)
    start = len(pieces) - 1
    while start > 0:
        piece = pieces[start - 1]
        if piece.role is Role.USER and all(b.kind is not BlockKind.TOOL_RESULT for b in piece.blocks):
            break
        start -= 1
    return start
