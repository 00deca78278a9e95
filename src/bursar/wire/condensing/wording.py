"""What a model gets to read in place of what was left out.

A change here changes the bytes of conversations that were condensed before, which costs each of them one
cold prompt.
"""

import re

_NAME_CHARS_MAX = 64

_PLACEHOLDER = re.compile(r"\[… result of [^\n]* no longer shown: [^\n]*\]")

BRIDGE = "[Messages left out]"
"""Stands between two messages of the assistant that had others between them."""


def placeholder(tool: str, chars: int, media: int, handle: str | None) -> str:
    """Say that a tool's result is not shown.

    Args:
        tool: The tool's name; empty where unknown.
        chars: Characters of the result's text.
        media: Images and files in it.
        handle: How to get the full result; None where there is no way.
    """
    name = one_line(tool)
    size = count(chars, "character") + (
        f", {count(media, 'image or file', 'images or files')}" if media else ""
    )
    where = f"; full result: {one_line(handle, None)}" if handle is not None else ""
    return f"[… result of {name or 'a tool'} no longer shown: {size}{where}]"


def is_placeholder(text: str) -> bool:
    """Whether a tool result is what `placeholder` said of one."""
    return _PLACEHOLDER.fullmatch(text) is not None


def summary_message(summary: str, messages: int) -> str:
    """Wrap a summary of messages so that it is understood as one; an empty one only says they are missing."""
    left_out = count(messages, "earlier message")
    if not summary.strip():
        return f"[… {left_out} of this conversation left out here]"
    return (
        f"[Summary of {left_out} of this conversation, in place of the messages themselves]\n"
        f"{summary.strip()}\n"
        "[End of the summary. The conversation goes on from here.]"
    )


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number of things."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def one_line(text: str, chars_max: int | None = _NAME_CHARS_MAX) -> str:
    """Return a client's own word as one line of what can be printed."""
    line = " ".join("".join([sign if sign.isprintable() else " " for sign in text]).split())
    return line[:chars_max]
