"""However a call ends, the client gets an answer and the ledger one entry that says what happened."""

import json
from typing import Any

import pytest

from bursar.domain.ledger import Component, CostBasis, Status
from bursar.domain.usage import Usage
from bursar.errors import UpstreamFailed
from provider_answers import completion, completion_chunks, message, message_events
from scripted_world import (
    Answer,
    Scene,
    Step,
    ask,
    chat,
    fails,
    no_task_left,
    stream,
    whole,
)

BROKEN_OFF = UpstreamFailed("the provider broke the connection off", sent=True)


async def test_a_whole_answer_passes_byte_for_byte_and_is_priced_by_the_providers_word() -> None:
    body = json.dumps(message(), indent=1).encode()
    scene = Scene(Answer(200, {"content-type": "application/json", "request-id": "req_1"}, [body]))
    async with no_task_left():
        reply = await scene.play(ask())
    assert reply.status == 200
    assert reply.body == body
    assert reply.headers["request-id"] == "req_1"
    # 300 input tokens at 3 USD and 20 output tokens at 15 USD per million.
    assert reply.headers["x-bursar-cost-usd"] == "0.001200000"
    assert reply.headers["x-bursar-saved-usd"] == "0.000000000"
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.OK, 200, CostBasis.MEASURED)
    assert entry.usage == Usage(input=300, output=20)
    assert entry.cost_nusd == entry.cost_max_nusd == entry.baseline_nusd == 1_200_000
    assert [(a.http_status, a.status, a.cost_nusd) for a in entry.attempts] == [(200, Status.OK, 1_200_000)]
    assert scene.upstream.left_open == []


async def test_a_stream_passes_and_its_end_is_held_back_until_the_entry_is_durable() -> None:
    events = message_events(words=["All ", "right."])
    scene = Scene(stream(*events))
    seen_when_recorded: list[bytes] = []
    record = scene.ledger.record

    async def record_and_look(entry: Any) -> None:
        seen_when_recorded.append(scene.client.received)
        await record(entry)

    scene.ledger.record = record_and_look
    async with no_task_left():
        reply = await scene.play(ask(stream=True))
    assert seen_when_recorded == [b"".join(events[:-1])]
    assert scene.client.received == b"".join(events[:-1])
    comment, end = reply.body.split(b"\n\n", 1)
    assert end == events[-1]
    told = json.loads(comment.removeprefix(b": bursar "))
    assert told == {
        "operation_id": "op-1",
        "model": "claude-sonnet-4-6",
        "cache": "off",
        "cost_usd": "0.001200000",
        "saved_usd": "0.000000000",
        "basis": "measured",
    }
    assert scene.client.head is not None
    assert scene.client.head[1]["x-bursar-operation-id"] == "op-1"
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.stream) == (Status.OK, 200, True)
    assert entry.cost_nusd == 1_200_000
    assert scene.upstream.left_open == []


async def test_a_stream_costs_what_the_whole_answer_costs() -> None:
    usage = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 2000,
        "cache_read_input_tokens": 5000,
        "output_tokens": 40,
    }
    answered = Scene(whole(message(usage=usage)))
    streamed = Scene(stream(*message_events(usage=usage)))
    await answered.play(ask())
    await streamed.play(ask(stream=True))
    assert answered.entry.usage == streamed.entry.usage
    assert answered.entry.attempts[0].lines == streamed.entry.attempts[0].lines


async def test_openais_stream_reports_usage_that_only_bursar_asked_for_to_bursar_alone() -> None:
    scene = Scene(stream(*completion_chunks(with_usage=True)))
    reply = await scene.play(chat(stream=True))
    sent = json.loads(scene.upstream.requests[0].body)
    assert sent["stream_options"] == {"include_usage": True}
    assert b'"usage"' not in scene.client.received + reply.body
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert scene.entry.usage == Usage(input=300, output=20)
    assert scene.entry.basis is CostBasis.MEASURED


