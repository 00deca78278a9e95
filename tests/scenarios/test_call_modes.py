"""What goes upstream in each mode, and what is booked for it."""

import json
from typing import Any

import pytest

from bursar.domain.ledger import Technique
from bursar.policy import order
from bursar.policy.agent import AgentPolicy, PolicyBook
from provider_answers import completion, message, message_events
from scripted_world import Answer, Scene, ask, chat, stream, whole

POLICY = "You help travellers and follow the rules of the house. " * 300
TOOLS = [{"name": "find", "description": "Finds a flight. " * 20, "input_schema": {"type": "object"}}]


def talk(turn: int) -> dict[str, Any]:
    """The request of a turn of one conversation, with a policy long enough to be cached."""
    messages: list[Any] = [{"role": "user", "content": "Hello, I need a flight. " * 8}]
    for number in range(turn):
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": f"Answer {number}"}]},
            {"role": "user", "content": f"Question {number} " * 30},
        ]
    return ask(system=POLICY, tools=TOOLS, messages=messages)


def marks_in(body: bytes) -> int:
    return body.count(b'"cache_control"')


async def ask_alone(scene: Scene, times: int, **fields: Any) -> None:
    """Ask questions that nobody follows up, each with a long text of its own; fields make them OpenAI's."""
    for number in range(times):
        messages = [{"role": "user", "content": f"{number}. {POLICY}"}]
        await scene.play(chat(messages=messages, **fields) if fields else ask(messages=messages))


def warm_answer(read: int, written: int) -> Answer:
    return whole(
        message(
            usage={
                "input_tokens": 100,
                "cache_read_input_tokens": read,
                "cache_creation_input_tokens": written,
                "output_tokens": 10,
            }
        )
    )


@pytest.mark.parametrize("setting", ["observe", "passthrough"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_bytes_stay_as_they_came(setting: str, streaming: bool) -> None:
    answer = stream(*message_events()) if streaming else whole(message())
    scene = Scene(answer, mode=setting)
    for turn in range(3):
        body = json.dumps(talk(turn) | {"stream": streaming, "unknown": {"a": [1.0, 1e5]}}, indent=2).encode()
        await scene.play(body)
        assert scene.upstream.requests[-1].body == body
    assert {entry.mode for entry in scene.ledger.entries} == {setting}
    assert all(entry.saved_nusd == 0 and not entry.shares for entry in scene.ledger.entries)


async def test_openais_stream_stays_as_it_came_in_observe_mode_too() -> None:
    scene = Scene(whole(completion()), mode="observe")
    body = json.dumps(chat(stream=True), indent=2).encode()
    await scene.play(body)
    assert scene.upstream.requests[0].body == body


async def test_optimise_marks_what_pays() -> None:
    scene = Scene(whole(message()), mode="optimise")
    await scene.play(talk(1))
    assert marks_in(scene.upstream.requests[0].body) >= 1
    assert scene.entry.mode == "optimise"


@pytest.mark.parametrize(
    ("turn", "tools", "marked"),
    [(0, TOOLS, True), (1, None, True), (0, None, False)],
    ids=["tools", "an answer in the history", "a lone question like many before"],
)
async def test_a_first_call_is_marked_where_more_are_likely_to_come(
    turn: int, tools: Any, marked: bool
) -> None:
    body = talk(turn)
    del body["tools"]
    if tools:
        body["tools"] = tools
    scene = Scene(whole(message()))
    await ask_alone(scene, 5)
    await scene.play(body)
    assert (marks_in(scene.upstream.requests[-1].body) > 0) == marked


async def test_the_first_lone_questions_of_all_are_marked_to_see_whether_they_stay_alone() -> None:
    scene = Scene(whole(message()))
    for number in range(9):
        body = ask(messages=[{"role": "user", "content": f"{number}. {POLICY}"}])
        await scene.play(body, {"x-bursar-tenant": f"tenant-{number % 4}"})
    assert [marks_in(request.body) > 0 for request in scene.upstream.requests] == [True] * 5 + [False] * 4


async def test_marks_that_stand_inside_a_block_count_too() -> None:
    """Providers count every mark, and refuse a fifth."""
    mark = {"cache_control": {"type": "ephemeral"}}
    results = [{"type": "text", "text": f"Found {n}. " * 300, **mark} for n in range(3)]
    body = talk(1)
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "find", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": results}]},
    ]
    scene = Scene(whole(message()))
    await scene.play(body)
    assert marks_in(scene.upstream.requests[0].body) <= 4
    assert scene.entry.faults == ("unseen_marks",)


async def test_with_prefix_caching_off_nothing_is_marked() -> None:
    scene = Scene(whole(message()), policies=PolicyBook(AgentPolicy(prefix_cache=False)))
    body = json.dumps(talk(1)).encode()
    await scene.play(body)
    assert scene.upstream.requests[0].body == body


@pytest.mark.parametrize("setting", ["observe", "optimise", "passthrough"])
@pytest.mark.parametrize("header", ["observe", "optimise", "passthrough"])
async def test_a_calls_own_mode_wins(setting: str, header: str) -> None:
    scene = Scene(whole(message()), mode=setting)
    body = json.dumps(talk(1)).encode()
    await scene.play(body, {"x-bursar-mode": header})
    assert scene.entry.mode == header
    assert (scene.upstream.requests[0].body != body) == (header == "optimise")


async def test_observe_books_what_would_have_been_saved() -> None:
    scene = Scene(whole(message(usage={"input_tokens": 5000, "output_tokens": 10})), mode="observe")
    for turn in range(3):
        await scene.play(talk(turn))
    first, second, third = scene.ledger.entries
    # The first would have paid the premium of a cache write, the others would have read it.
    assert first.would_save[Technique.PREFIX_CACHE] < 0
    assert second.would_save[Technique.PREFIX_CACHE] > 0
    assert third.would_save[Technique.PREFIX_CACHE] > 0
    assert all(entry.shares == {} for entry in scene.ledger.entries)
    assert all(entry.cost_nusd == entry.baseline_nusd for entry in scene.ledger.entries)


@pytest.mark.parametrize("setting", ["optimise", "passthrough"])
async def test_only_observe_says_what_would_have_been_saved(setting: str) -> None:
    scene = Scene(whole(message()), mode=setting)
    for turn in range(2):
        await scene.play(talk(turn))
    assert all(entry.would_save == {} for entry in scene.ledger.entries)


async def test_optimise_books_a_share_against_the_call_as_it_came() -> None:
    scene = Scene(warm_answer(0, 4900), warm_answer(4900, 100))
    for turn in range(2):
        await scene.play(talk(turn))
    first, second = scene.ledger.entries
    # Writes cost a quarter more than input, reads a tenth: 5,000 tokens uncached cost 15,000,000 nusd.
    assert first.baseline_nusd == 5000 * 3000 + 10 * 15_000
    assert first.shares[Technique.PREFIX_CACHE] == -(4900 * 750)
    assert second.baseline_nusd == 5100 * 3000 + 10 * 15_000
    assert second.shares[Technique.PREFIX_CACHE] == 4900 * 2700 - 100 * 750


async def test_a_client_that_marks_by_itself_is_its_own_baseline() -> None:
    scene = Scene(warm_answer(0, 4900), warm_answer(4900, 100))
    for turn in range(2):
        body = talk(turn)
        body["system"] = [{"type": "text", "text": POLICY, "cache_control": {"type": "ephemeral"}}]
        body["messages"][-1]["content"] = [
            {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}}
        ]
        await scene.play(body)
        assert scene.ledger.entries[-1].saved_nusd == 0


