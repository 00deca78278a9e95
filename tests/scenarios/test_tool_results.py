"""Tool results on their way through: shorter, the same at every turn, and only where that pays."""

import json
from typing import Any

import pytest

from bursar.domain.ledger import Technique
from bursar.exchange import rewriting
from bursar.exchange.rewriting import handle_of
from bursar.policy.agent import AgentPolicy, PolicyBook, ToolResultPolicy
from bursar.policy.tool_results.codec import decode
from bursar.policy.tool_results.limits import Limits
from bursar.ports import ContentKey, ContentKind
from provider_answers import completion, message
from scripted_world import Answer, Scene, ask, chat, check_sums, whole

POLICY = "You help travellers and follow the rules of the house. " * 300


def flights(number: int) -> str:
    rows = [{"flight": f"HAT{number}{row}", "seats": {"economy": row, "business": 3}} for row in range(12)]
    return json.dumps(rows, indent=2)


def anthropic_talk(results: list[str]) -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": "Which flights are there?"}]
    for number, result in enumerate(results):
        call = {"type": "tool_use", "id": f"t{number}", "name": "find", "input": {"page": number}}
        outcome = {"type": "tool_result", "tool_use_id": f"t{number}", "content": result}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [outcome]}]
    return ask(system=POLICY, messages=messages)


def openai_talk(results: list[str]) -> dict[str, Any]:
    messages: list[Any] = [
        {"role": "system", "content": POLICY},
        {"role": "user", "content": "Which flights are there?"},
    ]
    for number, result in enumerate(results):
        function = {"name": "find", "arguments": json.dumps({"page": number})}
        call = {"id": f"t{number}", "type": "function", "function": function}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"t{number}", "content": result},
        ]
    return chat(messages=messages)


def sent_results(body: bytes) -> list[str]:
    texts: list[str] = []
    for each in json.loads(body)["messages"]:
        if each["role"] == "tool":
            texts.append(each["content"])
        elif isinstance(each["content"], list):
            texts += [block["content"] for block in each["content"] if block["type"] == "tool_result"]
    return texts


def with_policy(scene: Scene, **settings: Any) -> Scene:
    policies = PolicyBook(AgentPolicy(tool_results=ToolResultPolicy(**settings)))
    # The engine's options never change in operation; a scene is made with the default ones.
    object.__setattr__(scene.engine.options, "policies", policies)
    return scene


DIALECTS = pytest.mark.parametrize(
    ("talk", "answer"),
    [(anthropic_talk, whole(message())), (openai_talk, whole(completion()))],
    ids=["anthropic", "openai"],
)


@DIALECTS
async def test_results_get_shorter_without_loss_and_stay_the_same_at_every_turn(
    talk: Any, answer: Answer
) -> None:
    scene = Scene(answer)
    results = [flights(number) for number in range(6)]
    for turn in range(1, 7):
        await scene.play(talk(results[:turn]))
    sent = [sent_results(request.body) for request in scene.upstream.requests]
    for turn, texts in enumerate(sent, start=1):
        assert texts == sent[-1][:turn]
    for text, original in zip(sent[-1], results, strict=True):
        assert len(text) < len(original) / 2
        assert json.loads(decode(text)) == json.loads(original)
    for entry in scene.ledger.entries:
        check_sums(entry)
    assert sum(entry.shares.get(Technique.TOOL_RESULTS, 0) for entry in scene.ledger.entries) > 0


@DIALECTS
async def test_a_restart_changes_no_byte(talk: Any, answer: Answer) -> None:
    before, after = Scene(answer), Scene(answer)
    results = [flights(number) for number in range(5)]
    for turn in range(1, 6):
        await before.play(talk(results[:turn]))
    await after.play(talk(results))
    assert sent_results(after.upstream.requests[0].body) == sent_results(before.upstream.requests[-1].body)


async def test_a_fork_and_an_edited_history_get_their_own_bytes() -> None:
    scene = Scene(whole(message()))
    results = [flights(number) for number in range(5)]
    await scene.play(anthropic_talk(results))
    await scene.play(anthropic_talk([*results[:3], flights(77), results[4]]))
    sent = sent_results(scene.upstream.requests[1].body)
    assert json.loads(decode(sent[3])) == json.loads(flights(77))
    assert sent[:3] == sent_results(scene.upstream.requests[0].body)[:3]


async def test_observe_leaves_the_bytes_and_says_what_it_would_have_saved() -> None:
    scene = Scene(whole(message()), mode="observe")
    body = json.dumps(anthropic_talk([flights(1)])).encode()
    await scene.play(body)
    assert scene.upstream.requests[0].body == body
    assert scene.entry.would_save[Technique.TOOL_RESULTS] > 0
    assert not scene.entry.shares


