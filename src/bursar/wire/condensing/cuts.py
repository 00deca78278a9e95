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
    # Of the message before: whether it calls tools, and whether it holds results. Of the answer under way:
    # whether it thought.
    called, answered, thought = False, False, False
    for number, message in enumerate(messages):
        role, kinds = message.role, [block.kind for block in message.blocks]
        results = role is Role.TOOL or BlockKind.TOOL_RESULT in kinds
        asks = role is Role.USER and not results
        if asks:
            thought = False
        if number and not results and not called:
            goes_on = answered and role is Role.ASSISTANT
            if asks or (goes_on and (not thought or kinds[0] is BlockKind.THINKING)):
                cuts.append(number)
        called, answered = BlockKind.TOOL_CALL in kinds, results
        thought = thought or BlockKind.THINKING in kinds
    return tuple(cuts)
