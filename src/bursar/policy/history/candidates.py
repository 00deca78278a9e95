"""The ways in which a prompt's history could be rewritten, and what is left of the prompt each time."""

from collections.abc import Collection, Sequence

import msgspec

from bursar.domain.layout import Layout
from bursar.domain.prompt import BlockKind, Role

# What our own wording takes, roughly: a placeholder with its handle, what stands around a summary, and a
# notice that messages are missing.
_PLACEHOLDER_TOKENS = 60
_WRAPPER_TOKENS = 40
_NOTICE_TOKENS = 25


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
        kept: Messages that stay verbatim. The first one in which a user speaks is one of them.
        summary_tokens: Tokens of the summary that it holds already, in that message; 0 for none.
    """

    def __init__(self, layout: Layout, kept: Collection[int], summary_tokens: int) -> None:
        messages = layout.prompt.messages
        self._layout = layout
        first = next(
            (n for n, m in enumerate(messages) if m.role is Role.USER and not _answers(layout, n)), None
        )
        self._kept = {*kept, *(n for n, m in enumerate(messages) if m.role is Role.SYSTEM)}
        if first is not None:
            self._kept.add(first)
        self._first = 0 if first is None else first
        self._summary_tokens = summary_tokens

    @property
    def total_tokens(self) -> int:
        """Tokens of the prompt as it is."""
        return self._layout.total_tokens

    def recent_start(self, recent_tokens: int) -> int:
        """Return the number of the last message with which at least so many tokens begin."""
        total = self.total_tokens
        for number in range(len(self._layout.message_ends) - 1, -1, -1):
            if total - self._before(number) >= recent_tokens:
                return number
        return 0

    def last_question(self) -> int:
        """Return the number of the last assistant's message: what follows it, the model has yet to see."""
        messages = self._layout.prompt.messages
        return max([n for n, message in enumerate(messages) if message.role is Role.ASSISTANT], default=0)

    def mask(self, end: int) -> Candidate | None:
        """Mask the tool results before a message; None where there is none to mask."""
        removed, first = self._masked(range(end))
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
        gone = [self._before(n + 1) - self._before(n) for n in range(end) if n not in self._kept]
        if not gone:
            return None
        added = _NOTICE_TOKENS if summary_tokens is None else summary_tokens + _WRAPPER_TOKENS
        removed = sum(gone) + self._summary_tokens + self._masked(range(end, mask_end))[0]
        # A new summary takes an old one's place, in the first message; otherwise it comes behind that.
        first = self._first if self._summary_tokens else self._first + 1
        return Candidate(
            summary_end=end,
            mask_end=mask_end,
            dropped=summary_tokens is None,
            tokens=self.total_tokens - removed + added,
            unchanged_tokens=min(self._before(first), self._before(end)),
        )

    def _before(self, message: int) -> int:
        """Return the tokens before a message."""
        layout = self._layout
        block = layout.message_ends[message - 1] if message else layout.system_end
        return layout.ends[block - 1] if block else 0

    def _masked(self, span: range) -> tuple[int, int]:
        """Return how many tokens masking some messages removes, and how many stand before that."""
        layout, results = self._layout, self._layout.result_ends
        removed, first = 0, self.total_tokens
        for number in span:
            if number in self._kept:
                continue
            for block in _blocks_of(layout, number):
                result_tokens = results[block] - results[block - 1] if block else results[block]
                if result_tokens > _PLACEHOLDER_TOKENS:
                    removed += result_tokens - _PLACEHOLDER_TOKENS
                    first = min(first, layout.ends[block] - result_tokens)
        return removed, first


def _answers(layout: Layout, message: int) -> bool:
    return any(block.kind is BlockKind.TOOL_RESULT for block in layout.prompt.messages[message].blocks)


def _blocks_of(layout: Layout, message: int) -> Sequence[int]:
    ends = layout.message_ends
    return range(ends[message - 1] if message else layout.system_end, ends[message])
