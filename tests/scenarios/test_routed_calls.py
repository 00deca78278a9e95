"""Calls that are routed: to the tier that they need, and on where a model cannot be had."""

import json
from dataclasses import replace
from typing import Any

from bursar.adapters.model_limits import load_windows
from bursar.domain.ledger import Entry, Technique
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.routing.options import RoutingOptions
from bursar.policy.routing.tiers import Tier, TierBook
from double_upstream import DoubleUpstream
from provider_answers import message
from scripted_world import Answer, Scene, ask, check_sums, fails, whole

DIALECT = "anthropic.messages"
FAST, STANDARD, COMPLEX = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8"
TIERS = TierBook(
    (
        Tier("fast", DIALECT, (FAST, "claude-3-5-haiku-20241022")),
        Tier("standard", DIALECT, (STANDARD,)),
        Tier("complex", DIALECT, (COMPLEX,)),
    )
)


def routed(
    *answers: Answer, book: TierBook = TIERS, routing: RoutingOptions | None = None, **options: Any
) -> Scene:
    policies = PolicyBook(AgentPolicy(routing=routing or RoutingOptions()))
    scene = Scene(*(answers or (whole(message()),)), tiers=book, policies=policies, retries_max=0, **options)
    scene.engine.windows = load_windows()
    return scene


def models(scene: Scene) -> list[str]:
    return [json.loads(request.body)["model"] for request in scene.upstream.requests]


async def play(scene: Scene, task: str = "", model: str = "bursar/auto", **headers: str) -> Entry:
    named = {f"x-bursar-{name}": value for name, value in headers.items()}
    await scene.play(ask(model=model), {**named, **({"x-bursar-task": task} if task else {})})
    return scene.ledger.entries[-1]


async def test_a_task_goes_to_its_tier_and_an_unknown_one_to_the_standard() -> None:
    for task, model in (("intent_classification", FAST), ("code_generation", COMPLEX), ("other", STANDARD)):
        scene = routed()
        entry = await play(scene, task)
        assert models(scene) == [model]
        assert entry.model == model
        assert "tier_by:task" in entry.decisions


async def test_a_client_may_ask_for_a_tier() -> None:
    scene = routed()
    entry = await play(scene, "code_generation", model="bursar/fast")
    assert models(scene) == [FAST]
    assert entry.decisions == (f"routed:fast:{FAST}", "tier_by:asked", "cheap")


async def test_a_complex_call_of_a_fast_task_goes_one_tier_up_and_no_other_does() -> None:
    for task, model in (("simple_qa", STANDARD), ("customer_support", STANDARD)):
        scene = routed()
        await play(scene, task, complexity="high")
        assert models(scene) == [model]


async def test_a_complexity_that_is_none_is_refused() -> None:
    scene = routed()
    reply = await scene.play(ask(), {"x-bursar-complexity": "very"})
    assert (reply.status, scene.upstream.requests) == (400, [])


async def test_the_rest_goes_where_it_says() -> None:
    scene = routed()
    entry = await play(scene, "intent_classification", model=STANDARD)
    assert scene.upstream.requests[0].body == json.dumps(ask()).encode()
    assert (entry.model, entry.decisions) == (STANDARD, ())


async def test_a_routable_model_is_routed() -> None:
    scene = routed(book=TierBook(TIERS.tiers, routable=frozenset({STANDARD})))
    entry = await play(scene, "intent_classification", model=STANDARD)
    assert models(scene) == [FAST]
    assert entry.shares[Technique.ROUTING] > 0


async def test_a_tier_that_there_is_not_is_named_with_those_that_there_are() -> None:
    scene = routed()
    reply = await scene.play(ask(model="bursar/cheap"))
    assert reply.status == 400
    assert b"bursar/fast" in reply.body
    assert (await Scene(whole(message())).play(ask(model="bursar/auto"))).status == 400


async def test_what_routing_saved_is_the_difference_to_the_baseline() -> None:
    scene = routed()
    entry = await play(scene, "intent_classification")
    plain = routed()
    expected = await play(plain, model=STANDARD)
    assert entry.baseline_nusd == expected.cost_nusd
    assert entry.shares == {Technique.ROUTING: (expected.cost_nusd or 0) - (entry.cost_nusd or 0)}
    check_sums(entry)


