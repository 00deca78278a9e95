import dataclasses

import pytest
from msgspec.structs import replace

from bursar.domain.layout import lay_out
from bursar.domain.prompt import (
    Block,
    BlockKind,
    ContentClass,
    Mark,
    Piece,
    Place,
    Prompt,
    Role,
    Section,
    digest,
)
from bursar.domain.tokens import Basis, Overhead, TokenRatios

PLAIN = TokenRatios("plain", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
ADDING = dataclasses.replace(
    PLAIN, overhead=Overhead(request_tokens=3, tools_tokens=300, system_tokens=2, message_tokens=4)
)
FIVE = Mark("5m")


def block(text: str, tokens: int = 10, mark: Mark | None = None, *, markable: bool = True) -> Block:
    return Block(BlockKind.TEXT, ContentClass.CHAT, digest(text.encode()), tokens, markable, mark)


PROMPT = Prompt(
    tools=(Piece(Role.SYSTEM, (block("t0", 100),)), Piece(Role.SYSTEM, (block("t1", 100),))),
    system=(Piece(Role.SYSTEM, (block("s", 50),)),),
    messages=(
        Piece(Role.USER, (block("u", 5), block("u2", 6, FIVE))),
        Piece(Role.ASSISTANT, (block("think", 7, markable=False),)),
    ),
)


def test_tokens_add_up_from_block_to_block() -> None:
    layout = lay_out(PROMPT, scope=b"", ratios=PLAIN)
    assert layout.ends == (100, 200, 250, 255, 261, 268)
    assert layout.total_tokens == 268


def test_overhead_belongs_to_the_block_that_brings_it_about() -> None:
    layout = lay_out(PROMPT, scope=b"", ratios=ADDING)
    # 3 for the request and 300 for tools from the first block on, 2 from the system text, 4 a message.
    assert layout.ends == (403, 503, 555, 564, 570, 581)


def test_without_tools_their_overhead_is_left_out() -> None:
    layout = lay_out(replace(PROMPT, tools=()), scope=b"", ratios=ADDING)
    assert layout.ends[0] == 3 + 2 + 50


def test_sections_end_where_their_blocks_do() -> None:
    layout = lay_out(PROMPT, scope=b"", ratios=PLAIN)
    assert (layout.tools_end, layout.system_end, layout.message_ends) == (2, 3, (5, 6))


def test_every_block_knows_its_place() -> None:
    places = lay_out(PROMPT, scope=b"", ratios=PLAIN).places
    expected = (
        Place(Section.TOOLS, 0, 0),
        Place(Section.TOOLS, 1, 0),
        Place(Section.SYSTEM, 0, 0),
        Place(Section.MESSAGES, 0, 0),
        Place(Section.MESSAGES, 0, 1),
        Place(Section.MESSAGES, 1, 0),
    )
    assert tuple(places) == expected
    assert (places[-1], tuple(places[1:3])) == (expected[-1], expected[1:3])
    with pytest.raises(IndexError):
        places[6]


def test_the_clients_marks_are_found() -> None:
    assert lay_out(PROMPT, scope=b"", ratios=PLAIN).marks == {4: FIVE}


def test_an_automatic_mark_goes_to_the_last_block_that_takes_one() -> None:
    hour = Mark("1h")
    unmarked = replace(
        PROMPT, messages=(*PROMPT.messages, Piece(Role.USER, (block("more"),))), auto_mark=hour
    )
    assert lay_out(unmarked, scope=b"", ratios=PLAIN).marks == {4: FIVE, 6: hour}
    # A mark that the client set itself has the say.
    assert lay_out(replace(PROMPT, auto_mark=hour), scope=b"", ratios=PLAIN).marks == {4: FIVE}


def test_a_mark_does_not_rename_a_prefix() -> None:
    unmarked = replace(
        PROMPT, messages=(Piece(Role.USER, (block("u", 5), block("u2", 6))), PROMPT.messages[1])
    )
    assert lay_out(unmarked, scope=b"", ratios=PLAIN).chain == lay_out(PROMPT, scope=b"", ratios=PLAIN).chain


def test_another_scope_shares_nothing() -> None:
    one, other = (lay_out(PROMPT, scope=scope, ratios=PLAIN).chain for scope in (b"a", b"b"))
    assert not set(one) & set(other)


def test_how_messages_are_cut_into_blocks_does_not_rename_their_prefixes() -> None:
    merged = replace(
        PROMPT, messages=(Piece(Role.USER, PROMPT.messages[0].blocks + PROMPT.messages[1].blocks),)
    )
    assert lay_out(merged, scope=b"", ratios=PLAIN).chain == lay_out(PROMPT, scope=b"", ratios=PLAIN).chain


def test_an_empty_prompt_has_no_blocks() -> None:
    layout = lay_out(Prompt((), (), (), auto_mark=FIVE), scope=b"", ratios=ADDING)
    assert (layout.chain, layout.total_tokens, len(layout.places), layout.marks) == ((), 0, 0, {})
    assert layout.last_markable(0) is None
