"""What to do about a miss: one sentence or two for a person who owns the agent."""

from bursar.replay.diagnosis.reasons import Reason
from bursar.view.text_differences import Cause

_BY_REASON = {
    Reason.MODEL_CHANGED: "Keep to one model within a conversation: another one reads nothing of its cache. "
    "Route at its start, or per subtask.",
    Reason.CACHE_KEY_CHANGED: "Send the same prompt_cache_key with prompts that begin alike: "
    "a key per agent, not per call.",
    Reason.EXPIRED: "Ask again sooner, or let the entry live longer.",
    Reason.BELOW_MINIMUM: "Put more of what never changes in front, examples say, until the prefix reaches "
    "the model's minimum, or use a model with a lower one.",
    Reason.CONCURRENT: "Let one call begin to answer before the others that begin alike are sent.",
    Reason.UNMARKED: "Mark the last system block and the last message for the cache "
    '(mode = "optimise" does it).',
    Reason.WRITE_WITHOUT_READ: "Take the cache marks off calls that nobody follows up "
    '(mode = "optimise" marks only what pays).',
    Reason.UNAVAILABLE: "Run bursar doctor on a traffic log: it names the text that changes.",
}

_TOOLS = {
    Cause.ORDER: "Sort the tools by name, so that every call lists them in one order "
    "(stable_prefix.order = true does it).",
    Cause.KEYS: "Write each tool's keys in one order, sorted say (stable_prefix.order = true does it).",
    Cause.SET: "Send the same tools with every call of the agent; limit their use by tool_choice instead.",
}

_MOVES = " (stable_prefix.volatile = true moves whole lines that vary)."

_SYSTEM = {
    Cause.CLOCK: "Static first, dynamic context last: move the time into the last user message, or give the "
    f"date only{_MOVES}",
    Cause.IDENTIFIER: "Static first, dynamic context last: move the id into the last user message, or drop "
    f"it{_MOVES}",
    Cause.ORDER: "Send the system blocks in one order.",
    Cause.SET: "Send the same system blocks with every call; what only some calls need belongs behind them.",
}

_BY_CAUSE = {
    Cause.CLOCK: "Static first, dynamic context last: move the time into the last user message, "
    "or give the date only.",
    Cause.IDENTIFIER: "Static first, dynamic context last: move the id into the last user message, "
    "or drop it.",
    Cause.TEXT: "Static first, dynamic context last: move what varies behind everything that does not.",
    Cause.TAIL: "Split the text where it begins to vary: one block for what is always the same, with a cache "
    'mark, and one for the rest (mode = "optimise" does it where that pays; stable_prefix.split is its key).',
    Cause.ORDER: "Send what is the same in one order.",
    Cause.KEYS: "Write JSON with its keys in one order, sorted say.",
    Cause.SET: "Send the same blocks with every call.",
    Cause.SETTING: "Keep this setting the same within a conversation: the cache is kept apart by it.",
    Cause.CUT: "Cut the history rarely and in large steps, not with every call.",
    Cause.INSERTED: "Append to the history; what is put into it moves everything behind.",
}


def mend(reason: Reason, cause: Cause | None) -> str:
    """Return what to do about a reason and its cause."""
    if reason in _BY_REASON or cause is None:
        return _BY_REASON.get(reason, _BY_REASON[Reason.UNAVAILABLE])
    if reason is Reason.TOOLS_CHANGED and cause in _TOOLS:
        return _TOOLS[cause]
    if reason is Reason.SYSTEM_CHANGED and cause in _SYSTEM:
        return _SYSTEM[cause]
    return _BY_CAUSE[cause]
