"""Where a call's tokens and dollars went, by position in the prompt."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from bursar.domain.layout import Layout
from bursar.domain.ledger import Component, ComponentShare
from bursar.domain.money import share_out
from bursar.domain.prices import CostLine
from bursar.domain.prompt import BlockKind, Prompt, Role
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

Stretch = tuple[Component, int]


def split_prompt(prompt: Prompt, layout: Layout) -> tuple[Stretch, ...]:
    """Split a prompt into stretches of one component each, with their estimated tokens, in prompt order."""
    ends = layout.ends
    stretches: list[Stretch] = []
    if layout.tools_end:
        stretches.append((Component.TOOLS, ends[layout.tools_end - 1]))
    if layout.system_end > layout.tools_end:
        before = ends[layout.tools_end - 1] if layout.tools_end else 0
        stretches.append((Component.SYSTEM, ends[layout.system_end - 1] - before))
    last_answer = max(
        (i for i, piece in enumerate(prompt.messages) if piece.role is Role.ASSISTANT), default=-1
    )
    starts = (layout.system_end, *layout.message_ends)
    for number, (start, end) in enumerate(pairwise(starts)):
        spoken = Component.HISTORY if number <= last_answer else Component.USER
        for block in range(start, end):
            is_result = layout.blocks[block].kind is BlockKind.TOOL_RESULT
            component = Component.TOOL_RESULTS if is_result else spoken
            tokens = ends[block] - (ends[block - 1] if block else 0)
            if stretches and stretches[-1][0] is component:
                stretches[-1] = (component, stretches[-1][1] + tokens)
            else:
                stretches.append((component, tokens))
    return tuple(stretches)


def share_components(
    stretches: Iterable[Stretch], usage: Usage, lines: tuple[CostLine, ...] | None, *, routing: bool
) -> Mapping[Component, ComponentShare]:
    """Share a call's usage and cost out over components.

    Args:
        stretches: The prompt's, in order.
        usage: What the provider reported.
        lines: What it cost; None where unknown.
        routing: Whether the call as a whole is routing.

    Returns:
        Tokens by class and cost per component. Both add up exactly to `usage` and `lines`.
    """
    if routing:
        return {Component.ROUTING: ComponentShare(usage.tokens(), _sum(lines))}
    tokens = _tokens_along(tuple(stretches), usage)
    if usage.output_tokens:
        tokens[Component.OUTPUT] = {
            c.value: n for c in (TokenClass.OUTPUT, TokenClass.REASONING) if (n := usage.of(c))
        }
    if lines is None:
        return {component: ComponentShare(shares, None) for component, shares in tokens.items()}
    costs = dict.fromkeys(tokens, 0)
    for line in lines:
        takers = [component for component, shares in tokens.items() if line.item in shares]
        weights = [tokens[component][line.item] for component in takers]
        # A fee for the provider's own tools belongs to no token.
        for component, cost in zip(
            takers or (Component.TOOLS,), share_out(line.cost_nusd, weights or (1,)), strict=True
        ):
            costs[component] = costs.get(component, 0) + cost
    return {component: ComponentShare(tokens.get(component, {}), cost) for component, cost in costs.items()}


def _tokens_along(stretches: tuple[Stretch, ...], usage: Usage) -> dict[Component, dict[str, int]]:
    """Lay the token classes along the prompt and cut them where components change."""
    counts = share_out(usage.prompt_tokens, [tokens for _, tokens in stretches])
    classes = [(c.value, n) for c in _ALONG_PROMPT if (n := usage.of(c))]
    tokens: dict[Component, dict[str, int]] = {}
    at = 0
    left = classes[0][1] if classes else 0
    for (component, _), count in zip(stretches, counts, strict=True):
        need = count
        while need:
            name = classes[at][0]
            taken = min(need, left)
            mine = tokens.setdefault(component, {})
            mine[name] = mine.get(name, 0) + taken
            need -= taken
            left -= taken
            if not left and at + 1 < len(classes):
                at += 1
                left = classes[at][1]
    return tokens


def _sum(lines: tuple[CostLine, ...] | None) -> int | None:
    return None if lines is None else sum(line.cost_nusd for line in lines)
