import pytest

from bursar.domain.prompt import Block, BlockKind, ContentClass
from bursar.domain.tokens import Basis, Estimate, Overhead, RatioBook, TokenRatios, byte_bound

CLAUDE = TokenRatios("claude", dict.fromkeys(ContentClass, 1070), Basis.CALIBRATED)
UNKNOWN = TokenRatios("unknown", dict.fromkeys(ContentClass, 1600), Basis.BOUND)


@pytest.mark.parametrize(("base", "tokens"), [(0, 0), (1, 2), (100, 107), (101, 109)])
def test_a_ratio_rounds_up(base: int, tokens: int) -> None:
    assert CLAUDE.convert(base, ContentClass.CHAT) == tokens
    assert CLAUDE.tokens(Block(BlockKind.TEXT, ContentClass.CHAT, b"", base)) == tokens


def test_each_content_class_has_its_own_ratio() -> None:
    ratios = TokenRatios(
        "two", dict.fromkeys(ContentClass, 1000) | {ContentClass.CODE: 1500}, Basis.CALIBRATED
    )
    assert [ratios.convert(100, c) for c in (ContentClass.CHAT, ContentClass.CODE)] == [100, 150]


def test_an_unknown_model_gets_the_bound() -> None:
    book = RatioBook([("claude-*", CLAUDE)], UNKNOWN)
    assert book.ratios("claude-sonnet-4-6") is CLAUDE
    assert book.ratios("llama-4") is UNKNOWN


def test_the_byte_bound_holds_what_the_provider_adds() -> None:
    overhead = Overhead(request_tokens=3, tools_tokens=346, system_tokens=1, message_tokens=4)
    # 1,000 bytes, 3 for the request, 346 for tools, 4 for each of 5 messages.
    assert byte_bound(1000, overhead, messages=5) == Estimate(1000 + 3 + 346 + 4 * 5, Basis.BOUND)
