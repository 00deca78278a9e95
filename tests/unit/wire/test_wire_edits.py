import json
from typing import Any

import pytest

from bursar.domain.prompt import Mark, Place, Section
from bursar.wire.dialect import Dialect, Edits, Request
from wire_bodies import ANTHROPIC, OPENAI, anthropic, digests, marks, openai, read, written

FIVE_MINUTES = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
EXPLICIT = {"mode": "explicit"}


def place(section: Section, piece: int, block: int = 0) -> Place:
    return Place(section, piece, block)


def check_round_trip(dialect: Dialect, request: Request, edits: Edits) -> None:
    again = read(dialect, dialect.write(request, edits))
    assert digests(again) == digests(request)
    expected = {**marks(request), **edits.marks}
    assert marks(again) == {where: mark for where, mark in expected.items() if mark is not None}


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)
def test_without_edits_every_value_keeps_its_bytes(dialect: Dialect) -> None:
    body = '{"b":1.0,"model":"m", "messages":[ {"role":"user", "content":"\\u00e9 é"} ],"a":[ 1 ]}'.encode()
    assert dialect.write(read(dialect, body), Edits()) == (
        '{"b":1.0,"model":"m","messages":[ {"role":"user", "content":"\\u00e9 é"} ],"a":[ 1 ]}'.encode()
    )


def test_a_field_is_replaced_in_its_place_and_a_new_one_comes_last() -> None:
    request = anthropic([{"role": "user", "content": "Hi"}], stream=True)
    body = ANTHROPIC.write(request, Edits(fields={"max_tokens": b"5", "service_tier": b'"auto"'}))
    assert list(json.loads(body)) == ["model", "max_tokens", "messages", "stream", "service_tier"]
    assert json.loads(body)["max_tokens"] == 5


def test_a_mark_on_a_string_makes_it_one_text_block() -> None:
    request = anthropic([{"role": "user", "content": 'say "Hi"'}], system="Be brief.")
    edits = Edits({place(Section.SYSTEM, 0): Mark("1h"), place(Section.MESSAGES, 0): Mark("5m")})
    body = written(ANTHROPIC, request, edits)
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": HOUR}]
    content = [{"type": "text", "text": 'say "Hi"', "cache_control": FIVE_MINUTES}]
    assert body["messages"] == [{"role": "user", "content": content}]
    check_round_trip(ANTHROPIC, request, edits)


def test_a_mark_is_spliced_in_without_touching_another_byte() -> None:
    block = b'{ "text":"\\u00e9" , "type" : "text", "n": 1.50 }'
    body = b'{"model":"m","messages":[{"role":"user","content":[' + block + b',{"type":"text","text":"b"}]}]}'
    marked = ANTHROPIC.write(read(ANTHROPIC, body), Edits({place(Section.MESSAGES, 0): Mark("1h")}))
    inserted = block[:-1] + b',"cache_control":{"type":"ephemeral","ttl":"1h"}}'
    assert marked == body.replace(block, inserted)


def test_marks_on_tools_blocks_and_results_leave_the_rest_alone() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "r"}],
        "is_error": False,
    }
    request = anthropic(
        [{"role": "user", "content": [result, {"type": "text", "text": "b", "cache_control": HOUR}]}],
        system=[{"type": "text", "text": "s", "cache_control": FIVE_MINUTES}],
        tools=[{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {"x": 1}}],
    )
    edits = Edits(
        {
            place(Section.TOOLS, 1): Mark("1h"),
            place(Section.SYSTEM, 0): None,
            place(Section.MESSAGES, 0, 0): Mark("5m"),
            place(Section.MESSAGES, 0, 1): Mark("5m"),
        }
    )
    check_round_trip(ANTHROPIC, request, edits)
    assert written(ANTHROPIC, request, edits)["messages"][0]["content"] == [
        {**result, "cache_control": FIVE_MINUTES},
        {"type": "text", "text": "b", "cache_control": FIVE_MINUTES},
    ]


def test_a_mark_on_a_nested_block_is_taken_away_with_its_result() -> None:
    nested = {"type": "text", "text": "cache_control", "cache_control": FIVE_MINUTES}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [nested]}
    request = anthropic([{"role": "user", "content": [result]}])
    for mark in (None, Mark("1h")):
        check_round_trip(ANTHROPIC, request, Edits({place(Section.MESSAGES, 0): mark}))


