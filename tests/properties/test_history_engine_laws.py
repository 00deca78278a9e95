"""Random conversations with history settings through the engine, in front of the provider double."""

import asyncio
import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_history_laws import turns

from bursar.exchange.history_memo import HistoryMemo
from bursar.exchange.rewriting import RewriteMemo
from bursar.policy.history.options import HistoryOptions
from bursar.wire.dialect import Dialect
from bursar.wire.memo import PieceMemo
from history_conversations import Turn, messages_of
from history_scene import SUMMARISERS, HistoryScene, canonical, check_valid, summary_answer, talk
from scripted_world import check_sums, whole
from wire_bodies import ANTHROPIC, OPENAI

FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    begun = draw(st.lists(turns(), max_size=5))
    return [*begun, draw(turns(last=True))]


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    tokens = draw(st.none() | st.integers(50, 800))
    return {
        "tokens": tokens,
        "limit": draw(st.none() | st.integers(tokens or 50, 1_500)),
        "recent_tokens": draw(st.none() | st.integers(0, 200)),
        "pinned": draw(st.sampled_from([(), ("wa",), ("rrr",)])),
        "summary_tokens_max": 20,
    }


def calls_of(dialect: Dialect, conversation: list[Turn]) -> list[dict[str, Any]]:
    """Return the requests by which a conversation comes about."""
    messages = messages_of(dialect, conversation)
    ends = [n for n, each in enumerate(messages) if each["role"] == "assistant"]
    return [{**talk(dialect, 0), "messages": messages[:end]} for end in (*ends, len(messages))]


@both
@FEW
@given(conversation=conversations(), said=options(), data=st.data())
def test_what_goes_out_is_valid_adds_up_and_is_the_same_after_a_restart(
    dialect: Dialect, conversation: list[Turn], said: dict[str, Any], data: st.DataObject
) -> None:
    bought = data.draw(st.booleans())
    history = HistoryOptions(**said, summary_model=SUMMARISERS[dialect.name] if bought else None)
    works = data.draw(st.booleans())
    answer = summary_answer(dialect) if works else whole(b"garbage")
    calls = calls_of(dialect, conversation)
    gaps = data.draw(st.lists(st.sampled_from([5.0, 7_200.0]), min_size=len(calls), max_size=len(calls)))

    results = data.draw(st.sampled_from(["lossless", "off"]))

    async def play() -> None:
        scene = HistoryScene(history, *([answer] if bought else []), results=results)
        for body, gap_s in zip(calls, gaps, strict=True):
            scene.clock.time_s += gap_s
            reply = await scene.play(body)
            assert reply.status == 200
        check_valid(dialect, scene)
        for number, entry in enumerate(scene.ledger.entries):
            check_sums(entry)
            assert entry.attempts[-1].cost_nusd == scene.provider.costs_nusd[number]
            assert set(entry.faults) <= {"history_limit", "history_summary", "history_memo_lost"}
        first = canonical(scene.provider.messages())[1 if dialect is OPENAI else 0]
        assert first["content"][0]["text"] == conversation[0].text
        # Beyond its limit a prompt is rewritten whatever that costs; and whether results are shortened, in a
        # thread without a step, hangs on what the cache holds.
        if said["limit"] is None and results == "off":
            again = HistoryScene(
                history, *([answer] if bought else []), content=scene.content, results=results
            )
            # What the providers' caches hold decides whether a further step pays, so both must know the same.
            learned = copy.deepcopy(scene.engine)
            again.engine = replace(learned, history=HistoryMemo(), rewritten=RewriteMemo(), memo=PieceMemo())
            again.clock.time_s = scene.clock.time_s + 5.0
            scene.clock.time_s = again.clock.time_s
            await scene.play(calls[-1])
            await again.play(calls[-1])
            assert canonical(again.provider.messages()) == canonical(scene.provider.messages())

    asyncio.run(play())
