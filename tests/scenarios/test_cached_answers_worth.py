"""What a call that was answered without the provider saved, and what it leaves of the caches we model."""

import json
from typing import Any

import pytest

from bursar.domain.ledger import Entry, Technique
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.response_cache import CacheUse, ResponseCacheOptions
from bursar.replay.calls import RecordedCall
from bursar.replay.traffic import read_logged_call
from bursar.settings import Settings, parse
from bursar.wiring.replay import build_replay
from provider_answers import completion, message
from scripted_world import Scene, ask, check_sums, whole

POLICY = "Answer in two sentences, and name the rule that you went by. " * 400
MARK = {"cache_control": {"type": "ephemeral"}}
# Claude Sonnet 4.6, in nusd a token: input, read, output.
INPUT, READ, OUTPUT = 3_000, 300, 15_000
PROMPT, ANSWER = 5_000, 20
PLAIN, WARM = PROMPT * INPUT + ANSWER * OUTPUT, PROMPT * READ + ANSWER * OUTPUT


def asked(*, marked: bool = False, **fields: Any) -> dict[str, Any]:
    """A long prompt at temperature 0, all of it marked by its client or nothing."""
    mark = MARK if marked else {}
    system = [{"type": "text", "text": POLICY}]
    messages = [{"role": "user", "content": [{"type": "text", "text": "May I?", **mark}]}]
    return ask(temperature=0, system=system, messages=messages, **fields)


def scene(**policy: Any) -> Scene:
    usage = {"input_tokens": PROMPT, "output_tokens": ANSWER}
    return Scene(whole(message(usage=usage)), policies=PolicyBook(AgentPolicy(**policy)))


async def play(played: Scene, body: Any) -> Entry:
    await played.play(body)
    entry = played.ledger.entries[-1]
    check_sums(entry)
    return entry


async def test_the_cache_of_answers_saves_the_warm_price_and_that_of_prompts_the_rest() -> None:
    played = scene()
    await play(played, asked())
    hit = await play(played, asked())
    assert (hit.cost_nusd, hit.baseline_nusd) == (0, PLAIN)
    assert hit.shares == {Technique.RESPONSE_CACHE: WARM, Technique.PREFIX_CACHE: PLAIN - WARM}


async def test_a_client_that_keeps_its_prompt_warm_is_saved_the_warm_price_only() -> None:
    played = scene()
    await play(played, asked(marked=True))
    hit = await play(played, asked(marked=True))
    assert hit.baseline_nusd == WARM
    assert hit.shares == {Technique.RESPONSE_CACHE: WARM}


async def test_where_nobody_keeps_prompts_warm_an_answer_saves_all_of_the_price() -> None:
    played = scene(prefix_cache=False)
    await play(played, asked())
    hit = await play(played, asked())
    assert hit.shares == {Technique.RESPONSE_CACHE: PLAIN}


async def test_a_prompt_that_no_provider_caches_saves_its_plain_price() -> None:
    played = scene()
    short = ask(temperature=0)
    made = await play(played, short)
    hit = await play(played, short)
    assert hit.shares == {Technique.RESPONSE_CACHE: made.cost_nusd}


async def test_a_model_without_a_price_saves_nobody_knows_what() -> None:
    played = Scene(whole(message()), admit_unpriced=True)
    unknown = ask(temperature=0, model="claude-unheard-of")
    await play(played, unknown)
    hit = await play(played, unknown)
    assert (hit.cost_nusd, hit.baseline_nusd, hit.shares) == (0, None, {})


async def test_as_sent_a_prompt_stays_warm_by_calls_that_were_not_made() -> None:
    played = scene(response_cache=ResponseCacheOptions(ttl_s=500))
    baselines: list[int | None] = []
    for gap_s in (0, 200, 200, 200):
        played.clock.time_s += gap_s
        baselines.append((await play(played, asked(marked=True))).baseline_nusd)
    # The last is made anew, 200 s after a call that would have renewed what its client's marks wrote.
    assert played.observer.cache_uses == [CacheUse.MISS, CacheUse.HIT, CacheUse.HIT, CacheUse.MISS]
    assert baselines[1:] == [WARM] * 3


async def test_an_answer_from_the_cache_is_no_arrival_that_the_providers_cache_could_be_planned_by() -> None:
    played = scene()
    await play(played, asked())
    before = played.engine.rhythm.arrivals(("default", "default", True, False, True)), len(played.engine.sent)
    await play(played, asked())
    assert before == (
        played.engine.rhythm.arrivals(("default", "default", True, False, True)),
        len(played.engine.sent),
    )
    assert before[0] == 1


async def test_the_thread_learns_an_answer_from_the_cache() -> None:
    played = scene()
    first = await play(played, asked())
    hit = await play(played, asked())
    more = [
        *asked()["messages"],
        {"role": "assistant", "content": message()["content"]},
        {"role": "user", "content": "And she?"},
    ]
    going_on = await play(played, asked() | {"messages": more})
    assert going_on.attempts
    assert going_on.turn == 1
    assert going_on.thread in {first.thread, hit.thread}


def logged(at: str, question: str = "May I?", model: str = "claude-sonnet-4-6") -> RecordedCall:
    is_openai = model.startswith("gpt")
    system: Any = [{"type": "text", "text": POLICY, **({} if is_openai else MARK)}]
    messages: list[Any] = [{"role": "user", "content": question}]
    head = {"messages": [{"role": "system", "content": system}, *messages]}
    line = {
        "at": at,
        "dialect": "openai.chat" if is_openai else "anthropic.messages",
        "tenant": "acme",
        "conversation": at,
        "request": {"model": model, "temperature": 0, "max_tokens": 100}
        | (head if is_openai else {"system": system, "messages": messages}),
        "response": completion() if is_openai else message(),
    }
    return read_logged_call(json.dumps(line).encode(), "log:1")


def replayed(settings: Settings, *calls: RecordedCall) -> list[Entry]:
    runner, _ = build_replay(settings, bounded=False)
    return list(runner.play(calls))


TIMES = ("2026-11-20T10:00:00Z", "2026-11-20T10:02:00Z", "2026-11-20T10:59:00Z", "2026-11-20T11:30:00Z")


def test_a_replay_forgets_answers_when_the_gateway_would() -> None:
    entries = replayed(Settings(), *(logged(at) for at in TIMES))
    assert [bool(entry.attempts) for entry in entries] == [True, False, False, True]


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-4o"])
def test_with_answers_from_the_cache_the_baseline_is_still_the_bill_as_sent(model: str) -> None:
    calls = [logged(at, question, model) for at in TIMES for question in ("May I?", "May she?")]
    optimised = replayed(Settings(), *calls)
    passed = replayed(parse({"mode": "passthrough"}, "test"), *calls)
    assert [entry.baseline_nusd for entry in optimised] == [entry.cost_nusd for entry in passed]
    assert sum(not entry.attempts for entry in optimised) == 4
