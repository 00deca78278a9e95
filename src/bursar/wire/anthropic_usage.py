"""The Messages API's usage, in disjoint token classes.

Anthropic's `input_tokens` is the uncached remainder, so that the prompt is the sum of three fields;
`output_tokens` includes thinking. Sources: anthropic SDK 2.12 types `Usage`, `MessageDeltaUsage`,
`BetaUsage` (iterations), checked 2026-11-24.
"""

import msgspec

from bursar.domain.prices import STANDARD, Terms
from bursar.domain.usage import Usage
from bursar.errors import BadRequest, BadUsage
from bursar.wire import raw_json as raw

# Top-level usage holds the tokens of these iterations already.
_COUNTED_ITERATIONS = frozenset({"message", "fallback_message"})


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: raw.Count | None = None
    ephemeral_1h_input_tokens: raw.Count | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: raw.Count | None = None


class _Tokens(msgspec.Struct):
    """Tokens of one usage object or iteration, as the provider writes them."""

    input_tokens: raw.Count
    output_tokens: raw.Count
    cache_read_input_tokens: raw.Count | None = None
    cache_creation_input_tokens: raw.Count | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


class _Iteration(msgspec.Struct):
    type: str = ""


class _Usage(_Tokens):
    server_tool_use: dict[str, raw.Count | None] | None = None
    iterations: list[msgspec.Raw] | None = None


class Reported(_Usage):
    """A usage object with the terms that it names, all of it of the right types."""

    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


class _Terms(msgspec.Struct):
    """The terms alone, for where the rest may be anything."""

    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


_USAGE = msgspec.json.Decoder(_Usage)
_TOKENS = msgspec.json.Decoder(_Tokens)
_ITERATION = msgspec.json.Decoder(_Iteration)
_TERMS = msgspec.json.Decoder(_Terms)


def read_usage(usage: raw.Slice) -> Usage:
    """Read a raw usage object into disjoint classes; see `token_classes`.

    Raises:
        BadUsage: It is absent, of wrong types, or contradicts itself.
    """
    if raw.is_null(usage):
        raise BadUsage("the answer has no usage")
    try:
        fields = _USAGE.decode(usage)
    except raw.REFUSALS as error:
        raise _unreadable(error) from None
    return token_classes(fields)


def token_classes(fields: _Usage) -> Usage:
    """Return usage in disjoint classes.

    A compaction's tokens appear only in `iterations` and are added. Iterations of another model (an
    advisor) and unknown ones are named in `other`, since they are billed beyond what the classes hold.

    Raises:
        BadUsage: It contradicts itself, or iterations are of wrong types.
    """
    part = _part(fields)
    if not fields.iterations and not fields.server_tool_use:
        return part
    parts, other = [part], list[str]()
    try:
        for iteration in fields.iterations or ():
            kind = _ITERATION.decode(iteration).type
            if kind == "compaction":
                parts.append(_part(_TOKENS.decode(iteration)))
            elif kind not in _COUNTED_ITERATIONS:
                other.append(f"iteration:{kind[:40]}")
    except raw.REFUSALS as error:
        raise _unreadable(error) from None
    tools = {name: requests for name, requests in (fields.server_tool_use or {}).items() if requests}
    web_search, web_fetch = tools.pop("web_search_requests", 0), tools.pop("web_fetch_requests", 0)
    return Usage(
        input=sum(part.input for part in parts),
        cache_read=sum(part.cache_read for part in parts),
        cache_write_5m=sum(part.cache_write_5m for part in parts),
        cache_write_1h=sum(part.cache_write_1h for part in parts),
        output=sum(part.output for part in parts),
        reasoning=sum(part.reasoning for part in parts),
        web_search=web_search,
        web_fetch=web_fetch,
        other=(*other, *(name[:60] for name in tools)),
    )


def _unreadable(error: Exception) -> BadUsage:
    return BadUsage(f"the answer's usage cannot be read: {error}")


def read_terms(usage: raw.Slice, asked: Terms | None = None) -> Terms | None:
    """Read what an answer was billed under; None where its usage says nothing about it.

    Args:
        usage: Its raw usage object.
        asked: What the request asked for, which holds for what usage leaves unsaid.
    """
    said = raw.attempt(_TERMS, usage)
    return None if said is None else billed_terms(said, asked)


def billed_terms(said: Reported | _Terms, asked: Terms | None) -> Terms | None:
    """Return what an answer was billed under; see `read_terms`."""
    if said.speed is None and said.service_tier is None and said.inference_geo is None:
        return None
    return Terms(tier=_tier(said, asked), geo=_geo(said, asked))


def _tier(said: Reported | _Terms, asked: Terms | None) -> str:
    if said.speed == "fast":
        return "fast"
    if said.speed is None and said.service_tier in {None, STANDARD} and asked is not None:
        return asked.tier
    return said.service_tier or STANDARD


def _geo(said: Reported | _Terms, asked: Terms | None) -> str:
    if said.inference_geo is None:
        return asked.geo if asked is not None else ""
    # Models from before the setting report that there is none.
    return "" if said.inference_geo == "not_available" else said.inference_geo


def merge_usage(start: raw.Slice, delta: raw.Slice) -> raw.Slice:
    """Lay a stream's cumulative `message_delta` usage over that of `message_start`."""
    if raw.is_null(delta) or not raw.is_object(delta):
        return start
    if not raw.is_object(start):
        return delta
    try:
        later = {name: value for name, value in raw.read_object(delta, "").items() if not raw.is_null(value)}
        return raw.join_object({**raw.read_object(start, ""), **later})
    except BadRequest:
        return delta


def _part(tokens: _Tokens) -> Usage:
    reasoning = (tokens.output_tokens_details and tokens.output_tokens_details.thinking_tokens) or 0
    if reasoning > tokens.output_tokens:
        raise BadUsage(f"usage has {reasoning} thinking tokens in {tokens.output_tokens} output tokens")
    write_5m, write_1h = _cache_writes(tokens)
    return Usage(
        input=tokens.input_tokens,
        cache_read=tokens.cache_read_input_tokens or 0,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output=tokens.output_tokens - reasoning,
        reasoning=reasoning,
    )


def _cache_writes(tokens: _Tokens) -> tuple[int, int]:
    """Return 5-minute and 1-hour writes.

    What the total holds beyond the breakdown (a stream's later total comes without one) was written as
    the rest was: for an hour where everything broken down was, else for 5 minutes.
    """
    breakdown = tokens.cache_creation
    write_5m = (breakdown and breakdown.ephemeral_5m_input_tokens) or 0
    write_1h = (breakdown and breakdown.ephemeral_1h_input_tokens) or 0
    total = tokens.cache_creation_input_tokens
    if total is None:
        return write_5m, write_1h
    rest = total - write_5m - write_1h
    if rest < 0:
        raise BadUsage(f"usage breaks {total} cache-creation tokens down into {write_5m} + {write_1h}")
    if write_1h and not write_5m:
        return 0, write_1h + rest
    return write_5m + rest, write_1h
