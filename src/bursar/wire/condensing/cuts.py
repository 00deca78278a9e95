"""Where history may be cut: before which messages a summary can take the place of all that came before."""

from collections.abc import Sequence

from bursar.domain.prompt import BlockKind, Piece, Role


def cut_points(messages: Sequence[Piece]) -> tuple[int, ...]:
    """Return the numbers of the messages before which history may be cut, in order.

    A cut never parts a tool call from its results, nor a user's message from its answer. It stands before
    a user's message, or before an assistant's that goes on after the results of its calls. The latter only
    where the answer would not lose thinking with which it began: the provider wants an answer that thought
    to begin with thinking (Anthropic's page on extended thinking, checked 2026-11-24).

    Args:
        messages: A conversation that its provider would take, without the leading system messages.
    """
    cuts: list[int] = []
    thought = False
    for number, message in enumerate(messages):
        kinds = [block.kind for block in message.blocks]
        answers_calls = message.role is Role.TOOL or BlockKind.TOOL_RESULT in kinds
        if message.role is Role.USER and not answers_calls:
            thought = False
        if number and not answers_calls:
            before = messages[number - 1]
            if _may_cut(before, message, starts_whole=not thought or kinds[0] is BlockKind.THINKING):
                cuts.append(number)
        thought = thought or BlockKind.THINKING in kinds
    return tuple(cuts)


def _may_cut(before: Piece, message: Piece, *, starts_whole: bool) -> bool:
    """Whether history may be cut between two messages, of which the second holds no results."""
    kinds = [block.kind for block in before.blocks]
    if BlockKind.TOOL_CALL in kinds:
        return False
    if message.role is Role.USER:
        return True
    goes_on = before.role is Role.TOOL or BlockKind.TOOL_RESULT in kinds
    return message.role is Role.ASSISTANT and goes_on and starts_whole
