"""Where a call's tokens and dollars went, by position in the prompt."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter

from bursar.domain.layout import Layout
from bursar.domain.ledger import Component, ComponentShare
from bursar.domain.money import share_out
from bursar.domain.prices import CostLine
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

# What a prompt is made of; `Split.upto` counts in this order.
_IN_PROMPT = (
    Component.TOOLS,
    Component.SYSTEM,
    Component.HISTORY,
    Component.TOOL_RESULTS,
    Component.USER,
)
_TOOLS, _SYSTEM, _HISTORY, _TOOL_RESULTS, _USER = range(len(_IN_PROMPT))

# A token class, the components that it covers, and how much of it each has.
_Part = tuple[str, Sequence[Component], Sequence[int]]


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
        self.total = layout.total_tokens
        self._tools_end = ends[layout.tools_end - 1] if layout.tools_end else 0
        self._system_end = ends[layout.system_end - 1] if layout.system_end else 0
        answered = _answered(layout.prompt.messages)
        self._answered_block = layout.message_ends[answered - 1] if answered else layout.system_end
        last = self._answered_block - 1
        self._answered_end = ends[last] if last >= 0 else 0
        self._answered_results = layout.result_ends[last] if last >= 0 else 0

    def upto(self, end: int) -> tuple[int, ...]:
        """Return how many of the first `end` estimated tokens belong to each of `_IN_PROMPT`."""
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
        """Return which of `_IN_PROMPT` the token at a position from 0 belongs to, by its number."""
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
        if messages[number - 1].role is Role.ASSISTANT:
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
        cost_nusd = None if lines is None else sum([line.cost_nusd for line in lines])
        return {Component.ROUTING: ComponentShare(usage.tokens(), cost_nusd)}
    parts = _tokens_along(Split(layout), usage)
    if usage.output:
        parts.append(("output", (Component.OUTPUT,), (usage.output,)))
    if usage.reasoning:
        parts.append(("reasoning", (Component.OUTPUT,), (usage.reasoning,)))
    unshared_nusd = {} if lines is None else {line.item: line.cost_nusd for line in lines}
    tokens: dict[Component, dict[str, int]] = {}
    costs: dict[Component, int] = {}
    for name, components, counts in parts:
        shares_nusd = share_out(unshared_nusd.pop(name, 0), counts)
        for component, count, share_nusd in zip(components, counts, shares_nusd, strict=True):
            if component in tokens:
                tokens[component][name] = count
                costs[component] += share_nusd
            else:
                tokens[component] = {name: count}
                costs[component] = share_nusd
    if unshared_nusd:
        # A fee for the provider's own tools belongs to no token.
        tokens.setdefault(Component.TOOLS, {})
        costs[Component.TOOLS] = costs.get(Component.TOOLS, 0) + sum(unshared_nusd.values())
    return {
        component: ComponentShare(counts, None if lines is None else costs[component])
        for component, counts in tokens.items()
    }


def _tokens_along(split: Split, usage: Usage) -> list[_Part]:
    """Lay the token classes along the prompt and give each class's tokens to the components that it covers.

    The classes' borders are the provider's own proportions on our estimated positions; within a class,
    components share its tokens by largest remainder.
    """
    total = usage.prompt_tokens
    parts: list[_Part] = []
    reported = at = 0
    before = (0, 0, 0, 0, 0)
    for name, count in zip(_ALONG_PROMPT, _counts_along_prompt(usage), strict=True):
        if not count:
            continue
        reported += count
        border = split.total * reported // total
        if border > at:
            upto = split.upto(border)
            covered = [n for n in range(5) if upto[n] > before[n]]
            shares = share_out(count, [upto[n] - before[n] for n in covered])
            if 0 in shares:
                covered = [n for n, share in zip(covered, shares, strict=True) if share]
                shares = [share for share in shares if share]
            at, before = border, upto
        else:
            # Too few tokens for our count to see: they belong where the border falls.
            covered, shares = [split.at(border)], [count]
        parts.append((name, [_IN_PROMPT[n] for n in covered], shares))
    return parts
