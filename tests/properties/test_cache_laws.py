"""Laws that hold for every cache, prompt and moment; and those of layouts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cache_rules
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Block, BlockKind, ContentClass, Mark, Piece, Prompt, Role, digest
from bursar.domain.tokens import Basis, Overhead, TokenRatios
from bursar.domain.usage import TokenClass

# Small numbers, so that short rows of blocks meet every bound.
ANTHROPIC = replace(cache_rules.ANTHROPIC, minimum_tokens=100, lookback_blocks=3)
AUTOMATIC = replace(cache_rules.OPENAI_AUTOMATIC, minimum_tokens=100, step_tokens=32)
AT_MARKS = replace(cache_rules.OPENAI_MARKS, minimum_tokens=100, matching_marks=6)
# Seven laws by three kinds: half the usual number of examples each keeps this within seconds.
KINDS = pytest.mark.parametrize("rules", [ANTHROPIC, AUTOMATIC, AT_MARKS], ids=lambda rules: rules.kind.value)
LONGEST_LIFE_S = 43_200


@dataclass(frozen=True)
class Call:
    """One prompt, when it is sent, and how long its response takes to begin."""

    chain: tuple[bytes, ...]
    ends: tuple[int, ...]
    message_ends: tuple[int, ...]
    marks: Mapping[int, Mark]
    options: CacheOptions
    wait_s: int
    ttfb_s: int


@st.composite
def calls(draw: st.DrawFn) -> Call:
    # Two letters and few lengths, so that prompts share prefixes more often than not.
    letters = draw(st.text("ab", min_size=1, max_size=10))
    chain = tuple(letters[: i + 1].encode() for i in range(len(letters)))
    # A prefix has one count, whatever follows it.
    ends = tuple(accumulate(30 + 7 * (ord(letter) - 97) for letter in letters))
    indexes = st.integers(0, len(chain) - 1)
    marks = draw(st.dictionaries(indexes, st.sampled_from([Mark("5m"), Mark("1h"), Mark("30m")]), max_size=4))
    options = CacheOptions(implicit=draw(st.booleans()), ttl=draw(st.sampled_from([None, "12h"])))
    message_ends = tuple(sorted(draw(st.sets(indexes, max_size=4)) | {len(chain) - 1}))
    waits = st.sampled_from([0, 1, 100, 299, 300, 1799, 1800, 3600])
    return Call(
        chain,
        ends,
        tuple(end + 1 for end in message_ends),
        marks,
        options,
        draw(waits),
        draw(st.integers(0, 9)),
    )


def played(history: list[Call], rules: CacheRules) -> tuple[ProviderCache, float]:
    """A cache after some calls, and the time."""
    cache, now_s = ProviderCache(), 0.0
    for call in history:
        now_s += call.wait_s
        outcome = cache.look(call, call.marks, rules, now_s, call.options)
        now_s += call.ttfb_s
        cache.keep(call, outcome, rules, now_s)
    return cache, now_s


HISTORIES = st.lists(calls(), max_size=6)


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls())
def test_every_token_is_read_written_or_plain(rules: CacheRules, history: list[Call], call: Call) -> None:
    cache, now_s = played(history, rules)
    outcome = cache.look(call, call.marks, rules, now_s, call.options)
    assert outcome.read_tokens + sum(outcome.writes.values()) + outcome.input_tokens == call.ends[-1]
    assert min(outcome.read_tokens, outcome.input_tokens) >= 0
    assert all(tokens > 0 for tokens in outcome.writes.values())
    assert (outcome.hit is None) == (outcome.read_tokens == 0)


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls())
def test_a_look_changes_nothing(rules: CacheRules, history: list[Call], call: Call) -> None:
    cache, now_s = played(history, rules)
    before = dict(cache._entries)
    first = cache.look(call, call.marks, rules, now_s, call.options)
    assert cache.look(call, call.marks, rules, now_s, call.options) == first
    assert cache._entries == before


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls())
def test_once_kept_the_same_prompt_reads_all_that_it_wrote(
    rules: CacheRules, history: list[Call], call: Call
) -> None:
    cache, now_s = played(history, rules)
    first = cache.look(call, call.marks, rules, now_s, call.options)
    cache.keep(call, first, rules, now_s)
    again = cache.look(call, call.marks, rules, now_s, call.options)
    assert again.writes == {}
    if rules is AUTOMATIC:
        whole = call.ends[-1] // rules.step_tokens * rules.step_tokens
        assert again.read_tokens == (whole if whole >= rules.minimum_tokens else 0)
    else:
        assert again.read_tokens == first.read_tokens + first.write_tokens


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls())
def test_an_expired_cache_is_a_cold_one(rules: CacheRules, history: list[Call], call: Call) -> None:
    cache, now_s = played(history, rules)
    later_s = now_s + LONGEST_LIFE_S
    cold = ProviderCache().look(call, call.marks, rules, later_s, call.options)
    assert cache.look(call, call.marks, rules, later_s, call.options) == cold


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls(), more=st.integers(1, 5))
def test_a_longer_prompt_reads_no_less(rules: CacheRules, history: list[Call], call: Call, more: int) -> None:
    cache, now_s = played(history, rules)
    chain = (*call.chain, *(call.chain[-1] + b"+" * (i + 1) for i in range(more)))
    ends = (*call.ends, *(call.ends[-1] + 50 * (i + 1) for i in range(more)))
    longer = replace(call, chain=chain, ends=ends, message_ends=(*call.message_ends, len(chain)))
    short = cache.look(call, call.marks, rules, now_s, call.options)
    assert cache.look(longer, call.marks, rules, now_s, call.options).read_tokens >= short.read_tokens


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls())
def test_nothing_below_the_minimum_is_read_or_written(
    rules: CacheRules, history: list[Call], call: Call
) -> None:
    cache, now_s = played(history, rules)
    outcome = cache.look(call, call.marks, rules, now_s, call.options)
    assert all(call.ends[index] >= rules.minimum_tokens for index, _ in outcome.kept)
    assert outcome.read_tokens == 0 or outcome.read_tokens >= rules.minimum_tokens
    assert outcome.write_tokens == 0 or outcome.read_tokens + outcome.write_tokens >= rules.minimum_tokens


@KINDS
@settings(max_examples=50)
@given(history=HISTORIES, call=calls(), total=st.integers(0, 10**7))
def test_scaling_leaves_no_token_out_and_makes_none_up(
    rules: CacheRules, history: list[Call], call: Call, total: int
) -> None:
    cache, now_s = played(history, rules)
    outcome = cache.look(call, call.marks, rules, now_s, call.options)
    assert sum(outcome.scaled(total).values()) == total
    assert outcome.usage(total, 5, 2).prompt_tokens == total
    own = {
        TokenClass.CACHE_READ: outcome.read_tokens,
        **outcome.writes,
        TokenClass.INPUT: outcome.input_tokens,
    }
    assert outcome.scaled(outcome.total_tokens) == {c: n for c, n in own.items() if n}


RATIOS = TokenRatios("r", dict.fromkeys(ContentClass, 1070), Basis.CALIBRATED, Overhead(3, 346, 0, 4))
PIECES = st.lists(st.lists(st.text("ab", max_size=2), min_size=1, max_size=3), max_size=4)


def laid_out(sections: tuple[list[list[str]], list[list[str]], list[list[str]]]) -> Layout:
    def pieces(texts: list[list[str]]) -> tuple[Piece, ...]:
        return tuple(
            Piece(
                Role.USER,
                tuple(
                    Block(BlockKind.TEXT, ContentClass.CHAT, digest(text.encode()), 10 * len(text))
                    for text in piece
                ),
            )
            for piece in texts
        )

    tools, system, messages = map(pieces, sections)
    return lay_out(Prompt(tools, system, messages), scope=b"scope", ratios=RATIOS)


@given(tools=PIECES, system=PIECES, messages=PIECES, more=PIECES)
def test_a_prompt_that_grows_keeps_its_prefixes(
    tools: list[list[str]], system: list[list[str]], messages: list[list[str]], more: list[list[str]]
) -> None:
    short = laid_out((tools, system, messages))
    long = laid_out((tools, system, messages + more))
    blocks = len(short.chain)
    assert long.chain[:blocks] == short.chain
    assert long.ends[:blocks] == short.ends
    assert long.message_ends[: len(messages)] == short.message_ends


@given(sections=st.tuples(PIECES, PIECES, PIECES), data=st.data())
def test_a_changed_block_renames_the_prefixes_from_there_on_and_no_other(
    sections: tuple[list[list[str]], list[list[str]], list[list[str]]], data: st.DataObject
) -> None:
    before = laid_out(sections)
    if not before.chain:
        return
    changed = data.draw(st.integers(0, len(before.chain) - 1))
    place = before.places[changed]
    copy = tuple([list(piece) for piece in section] for section in sections)
    copy[["tools", "system", "messages"].index(place.section)][place.piece][place.block] = "changed"
    after = laid_out(copy)
    # Tools count as a whole: a change to one renames all.
    first = 0 if changed < before.tools_end else changed
    assert after.chain[:first] == before.chain[:first]
    assert not set(after.chain[first:]) & set(before.chain)


@given(sections=st.tuples(PIECES, PIECES, PIECES))
def test_tokens_never_fall_along_a_prompt_and_no_name_comes_twice(
    sections: tuple[list[list[str]], list[list[str]], list[list[str]]],
) -> None:
    layout = laid_out(sections)
    assert list(layout.ends) == sorted(layout.ends)
    assert len(set(layout.chain)) == len(layout.chain)
    assert len(layout.places) == len(layout.blocks) == len(layout.chain) == len(layout.ends)