async def test_what_the_provider_holds_as_it_came_stays_until_it_has_lapsed() -> None:
    """To shorten what is cached would have all of it written anew."""
    mark = {"type": "ephemeral"}
    scene = Scene(whole(message()))
    results = [flights(number) for number in range(3)]
    warm = anthropic_talk(results)
    warm["messages"][-1]["content"][0]["cache_control"] = mark
    await scene.play(warm, {"x-bursar-mode": "passthrough"})
    scene.clock.time_s += 20
    following = anthropic_talk([*results, "{}"])
    following["messages"][-1]["content"][0]["cache_control"] = mark
    await scene.play(following)
    assert sent_results(scene.upstream.requests[1].body)[:3] == results
    scene.clock.time_s += 2 * 3600
    await scene.play(anthropic_talk([*results, "{}", "{}"]))
    assert all(len(text) < 600 for text in sent_results(scene.upstream.requests[2].body))


async def test_the_same_result_again_becomes_a_reference() -> None:
    scene = Scene(whole(message()))
    await scene.play(anthropic_talk([flights(1), flights(2), flights(1)]))
    first, _, again = sent_results(scene.upstream.requests[0].body)
    assert json.loads(decode(first)) == json.loads(flights(1))
    assert again == "[the same as tool result 1 of this conversation, of find]"


async def test_switched_off_results_go_out_as_they_came() -> None:
    scene = with_policy(Scene(whole(message())), mode="off")
    await scene.play(anthropic_talk([flights(1)]))
    assert sent_results(scene.upstream.requests[0].body) == [flights(1)]


async def test_limits_leave_out_what_the_handle_gives_back() -> None:
    scene = with_policy(Scene(whole(message())), mode="truncate", limits=Limits(tokens_max=30))
    text = flights(1)
    await scene.play(anthropic_talk([text]))
    [sent] = sent_results(scene.upstream.requests[0].body)
    handle = handle_of("default", text)
    assert handle in sent
    assert len(sent) < len(text) / 2
    key = ContentKey("default", ContentKind.RESULT, bytes.fromhex(handle))
    assert await scene.world.content.get(key, scene.clock.now()) == text.encode()
    other = ContentKey("acme", ContentKind.RESULT, bytes.fromhex(handle))
    assert await scene.world.content.get(other, scene.clock.now()) is None


async def test_a_full_result_stays_for_as_long_as_calls_lead_to_it() -> None:
    scene = with_policy(Scene(whole(message())), mode="truncate", limits=Limits(tokens_max=30))
    key = ContentKey("default", ContentKind.RESULT, bytes.fromhex(handle_of("default", flights(0))))
    talks = [[flights(0)], [flights(0), flights(1)], [flights(2), flights(0)], [flights(2), flights(0)]]
    first = ""
    for results in talks * 2:
        await scene.play(anthropic_talk(results))
        sent = sent_results(scene.upstream.requests[-1].body)[results.index(flights(0))]
        first = first or sent
        assert sent == first
        scene.clock.time_s += 10 * 3600
        assert await scene.world.content.get(key, scene.clock.now()) == flights(0).encode()


async def test_a_result_that_cannot_be_kept_again_has_the_bytes_that_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = with_policy(Scene(whole(message())), mode="truncate", limits=Limits(tokens_max=30))
    await scene.play(anthropic_talk([flights(1)]))

    async def refuse(*_: object) -> bool:
        return False

    monkeypatch.setattr(scene.world.content, "put", refuse)
    scene.clock.time_s += 10 * 3600
    await scene.play(anthropic_talk([flights(1)]))
    first, second = (sent_results(request.body) for request in scene.upstream.requests)
    assert second == first


async def test_a_tool_may_have_limits_of_its_own() -> None:
    scene = with_policy(Scene(whole(message())), by_tool={"find": Limits(rows_max=2)})
    await scene.play(anthropic_talk([flights(1)]))
    [sent] = sent_results(scene.upstream.requests[0].body)
    assert "HAT11" in sent
    assert "HAT12" not in sent


async def test_nothing_is_left_out_that_could_not_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = with_policy(Scene(whole(message())), mode="truncate", limits=Limits(tokens_max=30))

    async def refuse(*_: object) -> bool:
        return False

    monkeypatch.setattr(scene.world.content, "put", refuse)
    await scene.play(anthropic_talk([flights(1)]))
    [sent] = sent_results(scene.upstream.requests[0].body)
    assert json.loads(decode(sent)) == json.loads(flights(1))


async def test_if_shortening_fails_the_call_goes_out_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(rewriting, "read_result_texts", fail)
    scene = Scene(whole(message()))
    await scene.play(anthropic_talk([flights(1)]))
    assert sent_results(scene.upstream.requests[0].body) == [flights(1)]
    assert scene.entry.faults == ("tool_results",)
