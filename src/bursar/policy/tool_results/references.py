"""A result that came before: a line that points at it, instead of the same again."""

from collections.abc import Mapping

import msgspec

# What a reference must spare to be worth a look back: about ten tokens.
_SAVED_CHARS_MIN = 40


class Earlier(msgspec.Struct, frozen=True):
    """A result that stands earlier in the conversation, in full.

    Attributes:
        tool: Name of the tool.
        ordinal: Which of the conversation's tool results it is, from 1.
    """

    tool: str
    ordinal: int


def refer(encoded: str, digest: bytes, earlier: Mapping[bytes, Earlier]) -> str | None:
    """Return a reference to an equal result that came before; None where there is none, or it is no shorter.

    Args:
        encoded: The result in its lossless form.
        digest: Of the result.
        earlier: What stands in the conversation in full and stays there, by digest.
    """
    same = earlier.get(digest)
    if same is None:
        return None
    # A name is the client's to choose, but a reference is one line.
    tool = " ".join(same.tool.split())
    reference = f"[the same as tool result {same.ordinal} of this conversation, of {tool}]"
    return reference if len(reference) + _SAVED_CHARS_MIN <= len(encoded) else None