def test_arguments_that_are_called_like_a_mark_are_kept() -> None:
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"cache_control": {"type": "x"}}}
    request = anthropic([{"role": "assistant", "content": [call]}])
    assert marks(request) == {}
    marked = written(ANTHROPIC, request, Edits({place(Section.MESSAGES, 0): Mark("5m")}))
    assert marked["messages"][0]["content"] == [{**call, "cache_control": FIVE_MINUTES}]
    assert written(ANTHROPIC, request, Edits({place(Section.MESSAGES, 0): None}))["messages"][0][
        "content"
    ] == [call]


@pytest.mark.parametrize(
    "where",
    [
        place(Section.TOOLS, 0),
        place(Section.SYSTEM, 0),
        place(Section.MESSAGES, 2),
        place(Section.MESSAGES, 0, 1),
        place(Section.MESSAGES, 1, 0),
    ],
)
def test_a_mark_without_its_block_or_on_one_that_takes_none_is_an_error(where: Place) -> None:
    request = anthropic(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}]},
        ]
    )
    with pytest.raises(ValueError, match=r"Place|nothing"):
        ANTHROPIC.write(request, Edits({where: Mark("5m")}))


def test_marks_apply_to_messages_that_the_edits_replace() -> None:
    request = anthropic([{"role": "user", "content": ""}])
    edits = Edits(
        {place(Section.MESSAGES, 0): Mark("5m")}, {"messages": b'[{"role":"user","content":"new"}]'}
    )
    assert written(ANTHROPIC, request, edits)["messages"][0]["content"][0]["cache_control"] == FIVE_MINUTES


def openai_thread() -> list[dict[str, Any]]:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "text", "text": "v"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "r"}] * 2},
        {"role": "tool", "tool_call_id": "call_1", "content": "r"},
        {"role": "assistant", "content": "a", "tool_calls": [call]},
        {"role": "system", "content": "late"},
    ]


def test_openai_marks_find_their_messages_behind_the_system_pieces() -> None:
    request = openai(openai_thread())
    edits = Edits(
        {
            place(Section.SYSTEM, 1): Mark("30m"),
            place(Section.MESSAGES, 0, 1): Mark("12h"),
            place(Section.MESSAGES, 2): Mark("30m"),
            place(Section.MESSAGES, 3): Mark("30m"),
            place(Section.MESSAGES, 4): Mark("30m"),
            place(Section.MESSAGES, 5): Mark("12h"),
        }
    )
    check_round_trip(OPENAI, request, edits)
    messages = written(OPENAI, request, edits)["messages"]
    assert messages[1]["content"] == [{"type": "text", "text": "d", "prompt_cache_breakpoint": EXPLICIT}]
    assert messages[2]["content"][1]["prompt_cache_breakpoint"] == {**EXPLICIT, "ttl": "12h"}
    assert messages[4]["content"] == [
        {"type": "text", "text": "r"},
        {"type": "text", "text": "r", "prompt_cache_breakpoint": EXPLICIT},
    ]
    assert messages[5]["content"] == [{"type": "text", "text": "r", "prompt_cache_breakpoint": EXPLICIT}]
    assert messages[0] == openai_thread()[0]


@pytest.mark.parametrize("where", [place(Section.MESSAGES, 1), place(Section.MESSAGES, 4, 1)])
def test_openai_tool_calls_take_no_marks(where: Place) -> None:
    with pytest.raises(ValueError, match="takes no mark"):
        OPENAI.write(openai(openai_thread()), Edits({where: Mark("30m")}))


def test_openai_marks_inherit_and_state_the_requests_lifetime() -> None:
    part = {"type": "text", "text": "u", "prompt_cache_breakpoint": EXPLICIT}
    request = openai([{"role": "user", "content": [part]}], prompt_cache_options={"ttl": "12h"})
    assert marks(request) == {place(Section.MESSAGES, 0): Mark("12h")}
    body = written(OPENAI, request, Edits({place(Section.MESSAGES, 0): Mark("30m")}))
    assert body["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {**EXPLICIT, "ttl": "30m"}


def test_usage_is_asked_for_where_the_client_streams_without_it() -> None:
    message = [{"role": "user", "content": "Hi"}]
    asked = {"include_usage": True}
    assert OPENAI.usage_request_fields(openai(message, stream=True)) == {
        "stream_options": b'{"include_usage":true}'
    }
    with_options = openai(message, stream=True, stream_options={"include_obfuscation": False})
    assert json.loads(OPENAI.usage_request_fields(with_options)["stream_options"]) == {
        "include_obfuscation": False,
        **asked,
    }
    assert not OPENAI.usage_request_fields(openai(message))
    assert not OPENAI.usage_request_fields(openai(message, stream=True, stream_options=asked))
    assert not ANTHROPIC.usage_request_fields(anthropic(message, stream=True))
