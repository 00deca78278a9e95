"""Where a call's tokens and dollars went, by position in the prompt."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter, sub

from bursar.domain.layout import Layout
from bursar.domain.ledger import Component, ComponentShare
from bursar.domain.money import share_out
from bursar.domain.prices import CostLine, total_nusd
from bursar.domain.prompt import BlockKind, Piece, Role
from bursar.domain.usage import TokenClass, Usage

# Along a prompt, what is read comes first, then what is written for longer, then for shorter, then the
# rest (PROVIDERS.md, mixed TTLs).
_ALONG_PROMPT = tuple(
    token_class.value
    for token_class in (
        TokenClass.CACHE_READ,
        TokenClass.CACHE_WRITE_12H,
        TokenClass.CACHE_WRITE_1H,
        TokenClass.CACHE_WRITE_30M,
        TokenClass.CACHE_WRITE_5M,
        TokenClass.INPUT,
    )
)
_counts_along_prompt = attrgetter(*_ALONG_PROMPT)

# What tokens are shared out over, by number. A prompt is made of the first five, in this order.
_COMPONENTS = (
    Component.TOOLS,
    Component.SYSTEM,
    Component.HISTORY,
    Component.TOOL_RESULTS,
    Component.USER,
    Component.OUTPUT,
)
_TOOLS, _SYSTEM, _HISTORY, _TOOL_RESULTS, _USER, _OUTPUT = range(len(_COMPONENTS))
_IN_PROMPT = range(_OUTPUT)
_NONE_IN_PROMPT = (0,) * _OUTPUT
_ASSISTANT = Role.ASSISTANT

# A token class, and how much of it each component of a prompt has.
_Part = tuple[str, Sequence[int]]


class Split:
    """A prompt, split into components by position.

    Messages up to the last answer are history, later ones the user's; tool results are their own. All is
    read off the layout's running totals, so that the length of a prompt does not matter.

    Args:
        layout: The prompt.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        ends = layout.ends
        self.total = ends[-1] if ends else 0
        self._tools_end = ends[layout.tools_end - 1] if layout.tools_end else 0
        self._system_end = ends[layout.system_end - 1] if layout.system_end else 0
        answered = _answered(layout.prompt.messages)
        self._answered_block = layout.message_ends[answered - 1] if answered else layout.system_end
        last = self._answered_block - 1
        self._answered_end = ends[last] if last >= 0 else 0
        self._answered_results = layout.result_ends[last] if last >= 0 else 0

    def upto(self, end: int) -> tuple[int, ...]:
        """Return how many of the first `end` estimated tokens belong to each component of a prompt."""
        tools = min(end, self._tools_end)
        if end <= self._system_end:
            return tools, end - tools, 0, 0, 0
        system = self._system_end - tools
        results = self._results(end)
        if end <= self._answered_end:
            return tools, system, end - self._system_end - results, results, 0
        history = self._answered_end - self._system_end - self._answered_results
        return tools, system, history, results, end - self._system_end - history - results

    def at(self, position: int) -> int:
        """Return the number of the component that the token at a position from 0 belongs to."""
        layout = self._layout
        if not self.total:
            return _USER
        block = min(bisect_right(layout.ends, position), len(layout.ends) - 1)
        if block < layout.system_end:
            return _TOOLS if block < layout.tools_end else _SYSTEM
        if layout.blocks[block].kind is BlockKind.TOOL_RESULT:
            return _TOOL_RESULTS
        return _HISTORY if block < self._answered_block else _USER

    def _results(self, end: int) -> int:
        ends, result_ends = self._layout.ends, self._layout.result_ends
        block = bisect_left(ends, end)
        if not block:
            return min(end, result_ends[0])
        before = result_ends[block - 1]
        return before + end - ends[block - 1] if result_ends[block] > before else before


def _answered(messages: tuple[Piece, ...]) -> int:
    """Return how many messages there are up to the last answer."""
    for number in range(len(messages), 0, -1):
        if messages[number - 1].role is _ASSISTANT:
            return number
    return 0


def share_components(
    layout: Layout, usage: Usage, lines: tuple[CostLine, ...] | None, *, routing: bool
) -> Mapping[Component, ComponentShare]:
    """Share a call's usage and cost out over components.

    Args:
        layout: The prompt.
        usage: What the provider reported.
        lines: What it cost; None where unknown.
        routing: Whether the call as a whole is routing.

    Returns:
        Tokens by class and cost per component. Both add up exactly to `usage` and `lines`.
    """
    if routing:
        cost_nusd = None if lines is None else total_nusd(lines)
        return {Component.ROUTING: ComponentShare(usage.tokens(), cost_nusd)}
    unshared_nusd = {} if lines is None else {line.item: line.cost_nusd for line in lines}
    tokens: tuple[dict[str, int], ...] = ({}, {}, {}, {}, {}, {})
    costs_nusd = [0] * len(_COMPONENTS)
    for name, counts in _parts_of_prompt(Split(layout), usage):
        shares_nusd = _share_cost(unshared_nusd.pop(name, 0), counts)
        for number, count in enumerate(counts):
            if count:
                tokens[number][name] = count
                costs_nusd[number] += shares_nusd[number]
    for name, count in (("output", usage.output), ("reasoning", usage.reasoning)):
        if count:
            tokens[_OUTPUT][name] = count
            costs_nusd[_OUTPUT] += unshared_nusd.pop(name, 0)
    if unshared_nusd:
        # A fee for the provider's own tools belongs to no token.
        costs_nusd[_TOOLS] += sum(unshared_nusd.values())
    shared: dict[Component, ComponentShare] = {}
    for number, counts in enumerate(tokens):
        if counts or (unshared_nusd and number == _TOOLS):
            cost_nusd = None if lines is None else costs_nusd[number]
            shared[_COMPONENTS[number]] = ComponentShare(counts, cost_nusd)
    return shared


def _share_cost(cost_nusd: int, counts: Sequence[int]) -> Sequence[int]:
    """Share a class's cost out by its tokens, of which there are some."""
    token_nusd, rest_nusd = divmod(cost_nusd, sum(counts))
    # Most prices are whole nusd per token; then every share is, and no remainder is to be given away.
    return share_out(cost_nusd, counts) if rest_nusd else [count * token_nusd for count in counts]


def _parts_of_prompt(split: Split, usage: Usage) -> list[_Part]:
    """Lay the token classes along the prompt and give each class's tokens to the components that it covers.

    The classes' borders are the provider's own proportions on our estimated positions; within a class,
    components share its tokens by largest remainder.
    """
    in_classes = _counts_along_prompt(usage)
    total, prompt_tokens = split.total, sum(in_classes)
    parts: list[_Part] = []
    reported = at = 0
    before = _NONE_IN_PROMPT
    for name, count in zip(_ALONG_PROMPT, in_classes, strict=True):
        if not count:
            continue
        reported += count
        border = total * reported // prompt_tokens
        if border == at:
            # Too few tokens for our count to see: they belong where the border falls.
            counts = [0] * _OUTPUT
            counts[split.at(border)] = count
            parts.append((name, counts))
            continue
        upto = split.upto(border)
        parts.append((name, share_out(count, tuple(map(sub, upto, before)))))
        at, before = border, upto
    return parts
