"""Where a call's tokens and dollars went, by position in the prompt."""

from collections.abc import Mapping

from bursar.domain.layout import Layout
from bursar.domain.ledger import Component, ComponentShare
from bursar.domain.money import share_out
from bursar.domain.prices import CostLine
from bursar.domain.prompt import BlockKind, Piece, Prompt, Role
from bursar.domain.usage import TokenClass, Usage

# Along a prompt, what is read comes first, then what is written for longer, then for shorter, then the
# rest (PROVIDERS.md, mixed TTLs).
_ALONG_PROMPT = (
    TokenClass.CACHE_READ,
    TokenClass.CACHE_WRITE_12H,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_WRITE_30M,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.INPUT,
)
_OUTPUTS = (TokenClass.OUTPUT, TokenClass.REASONING)

Stretch = tuple[Component, int]


def split_prompt(prompt: Prompt, layout: Layout) -> list[Stretch]:
    """Split a prompt into stretches of one component each.

    Returns:
        Component and estimated tokens *up to the stretch's end*, in prompt order. Neighbours may be of
        the same component.
    """
    ends = layout.ends
    stretches: list[Stretch] = []
    if layout.tools_end:
        stretches.append((Component.TOOLS, ends[layout.tools_end - 1]))
    if layout.system_end > layout.tools_end:
        stretches.append((Component.SYSTEM, ends[layout.system_end - 1]))
    messages = prompt.messages
    answered = _answered(messages)
    start = layout.system_end
    for number, end in enumerate(layout.message_ends):
        spoken = Component.HISTORY if number < answered else Component.USER
        if messages[number].role is Role.ASSISTANT or end == start + 1:
            result = layout.blocks[start].kind is BlockKind.TOOL_RESULT
            stretches.append((Component.TOOL_RESULTS if result else spoken, ends[end - 1]))
        else:
            for block in range(start, end):
                result = layout.blocks[block].kind is BlockKind.TOOL_RESULT
                stretches.append((Component.TOOL_RESULTS if result else spoken, ends[block]))
        start = end
    return stretches


def _answered(messages: tuple[Piece, ...]) -> int:
    """Return how many messages there are up to the last answer."""
    for number in range(len(messages), 0, -1):
        if messages[number - 1].role is Role.ASSISTANT:
            return number
    return 0


def share_components(
    stretches: list[Stretch], usage: Usage, lines: tuple[CostLine, ...] | None, *, routing: bool
) -> Mapping[Component, ComponentShare]:
    """Share a call's usage and cost out over components.

    Args:
        stretches: The prompt's (`split_prompt`).
        usage: What the provider reported.
        lines: What it cost; None where unknown.
        routing: Whether the call as a whole is routing.

    Returns:
        Tokens by class and cost per component. Both add up exactly to `usage` and `lines`.
    """
    if routing:
        cost_nusd = None if lines is None else sum([line.cost_nusd for line in lines])
        return {Component.ROUTING: ComponentShare(usage.tokens(), cost_nusd)}
    by_class = _tokens_along(stretches, usage)
    for token_class in _OUTPUTS:
        if count := usage.of(token_class):
            by_class[token_class.value] = {Component.OUTPUT: count}
    tokens: dict[Component, dict[str, int]] = {}
    for name, counts in by_class.items():
        for component, count in counts.items():
            tokens.setdefault(component, {})[name] = count
    if lines is None:
        return {component: ComponentShare(counts, None) for component, counts in tokens.items()}
    costs = dict.fromkeys(tokens, 0)
    for line in lines:
        # A fee for the provider's own tools belongs to no token.
        takers = by_class.get(line.item) or {Component.TOOLS: 1}
        for component, part in zip(takers, share_out(line.cost_nusd, [*takers.values()]), strict=True):
            costs[component] = costs.get(component, 0) + part
    return {component: ComponentShare(tokens.get(component, {}), part) for component, part in costs.items()}


def _tokens_along(stretches: list[Stretch], usage: Usage) -> dict[str, dict[Component, int]]:
    """Lay the token classes along the prompt and give each class's tokens to the components that it covers.

    The classes' borders are the provider's own proportions on our estimated positions; within a class,
    components share its tokens by largest remainder.
    """
    total = usage.prompt_tokens
    if not total:
        return {}
    if not stretches or not stretches[-1][1]:
        stretches = [(Component.USER, total)]
    estimated = stretches[-1][1]
    by_class: dict[str, dict[Component, int]] = {}
    number, at, reported = 0, 0, 0
    for token_class in _ALONG_PROMPT:
        count = usage.of(token_class)
        if not count:
            continue
        reported += count
        border = estimated * reported // total
        weights: dict[Component, int] = {}
        while at < border:
            component, end = stretches[number]
            upto = min(end, border)
            weights[component] = weights.get(component, 0) + upto - at
            at = upto
            if end <= border:
                number += 1
        if not weights:
            # Too few tokens for our count to see: they belong where the border falls.
            weights = {stretches[min(number, len(stretches) - 1)][0]: 1}
        shares = share_out(count, [*weights.values()])
        by_class[token_class.value] = {c: n for c, n in zip(weights, shares, strict=True) if n}
    return by_class
