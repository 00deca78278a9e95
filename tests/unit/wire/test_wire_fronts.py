"""Tools in one order, instructions in other words, and notes at the end of a prompt."""

import json
from typing import Any

import pytest

from bursar.domain.prompt import Role
from bursar.wire.dialect import Edits, Reading, Request
from bursar.wire.memo import PieceMemo
from bursar.wire.notes import read_with_note, takes_note
from bursar.wire.system_texts import SystemText, read_system_texts, with_system_texts
from bursar.wire.tool_order import order_tools
from wire_bodies import ANTHROPIC, OPENAI, anthropic, digests, openai, read, written

MARK = {"cache_control": {"type": "ephemeral"}}


def ordered(*tools: dict[str, Any]) -> list[dict[str, Any]]:
    return json.loads(order_tools(json.dumps(tools).encode()))


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object"}, **more}


def test_tools_come_sorted_by_name_and_their_keys_sorted_at_every_depth() -> None:
    schema = {"type": "object", "properties": {"b": {"type": "string", "enum": ["z", "a"]}, "a": {}}}
    content = order_tools(json.dumps([named("find"), {"name": "book", "input_schema": schema}]).encode())
    assert content == (
        b'[{"input_schema":{"properties":{"a":{},"b":{"enum":["z","a"],"type":"string"}},"type":"object"},'
        b'"name":"book"},{"input_schema":{"type":"object"},"name":"find"}]'
    )
    assert order_tools(content) == content


def test_openais_tools_are_sorted_by_their_functions_names() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "cab"]
    assert [tool["function"]["name"] for tool in ordered(*tools)] == ["a", "b", "c"]


def test_marks_stay_where_they_stood() -> None:
    tools = ordered(named("c", **MARK), named("a"), named("b", **MARK))
    assert [tool["name"] for tool in tools] == ["a", "b", "c"]
    assert ["cache_control" in tool for tool in tools] == [True, False, True]


@pytest.mark.parametrize(
    "tools",
    [
        [named("b"), named("a"), named("b")],
        [named("b"), {"type": "mcp_toolset", "mcp_server_name": "a"}],
        [named("b", **MARK), named("a", defer_loading=True)],
        [named("b"), {"name": 7, "input_schema": {}}],
    ],
    ids=["two of one name", "no name", "a mark beside a deferred tool", "a name that is none"],
)
def test_tools_that_cannot_be_ordered_stay_in_their_order(tools: list[dict[str, Any]]) -> None:
    assert ordered(*tools) == tools


def test_numbers_and_strings_keep_their_bytes() -> None:
    tools = b'[{"name":"a","x":1.0,"y":[1e400,{"b":"\\u00e9","a":12345678901234567890123}]}]'
    expected = b'[{"name":"a","x":1.0,"y":[1e400,{"a":12345678901234567890123,"b":"\\u00e9"}]}]'
    assert order_tools(tools) == expected


USER = [{"role": "user", "content": "Hi"}]


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


def test_anthropics_instructions_are_a_text_or_blocks() -> None:
    assert read_system_texts(anthropic(USER)) == []
    assert read_system_texts(anthropic(USER, system="Help.")) == [SystemText((0, 0), "Help.")]
    blocks = anthropic(USER, system=[text("Help."), text("Be kind.", **MARK)])
    assert read_system_texts(blocks) == [
        SystemText((0, 0), "Help."),
        SystemText((1, 0), "Be kind.", is_marked=True),
    ]


def test_openais_instructions_are_the_messages_at_the_front() -> None:
    request = openai(
        [
            {"role": "developer", "content": "Help."},
            {"role": "system", "content": [text("Be kind."), text("Now.")]},
            *USER,
            {"role": "system", "content": "Later."},
        ]
    )
    texts = [(each.spot, each.text) for each in read_system_texts(request)]
    assert texts == [((0, 0), "Help."), ((1, 0), "Be kind."), ((1, 1), "Now.")]


