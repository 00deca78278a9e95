"""Components against a slow way that looks at every token, and sums that must not leave a nanodollar."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bursar.domain.layout import Layout, lay_out
from bursar.domain.ledger import Component
from bursar.domain.money import share_out
from bursar.domain.prices import CostLine
from bursar.domain.prompt import Block, BlockKind, ContentClass, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, TokenRatios
from bursar.domain.usage import TokenClass, Usage
from bursar.exchange.components import Split, _share_cost, share_components

RATIOS = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
ORDER = (Component.TOOLS, Component.SYSTEM, Component.HISTORY, Component.TOOL_RESULTS, Component.USER)


def _piece(role: Role, *blocks: tuple[BlockKind, int]) -> Piece:
    return Piece(role, tuple(Block(kind, ContentClass.CHAT, digest(b"x"), size) for kind, size in blocks))


_sizes = st.integers(0, 6)
_spoken = st.tuples(st.sampled_from([BlockKind.TEXT, BlockKind.TOOL_RESULT]), _sizes)
_messages = st.lists(
    st.builds(
        lambda role, blocks: _piece(role, *blocks),
        st.sampled_from([Role.USER, Role.ASSISTANT, Role.TOOL]),
        st.lists(_spoken, min_size=1, max_size=3),
    ),
    max_size=6,
)
layouts = st.builds(
    lambda tools, system, messages: lay_out(
        Prompt(
            tuple(_piece(Role.SYSTEM, (BlockKind.TOOL, size)) for size in tools),
            tuple(_piece(Role.SYSTEM, (BlockKind.TEXT, size)) for size in system),
            tuple(messages),
        ),
        scope=b"",
        ratios=RATIOS,
    ),
    st.lists(_sizes, max_size=2),
    st.lists(_sizes, max_size=2),
    _messages,
)
usages = st.builds(Usage, **{token_class.value: st.integers(0, 50) for token_class in TokenClass})


def component_of_each_token(layout: Layout) -> list[Component]:
    prompt = layout.prompt
    answered = max(
        (i + 1 for i, piece in enumerate(prompt.messages) if piece.role is Role.ASSISTANT), default=0
    )
    found: list[Component] = []
    for section, pieces in (
        (Component.TOOLS, prompt.tools),
        (Component.SYSTEM, prompt.system),
        (Component.HISTORY, prompt.messages[:answered]),
        (Component.USER, prompt.messages[answered:]),
    ):
        for piece in pieces:
            for block in piece.blocks:
                is_result = block.kind is BlockKind.TOOL_RESULT and piece in prompt.messages
                found += [Component.TOOL_RESULTS if is_result else section] * block.base_tokens
    return found


@given(layouts)
def test_positions_are_told_apart_as_by_looking_at_every_token(layout: Layout) -> None:
    tokens = component_of_each_token(layout)
    split = Split(layout)
    assert len(tokens) == split.total == layout.total_tokens
    for end in range(len(tokens) + 1):
        assert split.upto(end) == tuple(tokens[:end].count(component) for component in ORDER)
    for position, component in enumerate(tokens):
        assert ORDER[split.at(position)] is component


def _lines(usage: Usage, **fees: int) -> tuple[CostLine, ...]:
    tokens = [CostLine(name, count, count * 7 + 3) for name, count in usage.tokens().items()]
    return (*tokens, *(CostLine(name, 1, cost) for name, cost in fees.items()))


@given(layouts, usages, st.integers(0, 9))
@example(lay_out(Prompt((), (), ()), scope=b"", ratios=RATIOS), Usage(input=5, output=2), 1)
def test_components_add_up_to_usage_and_cost_whatever_the_prompt(
    layout: Layout, usage: Usage, fee: int
) -> None:
    lines = _lines(usage, web_search=fee)
    shared = share_components(layout, usage, lines, routing=False)
    totals: dict[str, int] = {}
    for share in shared.values():
        for name, count in share.tokens.items():
            assert count > 0
            totals[name] = totals.get(name, 0) + count
    assert totals == usage.tokens()
    assert sum(share.cost_nusd or 0 for share in shared.values()) == sum(line.cost_nusd for line in lines)
    unknown = share_components(layout, usage, None, routing=False)
    assert all(share.cost_nusd is None for share in unknown.values())


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any), st.integers(0, 9), st.integers(0, 60)
)
def test_a_whole_price_per_token_shares_cost_out_as_any_other(
    counts: list[int], token_nusd: int, rest_nusd: int
) -> None:
    cost_nusd = token_nusd * sum(counts) + rest_nusd
    assert tuple(_share_cost(cost_nusd, counts)) == share_out(cost_nusd, counts)


@given(layouts, usages)
def test_a_routing_call_is_routing_as_a_whole(layout: Layout, usage: Usage) -> None:
    shared = share_components(layout, usage, _lines(usage), routing=True)
    assert set(shared) == {Component.ROUTING}
    assert shared[Component.ROUTING].tokens == usage.tokens()


def test_what_is_read_lies_before_what_is_written_before_the_rest() -> None:
    layout: Any = lay_out(
        Prompt(
            (_piece(Role.SYSTEM, (BlockKind.TOOL, 100)),),
            (_piece(Role.SYSTEM, (BlockKind.TEXT, 100)),),
            (_piece(Role.USER, (BlockKind.TEXT, 100)),),
        ),
        scope=b"",
        ratios=RATIOS,
    )
    usage = Usage(cache_read=100, cache_write_1h=60, cache_write_5m=40, input=100)
    shared = share_components(layout, usage, None, routing=False)
    assert shared[Component.TOOLS].tokens == {"cache_read": 100}
    assert shared[Component.SYSTEM].tokens == {"cache_write_1h": 60, "cache_write_5m": 40}
    assert shared[Component.USER].tokens == {"input": 100}


def test_a_search_by_the_provider_belongs_to_the_tools() -> None:
    layout = lay_out(Prompt((), (), (_piece(Role.USER, (BlockKind.TEXT, 9)),)), scope=b"", ratios=RATIOS)
    shared = share_components(layout, Usage(input=9), _lines(Usage(input=9), web_search=10), routing=False)
    assert shared[Component.TOOLS].cost_nusd == 10
    assert shared[Component.TOOLS].tokens == {}