async def test_the_stronger_model_costs_more_than_the_baseline_and_that_is_shown() -> None:
    entry = await play(routed(), "financial_analysis")
    assert entry.shares[Technique.ROUTING] < 0
    check_sums(entry)


async def test_where_nothing_acts_an_alias_is_the_baseline() -> None:
    for mode in ("observe", "passthrough"):
        scene = routed(mode=mode)
        entry = await play(scene, "intent_classification")
        assert (models(scene), entry.decisions) == ([STANDARD], ())
    scene = routed(routing=RoutingOptions(enabled=False))
    await play(scene, "intent_classification")
    assert models(scene) == [STANDARD]


async def test_without_a_task_it_is_as_hard_as_it_looks() -> None:
    scene = routed()
    entry = await play(scene)
    assert models(scene) == [FAST]
    assert "tier_by:score" in entry.decisions
    scene = routed(routing=RoutingOptions(thresholds={"standard": 0.0, "complex": 0.01}))
    await play(scene)
    assert models(scene) == [COMPLEX]


async def test_an_agent_may_have_a_tier_and_a_known_task_still_goes_to_its_own() -> None:
    for task, model in (("", COMPLEX), ("unknown", COMPLEX), ("simple_qa", FAST)):
        scene = routed(routing=RoutingOptions(tier="complex"))
        await play(scene, task)
        assert models(scene) == [model]


async def test_an_overloaded_model_is_followed_by_the_next_of_its_tier() -> None:
    for failure in (whole({"type": "error"}, 529), whole({"type": "error"}, 429), fails(sent=False)):
        scene = routed(failure, whole(message()))
        entry = await play(scene, "simple_qa")
        assert models(scene) == [FAST, "claude-3-5-haiku-20241022"]
        assert [attempt.model for attempt in entry.attempts] == models(scene)
        assert "fallback:claude-3-5-haiku-20241022" in entry.decisions
        check_sums(entry)


async def test_after_the_last_of_its_tier_a_call_goes_where_it_would_have_gone() -> None:
    down = whole({"type": "error"}, 529)
    scene = routed(down, down, whole(message()))
    entry = await play(scene, "simple_qa")
    assert models(scene) == [FAST, "claude-3-5-haiku-20241022", STANDARD]
    assert entry.http_status == 200
    assert entry.baseline_nusd == entry.cost_nusd


async def test_a_timed_out_attempt_is_booked_at_an_estimate_beside_the_one_that_answers() -> None:
    scene = routed(fails(sent=True, timed_out=True), whole(message()))
    entry = await play(scene, "simple_qa")
    first, second = entry.attempts
    assert sum(line.cost_nusd for line in first.lines) > 0
    assert entry.cost_nusd == sum(line.cost_nusd for each in (first, second) for line in each.lines)
    check_sums(entry)


async def test_a_request_that_the_chosen_model_refuses_goes_to_the_one_that_it_was_written_for() -> None:
    scene = routed(whole({"type": "error"}, 400), whole(message()))
    entry = await play(scene, "simple_qa")
    assert models(scene) == [FAST, STANDARD]
    assert entry.http_status == 200


async def test_an_error_that_all_models_give_is_the_clients() -> None:
    scene = routed(whole({"type": "error"}, 400))
    entry = await play(scene, "simple_qa")
    assert len(scene.upstream.requests) == 2
    assert (entry.http_status, entry.cost_nusd) == (400, 0)


async def test_a_request_that_a_model_cannot_serve_goes_to_the_next_that_can() -> None:
    scene = routed()
    await scene.play(
        ask(model="bursar/fast", max_tokens=9000, thinking={"type": "adaptive"}), {"x-bursar-task": "t"}
    )
    assert models(scene) == [STANDARD]


async def test_an_output_limit_beyond_a_models_is_lowered_for_it() -> None:
    scene = routed()
    await scene.play(ask(model="bursar/fast", max_tokens=100_000))
    window = scene.engine.windows.find(DIALECT, FAST)
    assert window is not None
    assert json.loads(scene.upstream.requests[0].body)["max_tokens"] == window.output_tokens_max


