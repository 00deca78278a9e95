import json
from typing import Any

import pytest
from msgspec.structs import replace

from bursar.errors import BadRequest
from bursar.policy.response_cache import (
    KeptAnswer,
    ResponseCacheOptions,
    Standing,
    Wish,
    judge_call,
    keep_answer,
    read_kept,
    read_wish,
)
from provider_answers import completion, message, message_events
from wire_bodies import ANTHROPIC, OPENAI, anthropic, openai

ASKED: Any = [{"role": "user", "content": "Is this a refund?"}]
OPTIONS = ResponseCacheOptions(tasks=frozenset({"classify"}), safe_tools=frozenset({"look", "say"}))
LOOK: Any = {"name": "look", "input_schema": {"type": "object"}}
NOW_S = 1_764_000_000.0


@pytest.mark.parametrize(("value", "wish"), [("on", Wish.ON), (" OFF ", Wish.OFF), ("", Wish.UNSAID)])
def test_a_header_says_on_or_off(value: str, wish: Wish) -> None:
    assert read_wish({"x-bursar-cache": value}) is wish


def test_no_header_says_nothing() -> None:
    assert read_wish({}) is Wish.UNSAID


def test_a_header_that_says_anything_else_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="x-bursar-cache: 'maybe'"):
        read_wish({"x-bursar-cache": "maybe"})


def judged(
    fields: Any, *, task: str = "", wish: Wish = Wish.UNSAID, options: ResponseCacheOptions = OPTIONS
) -> Standing:
    return judge_call(anthropic(ASKED, **fields), task, wish, options)


@pytest.mark.parametrize("temperature", [0, 0.0, -0.0])
def test_temperature_0_takes_part(temperature: float) -> None:
    assert judged({"temperature": temperature}) is Standing.TEMPERATURE_0


@pytest.mark.parametrize("fields", [{}, {"temperature": 0.1}, {"temperature": None}, {"temperature": "0"}])
def test_other_temperatures_and_none_do_not(fields: Any) -> None:
    assert judged(fields) is Standing.NOT_ASKED


def test_a_configured_task_takes_part_at_any_temperature() -> None:
    assert judged({"temperature": 1}, task="classify") is Standing.TASK
    assert judged({"temperature": 1}, task="other") is Standing.NOT_ASKED


def test_the_header_wins_over_everything_but_the_operator() -> None:
    assert judged({"tools": [LOOK]}, wish=Wish.ON) is Standing.ASKED
    assert judged({"temperature": 0}, task="classify", wish=Wish.OFF) is Standing.DECLINED
    off = ResponseCacheOptions(enabled=False)
    assert judged({"temperature": 0}, wish=Wish.ON, options=off) is Standing.DISABLED


def test_temperature_0_can_be_left_to_the_header() -> None:
    options = ResponseCacheOptions(temperature_0=False)
    assert judged({"temperature": 0}, options=options) is Standing.NOT_ASKED


def test_a_call_that_only_warms_the_providers_cache_is_never_answered_by_ours() -> None:
    request = replace(anthropic(ASKED), max_tokens=0)
    assert judge_call(request, "", Wish.ON, OPTIONS) is Standing.WARMS


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"name": "pay", "input_schema": {}}]},
        {"tools": [LOOK, {"name": "pay", "input_schema": {}}]},
        {"tools": [LOOK], "mcp_servers": [{"type": "url", "url": "https://example.org"}]},
        {"container": "container_1"},
    ],
)
def test_a_call_that_can_act_must_ask(fields: Any) -> None:
    assert judged({"temperature": 0, **fields}) is Standing.ACTS
    assert judged({"temperature": 0, **fields}, task="classify") is Standing.ACTS


@pytest.mark.parametrize("fields", [{"tools": [LOOK]}, {"tools": []}, {"tools": None}, {"mcp_servers": None}])
def test_a_call_with_safe_tools_only_need_not_ask(fields: Any) -> None:
    assert judged({"temperature": 0, **fields}).takes_part


def openai_judged(**fields: Any) -> Standing:
    return judge_call(openai(ASKED, temperature=0, **fields), "", Wish.UNSAID, OPTIONS)


