"""What has arrived of an answer: enough to recognise it again, and to estimate what it cost."""

import msgspec

from bursar.wire.drafts import echo_digest


class Received(msgspec.Struct, gc=False):
    """The content of an answer, in the order of its arrival.

    Attributes:
        texts: Its text, in any division.
        call_ids: Ids of its tool calls.
        unspoken: What was generated beside the text: tool names and arguments, thinking.
    """

    texts: list[str] = []
    call_ids: list[str] = []
    unspoken: list[str] = []

    def echo(self) -> bytes:
        """Name it as `Piece.echo` names the message that repeats it."""
        return echo_digest(self.texts, self.call_ids)

    def generated(self) -> str:
        """All that the model is known to have generated."""
        return "".join(self.unspoken) + "".join(self.texts)