async def test_openais_long_cache_writes_are_billed_as_such_in_a_whole_answer() -> None:
    usage = {
        "prompt_tokens": 3000,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2000},
    }
    scene = Scene(whole(completion(usage=usage)))
    await scene.play(chat(model="gpt-6.1-sol", prompt_cache_options={"mode": "implicit", "ttl": "12h"}))
    assert scene.entry.usage == Usage(input=1000, cache_write_12h=2000, output=10)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_refusal_of_the_provider_passes_unchanged_and_costs_nothing(status: int) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    scene = Scene(whole(error, status))
    reply = await scene.play(ask())
    assert (reply.status, json.loads(reply.body)) == (status, error)
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ERROR, status, 0)
    assert (entry.usage, entry.basis, len(entry.attempts)) == (None, CostBasis.MEASURED, 1)
    assert scene.clock.slept == []


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_a_passing_failure_is_tried_again(status: int) -> None:
    scene = Scene(whole({"error": {}}, status), whole(message()))
    reply = await scene.play(ask())
    assert reply.status == 200
    entry = scene.entry
    assert [(a.http_status, a.status, a.cost_nusd) for a in entry.attempts] == [
        (status, Status.ERROR, 0),
        (200, Status.OK, 1_200_000),
    ]
    assert len(scene.clock.slept) == 1
    assert 0.3 < scene.clock.slept[0] < 0.7
    assert scene.upstream.requests[0].body == scene.upstream.requests[1].body


async def test_after_the_last_try_the_client_gets_the_providers_own_error() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    scene = Scene(whole(error, 529))
    reply = await scene.play(ask(stream=True))
    assert (reply.status, json.loads(reply.body)) == (529, error)
    assert scene.client.head is None
    assert [a.http_status for a in scene.entry.attempts] == [529, 529, 529]
    assert scene.clock.slept[1] > scene.clock.slept[0]
    assert scene.entry.cost_nusd == 0


@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"retry_after": "7"}, [7.0]),
        ({"retry_after_ms": "1500", "retry_after": "9"}, [1.5]),
        ({"retry_after": "31"}, []),
        ({"x_should_retry": "false"}, []),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
    ids=["retry-after", "milliseconds first", "too long", "never", "negative", "no number", "a date"],
)
async def test_the_provider_says_when_to_come_back(
    headers: dict[str, str], slept: list[float] | None
) -> None:
    scene = Scene(whole({"error": {}}, 429, **headers), whole(message()))
    reply = await scene.play(ask())
    if slept is None:
        assert 0.3 < scene.clock.slept[0] < 0.7
    else:
        assert scene.clock.slept == slept
    assert reply.status == (429 if slept == [] else 200)
    assert len(scene.entry.attempts) == (1 if slept == [] else 2)


async def test_no_retry_goes_beyond_the_deadline() -> None:
    scene = Scene(whole({"error": {}}, 429, retry_after="6"), deadline_s=15.0, retries_max=9)
    reply = await scene.play(ask())
    assert reply.status == 429
    assert scene.clock.slept == [6.0, 6.0]
    assert [request.timeout_s for request in scene.upstream.requests] == [15.0, 9.0, 3.0]
    assert len(scene.entry.attempts) == 3


async def test_a_pause_that_took_too_long_is_not_followed_by_a_try_without_time() -> None:
    scene = Scene(whole({"error": {}}, 429, retry_after="6"), whole(message()), deadline_s=15.0)
    sleep = scene.clock.sleep

    async def oversleep(seconds: float) -> None:
        await sleep(seconds + 60)

    scene.clock.sleep = oversleep
    reply = await scene.play(ask())
    assert reply.status == 429
    assert len(scene.upstream.requests) == 1
    assert len(scene.entry.attempts) == 1


async def test_what_was_never_sent_is_tried_again() -> None:
    scene = Scene(fails(sent=False), fails(sent=False), whole(message()))
    reply = await scene.play(ask())
    assert reply.status == 200
    assert [(a.http_status, a.cost_nusd) for a in scene.entry.attempts] == [
        (None, 0),
        (None, 0),
        (200, 1_200_000),
    ]