def talk(turns: int, long: int = 400) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number in range(turns):
        messages += [
            {"role": "user", "content": f"Question {number}: " + "may I take my bicycle along? " * long},
            {"role": "assistant", "content": "Hello."},
        ]
    return messages[:-1]


async def converse(tasks: list[str], *, keeps_caches: bool) -> tuple[list[str], int]:
    scene = routed(book=replace_book(keeps_caches=keeps_caches))
    upstream = DoubleUpstream(scene)
    object.__setattr__(scene.world, "upstream", upstream)
    for number, task in enumerate(tasks):
        scene.clock.time_s += 20
        body = ask(model="bursar/auto", messages=talk(number + 1))
        await scene.play(body, {"x-bursar-task": task, "x-bursar-conversation": "c"})
    for entry in scene.ledger.entries:
        check_sums(entry)
    assert upstream.refused == []
    cost_nusd = sum(entry.cost_nusd or 0 for entry in scene.ledger.entries)
    assert cost_nusd == sum(upstream.costs_nusd)
    return [json.loads(body)["model"] for body in upstream.bodies], cost_nusd


def replace_book(**changes: Any) -> TierBook:
    return TierBook(TIERS.tiers, **changes)


async def test_a_thread_stays_where_its_cache_is_unless_the_change_pays() -> None:
    tasks = ["customer_support"] * 8 + ["simple_qa", "customer_support"] * 3
    stayed, cost_nusd = await converse(tasks, keeps_caches=True)
    moved, without_nusd = await converse(tasks, keeps_caches=False)
    assert set(stayed) == {STANDARD}
    assert moved[8:10] == [FAST, STANDARD]
    assert cost_nusd < without_nusd


async def test_a_thread_goes_up_as_soon_as_a_call_needs_it() -> None:
    stayed, _ = await converse(["simple_qa", "code_generation"], keeps_caches=True)
    assert stayed == [FAST, COMPLEX]


async def test_a_short_thread_goes_down_at_once_where_nothing_is_lost() -> None:
    scene = routed()
    await scene.play(ask(model="bursar/auto"), {"x-bursar-task": "code_generation"})
    assert models(scene) == [COMPLEX]
    messages = [
        *ask()["messages"],
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "So?"},
    ]
    await scene.play(ask(model="bursar/auto", messages=messages), {"x-bursar-task": "simple_qa"})
    assert models(scene)[1] == FAST


async def test_another_models_thinking_is_left_out() -> None:
    scene = routed()
    thought = [
        {"type": "thinking", "thinking": "Well.", "signature": "s"},
        {"type": "text", "text": "Hello."},
    ]
    begun = ask(model="bursar/auto", messages=[{"role": "user", "content": "Hi"}])
    await scene.play(begun, {"x-bursar-task": "simple_qa"})
    messages = [
        *begun["messages"],
        {"role": "assistant", "content": thought},
        {"role": "user", "content": "So?"},
    ]
    await scene.play(ask(model="bursar/auto", messages=messages), {"x-bursar-task": "simple_qa"})
    assert b'"thinking"' in scene.upstream.requests[1].body
    await scene.play(ask(model="bursar/auto", messages=messages), {"x-bursar-task": "code_generation"})
    assert models(scene) == [FAST, FAST, COMPLEX]
    assert b'"thinking"' not in scene.upstream.requests[2].body
    again = [*messages, {"role": "assistant", "content": thought}, {"role": "user", "content": "And?"}]
    await scene.play(ask(model="bursar/auto", messages=again), {"x-bursar-task": "code_generation"})
    sent = json.loads(scene.upstream.requests[3].body)["messages"]
    assert len(sent[1]["content"]) == 1
    assert len(sent[3]["content"]) == 2
    assert json.loads(scene.upstream.requests[2].body)["messages"] == sent[:3]


async def test_a_fault_of_routing_leaves_the_call_as_it_would_have_been() -> None:
    scene = routed()
    scene.engine.options = replace(
        scene.engine.options, tiers=TierBook(TIERS.tiers, routable=frozenset({STANDARD}))
    )
    scene.engine.gains = None  # pyright: ignore[reportAttributeAccessIssue] - whatever asks it fails
    entry = await play(scene, "simple_qa", model=STANDARD)
    assert (models(scene), entry.faults[0], entry.http_status) == ([STANDARD], "routing", 200)