async def test_a_technique_that_fails_changes_nothing_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(case: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(order, "_ORDER", (("prefix_cache", fail),))
    scene = Scene(whole(message()))
    body = json.dumps(talk(1)).encode()
    reply = await scene.play(body)
    assert reply.status == 200
    assert scene.upstream.requests[0].body == body
    assert scene.entry.faults == ("prefix_cache",)


async def test_a_request_that_cannot_be_written_anew_goes_out_as_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("a bug")

    monkeypatch.setattr("bursar.wire.anthropic.AnthropicMessages.write", fail)
    scene = Scene(whole(message()))
    body = json.dumps(talk(1)).encode()
    reply = await scene.play(body)
    assert reply.status == 200
    assert scene.upstream.requests[0].body == body
    assert scene.entry.faults == ("write",)
    assert scene.entry.saved_nusd == 0


async def test_a_model_without_cache_rules_goes_out_as_it_came() -> None:
    scene = Scene(whole(message()), admit_unpriced=True)
    body = json.dumps(talk(1) | {"model": "some-other-model"}).encode()
    await scene.play(body)
    assert scene.upstream.requests[0].body == body


def long_chat(turn: int, **fields: Any) -> dict[str, Any]:
    messages: list[Any] = [
        {"role": "system", "content": POLICY},
        {"role": "user", "content": "Hello. " * 50},
    ]
    for number in range(turn):
        messages += [
            {"role": "assistant", "content": f"Answer {number}"},
            {"role": "user", "content": f"Question {number} " * 30},
        ]
    return chat(messages=messages, **fields)


async def test_openais_calls_with_one_prefix_get_one_cache_key() -> None:
    scene = Scene(whole(completion()))
    for turn in range(2):
        await scene.play(long_chat(turn))
    keys = [json.loads(request.body)["prompt_cache_key"] for request in scene.upstream.requests]
    assert keys[0] == keys[1]
    await scene.play(long_chat(0, prompt_cache_key="mine"))
    assert json.loads(scene.upstream.requests[-1].body)["prompt_cache_key"] == "mine"


async def test_where_writes_are_billed_a_one_shot_call_is_sent_without_the_providers_breakpoint() -> None:
    scene = Scene(whole(completion()), mode="optimise")
    await ask_alone(scene, 6, model="gpt-6.1-sol")
    sent = json.loads(scene.upstream.requests[-1].body)
    assert sent["prompt_cache_options"] == {"mode": "explicit"}


async def test_what_the_client_says_about_caching_is_completed_not_replaced() -> None:
    scene = Scene(whole(completion()), mode="optimise")
    options = {"ttl": "30m"}
    body = chat(
        model="gpt-6.1-sol", prompt_cache_options=options, messages=[{"role": "user", "content": POLICY}]
    )
    await ask_alone(scene, 5, model="gpt-6.1-sol")
    await scene.play(body)
    assert json.loads(scene.upstream.requests[-1].body)["prompt_cache_options"] == {
        "ttl": "30m",
        "mode": "explicit",
    }