async def test_an_unreachable_provider_costs_nothing() -> None:
    scene = Scene(fails(sent=False))
    reply = await scene.play(ask(stream=True))
    assert reply.status == 502
    error = json.loads(reply.body)
    assert (error["type"], error["error"]["type"]) == ("error", "api_error")
    assert error["error"]["message"] == "the provider cannot be reached"
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ERROR, 502, 0)
    assert len(entry.attempts) == 3


@pytest.mark.parametrize("timed_out", [False, True])
async def test_what_may_have_been_sent_is_not_sent_twice_and_is_estimated(timed_out: bool) -> None:
    scene = Scene(fails(sent=True, timed_out=timed_out), whole(message()))
    reply = await scene.play(ask())
    assert reply.status == 502
    entry = scene.entry
    assert (entry.status, entry.basis, len(entry.attempts)) == (Status.ERROR, CostBasis.ESTIMATED, 1)
    assert entry.attempts[0].http_status is None
    assert entry.usage is not None
    assert entry.usage.input > 0
    # Nobody saw the answer, if there is one: it counts as all of the output that was allowed.
    assert entry.usage.output == ask()["max_tokens"]
    assert entry.cost_nusd == entry.cost_max_nusd


@pytest.mark.parametrize(
    ("steps", "output_tokens"),
    [
        ((BROKEN_OFF,), 0),
        ((*message_events()[:3], BROKEN_OFF), 2),
        ((*message_events(words=["word "] * 50)[:-1], BROKEN_OFF), 20),
        (tuple(message_events(words=["word "] * 50)[:20]), 18),
    ],
    ids=["before the first byte", "after a word", "before the end only", "without an error"],
)
async def test_a_cut_stream_is_estimated_by_what_arrived(steps: tuple[Step, ...], output_tokens: int) -> None:
    scene = Scene(stream(*steps))
    async with no_task_left():
        reply = await scene.play(ask(stream=True))
    passed = b"".join(step for step in steps if isinstance(step, bytes))
    assert scene.client.received == passed
    assert reply.body.endswith(b"\n\n")
    assert b"event: error" in reply.body
    assert b"the provider broke its answer off" in reply.body
    entry = scene.entry
    assert (entry.status, entry.http_status) == (Status.CUT, 200)
    assert entry.basis is CostBasis.ESTIMATED
    assert entry.usage is not None
    assert entry.usage.input == (300 if passed else entry.usage.input)
    assert entry.usage.output >= output_tokens
    assert (entry.attempts[0].http_status, len(entry.attempts)) == (200, 1)
    assert scene.upstream.left_open == []


async def test_a_whole_answer_that_breaks_off_is_estimated_and_not_asked_for_again() -> None:
    scene = Scene(Answer(steps=[b'{"id": "msg_', BROKEN_OFF]), whole(message()))
    reply = await scene.play(ask())
    assert reply.status == 502
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.CUT, 502, CostBasis.ESTIMATED)
    assert len(scene.upstream.requests) == 1


async def test_a_refusal_whose_body_breaks_off_is_still_a_refusal() -> None:
    scene = Scene(Answer(status=400, steps=[b'{"type": "er', BROKEN_OFF]))
    reply = await scene.play(ask())
    assert reply.status == 400
    assert json.loads(reply.body)["type"] == "error"
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ERROR, 400, 0)
    assert entry.attempts[0].http_status == 400


async def test_a_passing_failure_whose_body_breaks_off_is_tried_again() -> None:
    scene = Scene(Answer(status=529, steps=[BROKEN_OFF]), whole(message()))
    assert (await scene.play(ask())).status == 200
    assert [a.http_status for a in scene.entry.attempts] == [529, 200]


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 5000, b'"text"']
)
async def test_garbage_with_status_200_is_an_error_in_the_dialects_form(body: bytes) -> None:
    scene = Scene(whole(body))
    reply = await scene.play(ask())
    assert reply.status == 502
    assert json.loads(reply.body)["error"]["message"] == "the provider's answer cannot be read"
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.ERROR, 502, CostBasis.ESTIMATED)
    assert len(entry.attempts) == 1


