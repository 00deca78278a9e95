"""What an answer gives its client: text, tool calls, and why it ended; whatever the dialect.

Nothing is ever raised. What is no answer, or is not in a form that we know, gives None, and so is not judged.
"""

from collections.abc import Callable, Mapping

from bursar.wire import anthropic, given_anthropic, given_openai, openai_chat
from bursar.wire.given_values import Ending, Given, Said, ToolUse

__all__ = ["Ending", "Given", "Said", "ToolUse", "read_given", "read_given_stream"]

_Reader = Callable[[bytes], Given | None]

_READERS: Mapping[str, _Reader] = {
    anthropic.NAME: given_anthropic.read_given,
    openai_chat.NAME: given_openai.read_given,
}
_STREAM_READERS: Mapping[str, _Reader] = {
    anthropic.NAME: given_anthropic.read_given_stream,
    openai_chat.NAME: given_openai.read_given_stream,
}


def read_given(dialect: str, body: bytes) -> Given | None:
    """Read a whole answer; None where it is none, or one that we do not understand.

    Args:
        dialect: The dialect's name.
        body: Its JSON.
    """
    reader = _READERS.get(dialect)
    return None if reader is None else reader(body)


def read_given_stream(dialect: str, stream: bytes) -> Given | None:
    """Read a stream; None where it has not ended well, or we do not understand it.

    Tool calls whose arguments are no JSON are read too, other than by `replaying.as_whole`.

    Args:
        dialect: The dialect's name.
        stream: All of its events.
    """
    reader = _STREAM_READERS.get(dialect)
    return None if reader is None else reader(stream)
