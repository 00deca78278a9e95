"""Old tool results, each replaced by a line that says what was there."""

from collections.abc import Callable, Container, Sequence

from bursar.domain.prompt import BlockKind
from bursar.wire.condensing.exchanges import tool_names
from bursar.wire.condensing.spoken import Form, Part
from bursar.wire.condensing.wording import is_placeholder, placeholder

# What a placeholder must spare to be worth one: about twenty tokens.
_SPARED_CHARS_MIN = 80

Handle = Callable[[str], str | None]
"""Given a result's text, says how to get the full result, or None where it cannot be had."""


def mask_results(
    form: Form,
    messages: Sequence[bytes],
    span: range,
    *,
    kept: Container[int] = (),
    handle: Handle = lambda _: None,
) -> list[bytes]:
    """Replace the content of tool results; ids, error flags and everything else keep their bytes.

    Masking twice is masking once. A result that is hardly longer than its placeholder stays, and so does
    one that holds what no placeholder can stand for, such as a reference that loads a tool.

    Args:
        form: How the dialect writes messages.
        messages: A conversation's messages, at least up to the end of the span.
        span: The messages whose results are masked.
        kept: Of them, those that stay as they are.
        handle: Says how to get a full result.
    """
    masked = list(messages)
    spoken = [form.read(message) for message in messages[: span.stop]]
    names: dict[str, str] = {}
    for number, message in enumerate(spoken):
        names.update(tool_names((message,)))
        if number not in span or number in kept:
            continue
        placeholders = {
            index: text
            for index, part in enumerate(message.parts)
            if part.kind is BlockKind.TOOL_RESULT and (text := _placeholder(part, names, handle)) is not None
        }
        if placeholders:
            masked[number] = form.mask(messages[number], placeholders)
    return masked


def _placeholder(part: Part, names: dict[str, str], handle: Handle) -> str | None:
    """Return what a result is replaced by, or None where it stays."""
    if not part.maskable or is_placeholder(part.text):
        return None
    text = placeholder(names.get(part.call_id, ""), len(part.text), part.media, handle(part.text))
    if part.media or len(part.text) >= len(text) + _SPARED_CHARS_MIN:
        return text
    return None
