"""Messages as plain text, for the model that is to summarise them."""

from collections.abc import Iterator, Sequence

from bursar.domain.prompt import BlockKind, Role
from bursar.wire.condensing.exchanges import tool_names
from bursar.wire.condensing.spoken import Form, Part, Spoken
from bursar.wire.condensing.wording import count, one_line

_SPEAKERS = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System", Role.TOOL: "Tool"}

# What is left of a tool's result, and of a tool call's arguments.
_DETAIL_CHARS_MAX = 1_000


def text_for_summary(
    form: Form,
    messages: Sequence[bytes],
    span: range,
    *,
    chars_max: int,
    earlier: str = "",
) -> str:
    """Render messages as plain text: who said what, which tools were called and what they returned.

    Thinking is left out, and so is the middle of long results and arguments. Where the whole is still too
    long, the middle of other long parts goes too, and then what is in the middle of the whole.

    Args:
        form: How the dialect writes messages.
        messages: A conversation's messages, at least up to the end of the span.
        span: The messages to render.
        chars_max: Characters of the whole.
        earlier: A summary of what came before the span; it comes first.
    """
    spoken = [form.read(message) for message in messages[: span.stop]]
    names = tool_names(spoken)
    lines = [f"Summary of what came before: {earlier.strip()}"] if earlier.strip() else []
    for number in span:
        lines += _render(spoken[number], names)
    text = "\n\n".join(lines)
    if len(text) > chars_max:
        longest = max(chars_max // max(len(lines), 1) - 2, 1)
        text = "\n\n".join([shorten(line, max(longest, _DETAIL_CHARS_MAX // 4)) for line in lines])
    return shorten(text, chars_max)


def shorten(text: str, chars_max: int) -> str:
    """Return a text of at most so many characters: its head and its tail, and how much is missing between."""
    if len(text) <= chars_max:
        return text
    notice = f" [… {count(len(text), 'character')} in all …] "
    room = chars_max - len(notice)
    if room <= 0:
        return text[:chars_max]
    tail = room // 4
    return text[: room - tail] + notice + text[len(text) - tail :]


def _render(message: Spoken, names: dict[str, str]) -> Iterator[str]:
    speaker = _SPEAKERS[message.role]
    for part in message.parts:
        line = _render_part(part, speaker, names)
        if line:
            yield line


def _render_part(part: Part, speaker: str, names: dict[str, str]) -> str:
    if part.kind is BlockKind.TOOL_CALL:
        return f"{speaker} called {one_line(part.name)}: {shorten(part.text, _DETAIL_CHARS_MAX)}"
    if part.kind is BlockKind.TOOL_RESULT:
        tool = one_line(names.get(part.call_id, "")) or "a tool"
        media = f" [{count(part.media, 'image or file', 'images or files')}]" if part.media else ""
        return f"Result of {tool}: {shorten(part.text, _DETAIL_CHARS_MAX)}{media}"
    return f"{speaker}: {part.text}" if part.text.strip() else ""