async def test_an_answer_without_usage_is_estimated_from_its_text() -> None:
    scene = Scene(whole(message() | {"usage": None}))
    reply = await scene.play(ask())
    assert reply.status == 200
    entry = scene.entry
    assert (entry.status, entry.basis) == (Status.OK, CostBasis.ESTIMATED)
    assert entry.usage is not None
    assert entry.usage.output > 0


@pytest.mark.parametrize(("status", "told"), [(404, 404), (502, 502), (204, 502), (302, 502)])
async def test_a_page_in_html_becomes_an_error_in_the_dialects_form(status: int, told: int) -> None:
    page = Answer(status, {"content-type": "text/html"}, [b"<html>Bad gateway</html>"])
    scene = Scene(page, retries_max=0)
    reply = await scene.play(chat())
    assert reply.status == told
    assert reply.headers["content-type"] == "application/json"
    assert f"answered {status}" in json.loads(reply.body)["error"]["message"]
    assert b"<html>" not in reply.body
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.cost_nusd) == (Status.ERROR, told, 0)
    assert entry.attempts[0].http_status == status


async def test_an_error_within_a_stream_ends_it_as_cut() -> None:
    error = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'
    scene = Scene(stream(*message_events()[:3], error))
    reply = await scene.play(ask(stream=True))
    assert reply.body.endswith(error)
    entry = scene.entry
    assert (entry.status, entry.http_status, entry.basis) == (Status.CUT, 200, CostBasis.ESTIMATED)


async def test_a_whole_answer_to_a_call_that_asked_for_a_stream_is_taken() -> None:
    scene = Scene(whole(message()))
    reply = await scene.play(ask(stream=True))
    assert (reply.status, json.loads(reply.body)) == (200, message())
    assert scene.entry.cost_nusd == 1_200_000


async def test_an_unpriced_model_is_refused_before_it_is_sent() -> None:
    scene = Scene(whole(message()))
    reply = await scene.play(ask(model="claude-nobody-knows"))
    assert reply.status == 400
    assert '[prices."claude-nobody-knows"]' in json.loads(reply.body)["error"]["message"]
    assert scene.upstream.requests == []
    assert scene.ledger.entries == []


async def test_an_admitted_unpriced_model_costs_an_unknown_amount_not_nothing() -> None:
    scene = Scene(whole(message()), admit_unpriced=True)
    reply = await scene.play(ask(model="claude-nobody-knows"))
    assert reply.status == 200
    assert "x-bursar-cost-usd" not in reply.headers
    entry = scene.entry
    assert (entry.cost_nusd, entry.baseline_nusd, entry.basis) == (None, None, CostBasis.UNKNOWN)
    assert entry.usage == Usage(input=300, output=20)


async def test_a_routing_tasks_tokens_are_all_routing() -> None:
    scene = Scene(whole(message()), routing_tasks=frozenset({"triage"}))
    await scene.play(ask(), {"x-bursar-task": "triage"})
    assert set(scene.entry.components) == {Component.ROUTING}
    assert scene.entry.components[Component.ROUTING].cost_nusd == scene.entry.cost_nusd


async def test_components_follow_the_prompt() -> None:
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 3000, "output_tokens": 50}
    scene = Scene(whole(message(usage=usage)))
    await scene.play(
        ask(
            system="policy " * 400,
            tools=[{"name": "find", "description": "seek " * 100, "input_schema": {"type": "object"}}],
            messages=[
                {"role": "user", "content": "old " * 40},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x " * 90}],
                },
                {"role": "assistant", "content": "old " * 20},
                {"role": "user", "content": "new " * 30},
            ],
        )
    )
    components = scene.entry.components
    assert set(components) == set(Component) - {Component.ROUTING}
    assert components[Component.OUTPUT].tokens == {"output": 50}
    # What comes first is what was read from the cache; what was asked now is not.
    assert set(components[Component.TOOLS].tokens) == {"cache_read"}
    assert set(components[Component.USER].tokens) == {"input"}
