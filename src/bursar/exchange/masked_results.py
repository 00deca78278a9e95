"""Full texts of tool results that are masked: kept for whoever follows a handle."""

from collections.abc import Collection, Generator, Mapping
from typing import Any

from bursar.domain.prompt import BlockKind
from bursar.effects import Effect
from bursar.exchange.call import Call
from bursar.exchange.rewriting import handle_of, keep_full, way_to_full
from bursar.policy.history.steps import Conversation
from bursar.wire.condensing.masking import Handle
from bursar.wire.condensing.spoken import split

# What is shorter is not masked.
_CHARS_MIN = 80


def full_texts(call: Call, conversation: Conversation, span: range) -> Mapping[str, str]:
    """Return the results of a span of messages as they came, by what they were shortened to.

    Args:
        call: The call as it came.
        conversation: Its messages, shortened.
        span: Numbers of messages.
    """
    form, front = conversation.form, conversation.front
    start, stop = front + span.start, front + span.stop
    array, ends = call.request.fields["messages"], call.request.piece_ends["messages"]
    came = split(array, ends, start, stop)
    shortened = split(conversation.array, conversation.ends, start, stop)
    texts: dict[str, str] = {}
    for one, other, number in zip(came, shortened, span, strict=True):
        kinds = {block.kind for block in conversation.messages[number].blocks}
        if BlockKind.TOOL_RESULT not in kinds:
            continue
        for before, after in zip(form.read(one).parts, form.read(other).parts, strict=True):
            if before.kind is BlockKind.TOOL_RESULT and len(after.text) >= _CHARS_MIN:
                # Of results that differ in white space only, the first stands for all.
                texts.setdefault(after.text, before.text)
    return texts


def handles(tenant: str, texts: Mapping[str, str], unkept: Collection[bytes]) -> Handle:
    """Return what says how to get a full result.

    Args:
        tenant: Whose results they are.
        texts: Full results, by what they were shortened to.
        unkept: Names of those that could not be kept.
    """

    def handle(text: str) -> str | None:
        full = texts.get(text)
        if full is None or name_of(tenant, full) in unkept:
            return None
        return way_to_full(tenant, full)

    return handle


def keep_results(tenant: str, texts: Collection[str]) -> Generator[Effect, Any, tuple[bytes, ...]]:
    """Keep full results. Returns the names of those that could not be."""
    unkept: tuple[bytes, ...] = ()
    for text in texts:
        if not (yield keep_full(tenant, text)):
            unkept += (name_of(tenant, text),)
    return unkept


def name_of(tenant: str, text: str) -> bytes:
    """Name a tenant's full result."""
    return bytes.fromhex(handle_of(tenant, text))
