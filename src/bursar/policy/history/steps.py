"""A rewriting of a conversation's beginning, as it is remembered and applied again at every later turn.

A client sends its whole conversation at every turn, as it knows it. So a step is always of that: how its
first messages are to be sent. The next step of the same thread takes this one's place and holds it.
"""

from collections.abc import Sequence

import msgspec

from bursar.domain.prompt import Piece, digest
from bursar.policy.history.decision import HistoryKind, HistoryPlan
from bursar.policy.history.options import HistoryOptions
from bursar.wire.condensing.exchanges import complete, first_user_messages, messages_with
from bursar.wire.condensing.masking import Handle, mask_results
from bursar.wire.condensing.rendering import text_for_summary
from bursar.wire.condensing.spoken import Form, split
from bursar.wire.condensing.summaries import replace_by_summary


class HistoryStep(msgspec.Struct, frozen=True):
    """How a conversation's first messages are to be sent.

    Attributes:
        prefix: Names the messages up to `end`, as the client sends them (`name_prefix`).
        summary_end: Messages before this one are replaced by the summary; 0 for none.
        mask_end: From there to this one, tool results are masked; 0 for none.
        summary: The summary; empty where the messages were dropped.
        pinned: Messages before `end` that stay verbatim.
    """

    prefix: bytes
    summary_end: int = 0
    mask_end: int = 0
    summary: str = ""
    pinned: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The number of the first message that is sent as it came."""
        return max(self.summary_end, self.mask_end)


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """A client's own conversation, as it came.

    Attributes:
        form: How its dialect writes messages.
        array: Raw JSON of all its messages.
        ends: Where each ends in it (`Request.piece_ends`).
        messages: Its messages without the leading system messages (`Prompt.messages`).
    """

    form: Form
    array: bytes
    ends: Sequence[int]
    messages: Sequence[Piece]

    @property
    def front(self) -> int:
        """How many leading system messages the array has."""
        return len(self.ends) - len(self.messages)

    def raw_messages(self, stop: int) -> list[bytes]:
        """Return the raw JSON of the messages before one."""
        return split(self.array, self.ends, self.front, self.front + stop)


class Head(msgspec.Struct, frozen=True):
    """A conversation's beginning, rewritten.

    Attributes:
        content: Raw JSON of the array's beginning, without the comma behind its last message.
        size_bytes: How much of the client's array it stands for.
        standing: Of the messages that it came to, how many must stay at a next step.
        shift: How many messages fewer it has.
    """

    content: bytes
    size_bytes: int
    standing: int
    shift: int

    def whole(self, array: bytes) -> bytes:
        """Return the array of messages as it is to be sent, given the client's."""
        return self.content + array[self.size_bytes :]


def name_prefix(messages: Sequence[Piece], end: int) -> bytes:
    """Name a conversation's first messages by their content without cache marks."""
    return digest(b"".join([block.digest for message in messages[:end] for block in message.blocks]))


def applies(step: HistoryStep, messages: Sequence[Piece]) -> bool:
    """Whether a conversation begins as that of a step, and goes on."""
    return len(messages) > step.end and name_prefix(messages, step.end) == step.prefix


def take_step(
    current: HistoryStep | None,
    plan: HistoryPlan,
    conversation: Conversation,
    options: HistoryOptions,
    summary: str = "",
) -> HistoryStep:
    """Return the step that a plan comes to.

    Args:
        current: The step that the plan was made on top of; None for none.
        plan: A plan that is not `NONE`.
        conversation: The client's own conversation.
        options: What the operator set.
        summary: The summary, where the plan is to summarise.
    """
    if plan.kind is HistoryKind.MASK and current is not None:
        summary_end, summary = current.summary_end, current.summary
    else:
        summary_end = plan.summary_end
    mask_end = max(plan.mask_end, current.mask_end if current is not None else 0)
    end = max(summary_end, mask_end)
    return HistoryStep(
        prefix=name_prefix(conversation.messages, end),
        summary_end=summary_end,
        mask_end=mask_end if mask_end > summary_end else 0,
        summary=summary,
        pinned=tuple(sorted(pinned_messages(conversation, options, end))),
    )


def pinned_messages(conversation: Conversation, options: HistoryOptions, end: int) -> frozenset[int]:
    """Return the messages before one that the operator pinned, each with what belongs to it."""
    spoken = [conversation.form.read(message) for message in conversation.raw_messages(end)]
    chosen = first_user_messages(spoken, options.pinned_first) | messages_with(spoken, options.pinned)
    return complete(spoken, chosen)


def rewrite(step: HistoryStep, conversation: Conversation, handle: Handle = lambda _: None) -> Head:
    """Rewrite the beginning of a conversation that a step applies to.

    Args:
        step: The step.
        conversation: The client's own conversation.
        handle: Says how to get the full result where a tool result is masked; the same at every turn.
    """
    form, covered = conversation.form, step.end + 1
    messages = conversation.raw_messages(covered)
    if step.mask_end:
        span = range(step.summary_end, step.mask_end)
        messages = mask_results(form, messages, span, kept=step.pinned, handle=handle)
    standing, shift = 0, 0
    if step.summary_end:
        goes_on = messages[step.summary_end]
        messages = replace_by_summary(form, messages, range(step.summary_end), step.summary, kept=step.pinned)
        shift = covered - len(messages)
        # The message behind the summary may have been joined with it.
        standing = step.summary_end - shift
        if messages[standing] != goes_on:
            standing += 1
    front = split(conversation.array, conversation.ends, 0, conversation.front)
    return Head(
        content=b"[" + b",".join([*front, *messages]),
        size_bytes=conversation.ends[conversation.front + step.end],
        standing=standing,
        shift=shift,
    )


def text_to_summarise(
    current: HistoryStep | None, plan: HistoryPlan, conversation: Conversation, chars_max: int
) -> str:
    """Render what a plan wants summarised: an earlier summary, and what came since.

    Args:
        current: The step that the plan was made on top of; None for none.
        plan: A plan to summarise.
        conversation: The client's own conversation.
        chars_max: The most characters.
    """
    return text_for_summary(
        conversation.form,
        conversation.raw_messages(plan.summary_end),
        range(current.summary_end if current is not None else 0, plan.summary_end),
        chars_max=chars_max,
        earlier=current.summary if current is not None else "",
    )