def test_openais_tools_are_known_by_the_name_of_what_they_wrap() -> None:
    function: Any = {"type": "function", "function": {"name": "look", "parameters": {}}}
    custom: Any = {"type": "custom", "custom": {"name": "say"}}
    assert openai_judged(tools=[function, custom]).takes_part
    assert openai_judged(tools=[function | {"function": {"name": "pay"}}]) is Standing.ACTS
    # A name beside the function is not the tool's.
    assert openai_judged(tools=[{"name": "look", "function": {"name": "pay"}}]) is Standing.ACTS


@pytest.mark.parametrize(
    "fields", [{"functions": [{"name": "look"}]}, {"store": True}, {"web_search_options": {}}]
)
def test_what_else_acts_at_openai_must_ask(fields: Any) -> None:
    assert openai_judged(**fields) is Standing.ACTS


def test_several_choices_ask_for_variety() -> None:
    assert openai_judged(n=2) is Standing.VARIES
    assert openai_judged(n=1).takes_part
    assert openai_judged(n=None).takes_part


def kept_of(
    body: Any, *, temperature: float | None = None, options: ResponseCacheOptions = OPTIONS
) -> bytes | None:
    content = json.dumps(body).encode()
    request = anthropic(ASKED) if temperature is None else anthropic(ASKED, temperature=temperature)
    kept = KeptAnswer(ANTHROPIC.name, streamed=False, content=content, kept_at_s=NOW_S)
    return keep_answer(request, ANTHROPIC.answer(content), kept, options)


def test_a_complete_answer_is_kept_and_read_again() -> None:
    stored = kept_of(message())
    assert stored is not None
    kept = read_kept(stored)
    assert kept == KeptAnswer(ANTHROPIC.name, False, json.dumps(message()).encode(), NOW_S)


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", None, "reason_of_tomorrow"])
def test_an_answer_that_did_not_end_by_itself_is_not_kept(reason: str | None) -> None:
    assert kept_of(message() | {"stop_reason": reason}, temperature=0) is None


def test_an_answer_at_its_output_limit_is_kept_at_temperature_0_only() -> None:
    cut = message() | {"stop_reason": "max_tokens"}
    assert kept_of(cut, temperature=0) is not None
    assert kept_of(cut, temperature=1) is None
    assert kept_of(cut) is None


@pytest.mark.parametrize("body", [{"type": "error"}, {}, message(usage={}), message() | {"usage": None}])
def test_an_answer_without_usage_is_not_kept(body: Any) -> None:
    assert kept_of(body, temperature=0) is None


def test_an_answer_that_is_too_long_is_not_kept() -> None:
    assert kept_of(message(text="x" * 1_000), options=ResponseCacheOptions(answer_bytes_max=1_000)) is None


def test_a_cut_stream_is_not_kept_and_an_ended_one_is() -> None:
    events = message_events()
    asked = anthropic(ASKED, stream=True)
    for content, is_kept in ((b"".join(events), True), (b"".join(events[:-1]), False)):
        meter = ANTHROPIC.meter(asked)
        meter.feed(content)
        kept = KeptAnswer(ANTHROPIC.name, streamed=True, content=content, kept_at_s=NOW_S)
        assert (keep_answer(asked, meter.answer(), kept, OPTIONS) is not None) is is_kept


@pytest.mark.parametrize("stored", [b"", b"\x00", b"\xc1", b"garbage", b"\x95\x02\xa1x\xc2\xc4\x00\xcb"])
def test_what_cannot_be_read_is_a_miss(stored: bytes) -> None:
    assert read_kept(stored) is None


def test_a_kept_answer_is_told_in_the_form_that_is_asked_for() -> None:
    content = json.dumps(completion()).encode()
    whole = KeptAnswer(OPENAI.name, streamed=False, content=content, kept_at_s=NOW_S)
    assert whole.told(streamed=False) is content
    stream = whole.told(streamed=True)
    assert stream is not None
    again = KeptAnswer(OPENAI.name, streamed=True, content=stream, kept_at_s=NOW_S).told(streamed=False)
    assert again is not None
    assert json.loads(again) == completion()