def test_instructions_are_put_back_in_other_words_and_all_else_stays() -> None:
    request = anthropic(USER, system=[text("Help."), text("Now."), text("Be kind.", **MARK)])
    fields = with_system_texts(request, {(1, 0): "", (2, 0): "Kind."})
    assert json.loads(fields["system"]) == [text("Help."), text("Kind.", **MARK)]
    fields = with_system_texts(anthropic(USER, system="Help."), {(0, 0): "Hel."})
    assert json.loads(fields["system"]) == "Hel."


def test_openais_instructions_are_put_back_among_its_messages() -> None:
    request = openai(
        [
            {"role": "system", "content": "Now."},
            {"role": "system", "content": [text("Help."), text("Now.")], "name": "x"},
            *USER,
        ]
    )
    fields = with_system_texts(request, {(0, 0): "", (1, 1): ""})
    assert json.loads(fields["messages"]) == [
        {"role": "system", "content": [text("Help.")], "name": "x"},
        *USER,
    ]
    again = OPENAI.reread_fields(request, fields, PieceMemo()).finish([5, 2])
    assert len(again.prompt.system) == 1
    assert again.prompt.messages == request.prompt.messages


def with_note(request: Request, note: str = "It is 12:03.") -> Request:
    reading: Reading = read_with_note(request, note, PieceMemo())
    return reading.finish([len(text) for text in reading.texts])


def test_a_note_is_a_block_of_its_own_behind_what_the_user_said() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "12"}
    for request, content in (
        (anthropic(USER), [text("Hi")]),
        (openai(USER), [text("Hi")]),
        (
            anthropic([*USER, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": [result]}]),
            [result],
        ),
    ):
        noted = with_note(request)
        dialect = ANTHROPIC if request.dialect == ANTHROPIC.name else OPENAI
        body = written(dialect, noted, Edits())
        assert body["messages"][-1] == {"role": "user", "content": [*content, text("It is 12:03.")]}
        assert noted.prompt.passing_blocks == 1
        assert digests(noted)[:-1] == digests(request)
        again = read(dialect, dialect.write(noted, Edits()))
        assert digests(again) == digests(noted)
        assert again.piece_ends["messages"] == noted.piece_ends["messages"]


def test_behind_a_tools_message_a_note_is_a_message_of_the_users() -> None:
    asked = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    talk = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "t", "content": "12"},
    ]
    noted = with_note(openai(talk))
    body = written(OPENAI, noted, Edits())
    assert body["messages"] == [*talk, {"role": "user", "content": "It is 12:03."}]
    again = read(OPENAI, OPENAI.write(noted, Edits()))
    assert digests(again) == digests(noted)
    assert again.piece_ends["messages"] == noted.piece_ends["messages"]
    assert noted.prompt.messages[-1].role is Role.USER


def test_nothing_is_noted_behind_an_answer_that_is_to_go_on() -> None:
    assert not takes_note(anthropic([*USER, {"role": "assistant", "content": "Ho"}]))
    assert takes_note(anthropic(USER))


def test_nothing_is_noted_where_the_provider_is_to_mark_the_end() -> None:
    assert not takes_note(anthropic(USER, cache_control={"type": "ephemeral"}))


def test_nothing_is_noted_among_thoughts() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    use: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "12"}
    loop: list[dict[str, Any]] = [
        {"role": "assistant", "content": [thought, use]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    assert not takes_note(anthropic([*USER, *loop]))
    assert takes_note(anthropic([*USER, *loop, {"role": "assistant", "content": "Ho"}, *USER]))
    assert not takes_note(anthropic(USER, thinking={"type": "enabled", "budget_tokens": 1024}))
    assert takes_note(anthropic(USER, thinking={"type": "disabled"}))


def test_a_message_without_content_takes_no_note() -> None:
    with pytest.raises(ValueError, match="no further block"):
        read_with_note(anthropic([{"role": "user", "content": []}]), "It is 12:03.", PieceMemo())
