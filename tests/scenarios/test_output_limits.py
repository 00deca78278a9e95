"""Limits on output: only where the operator asked for them."""

import json
from typing import Any

from bursar.domain.windows import Window, WindowBook
from bursar.exchange import planning
from bursar.policy.agent import AgentPolicy, OutputPolicy, PolicyBook
from bursar.wire.output import OutputLimits
from provider_answers import completion, message
from scripted_world import Scene, ask, chat, check_sums, whole


def limited(*answers: Any, **limits: Any) -> Scene:
    general = OutputLimits(**limits)
    policy = AgentPolicy(output=OutputPolicy(general, {"triage": OutputLimits(max_tokens=5)}))
    return Scene(*answers, policies=PolicyBook(policy))


def sent(scene: Scene) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(scene.upstream.requests[-1].body)
    return body


async def test_nothing_is_limited_unasked() -> None:
    scene = Scene(whole(message()))
    reply = await scene.play(ask(max_tokens=9000))
    assert sent(scene)["max_tokens"] == 9000
    assert "x-bursar-max-tokens" not in reply.headers


async def test_a_lowered_limit_is_sent_and_told() -> None:
    scene = limited(whole(message()), max_tokens=50)
    reply = await scene.play(ask(max_tokens=9000))
    assert sent(scene)["max_tokens"] == 50
    assert reply.headers["x-bursar-max-tokens"] == "50"


async def test_a_task_has_its_own_limits() -> None:
    scene = limited(whole(completion()), max_tokens=50)
    await scene.play(chat(), {"x-bursar-task": "triage"})
    assert sent(scene)["max_completion_tokens"] == 5


async def test_a_lower_limit_of_the_client_stays() -> None:
    scene = limited(whole(message()), max_tokens=500)
    reply = await scene.play(ask(max_tokens=90))
    assert sent(scene)["max_tokens"] == 90
    assert "x-bursar-max-tokens" not in reply.headers


async def test_a_limit_that_no_answer_of_the_model_reaches_is_not_asked_for() -> None:
    scene = limited(whole(completion()), max_tokens=50_000)
    scene.engine.windows = WindowBook([Window("gpt-4o", "openai.chat", 128_000, 16_384)])
    await scene.play(chat())
    assert "max_completion_tokens" not in sent(scene)


async def test_observe_and_passthrough_leave_the_limit_alone() -> None:
    for mode in ("observe", "passthrough"):
        scene = limited(whole(message()), max_tokens=50)
        await scene.play(ask(max_tokens=9000), {"x-bursar-mode": mode})
        assert sent(scene)["max_tokens"] == 9000


async def test_if_limiting_fails_the_call_goes_out_as_it_came(monkeypatch: Any) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(planning, "limit_output", fail)
    scene = limited(whole(message()), max_tokens=50)
    await scene.play(ask(max_tokens=9000))
    assert sent(scene)["max_tokens"] == 9000
    assert scene.entry.faults == ("output",)


async def test_a_smaller_thinking_budget_is_a_prompt_of_its_own_to_the_cache() -> None:
    scene = limited(whole(message()), thinking_tokens=2000)
    for turn in range(2):
        body = ask(max_tokens=9000, system="Rules of the house. " * 900)
        body |= {"thinking": {"type": "enabled", "budget_tokens": 4000}}
        body["messages"] += [{"role": "user", "content": f"{turn}"}]
        await scene.play(body)
    assert sent(scene)["thinking"]["budget_tokens"] == 2000
    for entry in scene.ledger.entries:
        check_sums(entry)
