"""The Chat Completions API's usage, in disjoint token classes.

OpenAI counts inclusively: cached tokens and cache writes are in `prompt_tokens`, reasoning and rejected
predictions are in `completion_tokens`. Source: openai SDK 3.54 types `CompletionUsage`, checked
2026-11-24.
"""

import msgspec

from bursar.domain.prices import Terms
from bursar.domain.usage import Usage
from bursar.errors import BadUsage
from bursar.wire import raw_json as raw

# The response says priority, whichever of the two names the request used; the others are standard.
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority", "batch": "batch"}


class _PromptDetails(msgspec.Struct):
    cached_tokens: raw.Count | None = None
    cache_write_tokens: raw.Count | None = None
    audio_tokens: raw.Count | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: raw.Count | None = None
    audio_tokens: raw.Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: raw.Count
    completion_tokens: raw.Count
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


_USAGE = msgspec.json.Decoder(_Usage)

_NO_PROMPT_DETAILS, _NO_COMPLETION_DETAILS = _PromptDetails(), _CompletionDetails()


def read_usage(usage: raw.Slice, *, writes_last_12h: bool) -> Usage:
    """Read a raw usage object into disjoint classes.

    Audio has prices of its own that no class holds, so it is named in `other`.

    Args:
        usage: The object; empty or null for none.
        writes_last_12h: Whether cache writes are for 12 hours (else 30 minutes), which only the request
            tells.

    Raises:
        BadUsage: It is absent, of wrong types, or contradicts itself.
    """
    if raw.is_null(usage):
        raise BadUsage("the answer has no usage")
    try:
        fields = _USAGE.decode(usage)
    except raw.REFUSALS as error:
        raise BadUsage(f"the answer's usage cannot be read: {error}") from None
    prompt = fields.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = fields.completion_tokens_details or _NO_COMPLETION_DETAILS
    cached, written = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
    reasoning = completion.reasoning_tokens or 0
    if cached + written > fields.prompt_tokens:
        raise BadUsage(
            f"usage has {cached} cached and {written} written of {fields.prompt_tokens} prompt tokens"
        )
    if reasoning > fields.completion_tokens:
        raise BadUsage(f"usage has {reasoning} reasoning of {fields.completion_tokens} completion tokens")
    other: tuple[str, ...] = ()
    if prompt.audio_tokens:
        other += ("audio_input_tokens",)
    if completion.audio_tokens:
        other += ("audio_output_tokens",)
    return Usage(
        input=fields.prompt_tokens - cached - written,
        cache_read=cached,
        cache_write_30m=0 if writes_last_12h else written,
        cache_write_12h=written if writes_last_12h else 0,
        output=fields.completion_tokens - reasoning,
        reasoning=reasoning,
        other=other,
    )


def read_terms(service_tier: str | None) -> Terms | None:
    """Read what a request asks for, or an answer was billed under; None where it does not say."""
    if not service_tier:
        return None
    return Terms(tier=_TIERS.get(service_tier, "standard"))
