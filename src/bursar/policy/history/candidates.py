"""The ways in which a prompt's history could be rewritten, and what is left of the prompt each time."""

from bisect import bisect_right
from collections.abc import Collection

import msgspec

from bursar.domain.layout import Layout
from bursar.domain.prompt import BlockKind, Piece, Role

# What our own wording takes, roughly: a placeholder with its handle, what stands around a summary, and a
# notice that messages are missing.
_PLACEHOLDER_TOKENS = 60
_WRAPPER_TOKENS = 40
_NOTICE_TOKENS = 25

# Looked up once: long conversations are gone through at each turn.
_SYSTEM = Role.SYSTEM


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One way of rewriting a prompt.

    Attributes:
        summary_end: Messages before this one are replaced by a summary, or dropped; 0 for none.
        mask_end: Tool results before this one are masked; 0 for none.
        dropped: Whether no summary takes the place of what is replaced.
        tokens: What is left of the prompt.
        unchanged_tokens: Tokens before the first change.
    """

    summary_end: int
    mask_end: int
    dropped: bool
    tokens: int
    unchanged_tokens: int


class Prospect:
    """One prompt, as something to rewrite. Message numbers are those of the layout's prompt.

    Args:
        layout: The prompt, laid out as it would go out.
        kept: Messages that stay verbatim, beside the first one in which a user speaks, and system messages.
        summary_tokens: Tokens of the summary that it holds already; 0 for none.
    """

    def __init__(self, layout: Layout, kept: Collection[int], summary_tokens: int) -> None:
        messages = layout.prompt.messages
        self._layout = layout
        self._summary_tokens = summary_tokens
        self._first = next((n for n, message in enumerate(messages) if _asks(message)), 0)
        self._kept = {*kept, self._first, *[n for n, m in enumerate(messages) if m.role is _SYSTEM]}
        self._kept_blocks = {block for number in self._kept for block in self._blocks(number)}

    @property
    def total_tokens(self) -> int:
        """Tokens of the prompt as it is."""
        return self._layout.total_tokens

    def recent_start(self, recent_tokens: int) -> int:
        """Return the number of the last message with which at least so many tokens begin."""
        most = self.total_tokens - recent_tokens
        return max(bisect_right(range(len(self._layout.message_ends)), most, key=self._before) - 1, 0)

    def last_question(self) -> int:
        """Return the number of the last assistant's message: what follows it, the model has yet to see."""
        messages = self._layout.prompt.messages
        number = len(messages) - 1
        while number > 0 and messages[number].role is not Role.ASSISTANT:
            number -= 1
        return max(number, 0)

    def mask(self, end: int) -> Candidate | None:
        """Mask the tool results before a message; None where there is none to mask."""
        removed, first = self._masked(0, end)
        if not removed:
            return None
        return Candidate(0, end, dropped=False, tokens=self.total_tokens - removed, unchanged_tokens=first)

    def replace(self, end: int, summary_tokens: int | None, mask_end: int = 0) -> Candidate | None:
        """Replace the messages before one by a summary; None where there are none to replace.

        Args:
            end: Where the summary ends.
            summary_tokens: Tokens of the summary; None where there is none.
            mask_end: Behind it, tool results before this message are masked too.
        """
        stay = [number for number in self._kept if number < end]
        if len(stay) >= end:
            return None
        gone = self._before(end) - self._before(0) - sum(map(self._tokens, stay))
        added = _NOTICE_TOKENS if summary_tokens is None else summary_tokens + _WRAPPER_TOKENS
        removed = gone + self._summary_tokens + self._masked(end, mask_end)[0]
        # A new summary takes an old one's place, in the first message; otherwise it comes behind that.
        first = self._first if self._summary_tokens else self._first + 1
        return Candidate(
            summary_end=end,
            mask_end=mask_end,
            dropped=summary_tokens is None,
            tokens=self.total_tokens - removed + added,
            unchanged_tokens=min(self._before(first), self._before(end)),
        )

    def _blocks(self, message: int) -> range:
        """Return the numbers of a message's blocks; none where there is no such message."""
        ends = self._layout.message_ends
        if message >= len(ends):
            return range(0)
        return range(ends[message - 1] if message else self._layout.system_end, ends[message])

    def _tokens(self, message: int) -> int:
        return self._before(message + 1) - self._before(message)

    def _before(self, message: int) -> int:
        """Return the tokens before a message."""
        layout = self._layout
        block = layout.message_ends[message - 1] if message else layout.system_end
        return layout.ends[block - 1] if block else 0

    def _masked(self, start: int, stop: int) -> tuple[int, int]:
        """Return what masking the results in some messages removes, and the tokens before the first of them.

        All blocks are looked at, at each turn of a long conversation: no more is done than must be.
        """
        layout, results, kept = self._layout, self._layout.result_ends, self._kept_blocks
        removed, first = 0, self.total_tokens
        if stop <= start:
            return removed, first
        ends = layout.message_ends
        begin = ends[start - 1] if start else layout.system_end
        before = results[begin - 1] if begin else 0
        for block in range(begin, ends[stop - 1]):
            after = results[block]
            if after - before > _PLACEHOLDER_TOKENS and block not in kept:
                if not removed:
                    first = layout.ends[block] - (after - before)
                removed += after - before - _PLACEHOLDER_TOKENS
            before = after
        return removed, first


def _asks(message: Piece) -> bool:
    """Whether a user says something in a message."""
    return message.role is Role.USER and all(b.kind is not BlockKind.TOOL_RESULT for b in message.blocks)
