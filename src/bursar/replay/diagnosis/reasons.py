"""Why a cache missed, in the providers' words where they have one.

Source: the reasons of Anthropic's cache diagnostics (`model_changed`, `system_changed`, `tools_changed`,
`messages_changed`, `unavailable`), platform.claude.com, checked 2026-11-23; the others are ours.
"""

from enum import StrEnum

from bursar.domain.prompt import Section


class Reason(StrEnum):
    """Why tokens that an earlier call had sent were not read from the cache, or why a write was in vain."""

    MODEL_CHANGED = "model_changed"
    TOOLS_CHANGED = "tools_changed"
    SYSTEM_CHANGED = "system_changed"
    MESSAGES_CHANGED = "messages_changed"
    CACHE_KEY_CHANGED = "cache_key_changed"  # OpenAI's `prompt_cache_key`, by which requests are routed.
    EXPIRED = "expired"  # The earlier call was longer ago than its entry lives.
    BELOW_MINIMUM = "below_minimum"  # Alike, but shorter than the model's cache takes.
    CONCURRENT = "concurrent"  # The earlier call's answer had not begun, so nothing could be read yet.
    UNMARKED = "unmarked"  # Alike, but no cache mark stood where the two are.
    WRITE_WITHOUT_READ = "write_without_read"  # Written at a higher price, and never needed again.
    UNAVAILABLE = "unavailable"  # Something changed, or the provider dropped it; the content would tell.


SECTION_REASONS = {
    Section.TOOLS: Reason.TOOLS_CHANGED,
    Section.SYSTEM: Reason.SYSTEM_CHANGED,
    Section.MESSAGES: Reason.MESSAGES_CHANGED,
}
"""The reason of a prompt whose first difference is in a section."""
