import json
from itertools import pairwise
from typing import Any

import pytest

from bursar.wire.dialect import Dialect
from bursar.wire.transcripts import (
    Turn,
    answer_content,
    anthropic_content,
    openai_message,
    request_body,
    tools_for,
    tools_named_in,
)
from wire_bodies import ANTHROPIC, OPENAI, digests, read

OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "Does f.", "parameters": {"type": "object", "properties": {}}},
}
ANTHROPIC_TOOL = {"name": "f", "description": "Does f.", "input_schema": {"type": "object", "properties": {}}}

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hi"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "done"}


def calling(*ids: str | None, arguments: Any = "{}", content: str | None = None) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": arguments}} for i in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def anthropic_body(*messages: dict[str, Any], **turn: Any) -> dict[str, Any]:
    return request_body("anthropic.messages", Turn("m", messages, **turn))


def openai_body(*messages: dict[str, Any], **turn: Any) -> dict[str, Any]:
    return request_body("openai.chat", Turn("m", messages, **turn))


def test_a_plain_conversation_keeps_its_words() -> None:
    said = {"role": "assistant", "content": "Hello."}
    body = anthropic_body(SYSTEM, USER, said, USER, tools=[OPENAI_TOOL], max_tokens=7, stream=True)
    assert body == {
        "model": "m",
        "max_tokens": 7,
        "system": "Be brief.",
        "messages": [USER, said, USER],
        "tools": [ANTHROPIC_TOOL],
        "stream": True,
    }
    assert openai_body(SYSTEM, USER, said, USER, tools=[ANTHROPIC_TOOL], max_tokens=7, stream=True) == {
        "model": "m",
        "messages": [SYSTEM, USER, said, USER],
        "max_completion_tokens": 7,
        "tools": [OPENAI_TOOL],
        "stream": True,
    }


def test_results_in_a_row_are_one_message_at_anthropic() -> None:
    results = [
        {**RESULT, "tool_call_id": "b", "content": "2"},
        {**RESULT, "tool_call_id": "a", "content": ""},
    ]
    body = anthropic_body(USER, calling("a", "b"), *results)
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]
    assert body["messages"][2:] == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": ""},
                {"type": "tool_result", "tool_use_id": "b", "content": "2"},
            ],
        }
    ]


def test_every_call_has_a_result_and_every_result_a_call() -> None:
    for body in (anthropic_body, openai_body):
        # The first call is never answered; the last result was never asked for.
        messages = body(USER, calling("a", "b"), {**RESULT, "tool_call_id": "b"}, USER, RESULT)["messages"]
        text = json.dumps(messages)
        assert text.count('"a"') == text.count('"b"') == 2
        assert "call_1" not in text
        assert messages[-1] == {"role": "user", "content": "done"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ('{"a": ', {"invalid_json": '{"a": '}),
        ("[1]", {"value": [1]}),
        ({"a": 1}, {"a": 1}),
        (None, {}),
    ],
)
def test_arguments_are_an_object_at_anthropic(arguments: Any, expected: dict[str, Any]) -> None:
    (block,) = anthropic_content(calling("a", arguments=arguments))
    assert block["input"] == expected


def test_ids_and_names_fit_the_providers_pattern() -> None:
    odd = {"role": "assistant", "tool_calls": [{"id": "a/b.c", "function": {"name": "do it!"}}]}
    (call,) = openai_message(odd)["tool_calls"]
    assert (call["id"], call["function"]["name"]) == ("a_b_c", "do_it_")


def test_missing_ids_are_made_from_positions_and_found_by_their_results() -> None:
    messages = [USER, calling(None), {"role": "tool", "content": "done"}]
    body = openai_body(*messages)
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == "call_1_0"
    assert body["messages"][2]["content"] == "done"
    assert openai_message(calling(None), 1) == body["messages"][1]


def test_the_older_function_calls_are_tool_calls() -> None:
    messages = [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "done"},
    ]
    content = anthropic_body(*messages)["messages"][2]["content"]
    assert content == [{"type": "tool_result", "tool_use_id": "call_1_0", "content": "done"}]


def test_anthropic_gets_no_blank_text_and_a_user_first_and_last() -> None:
    said = {"role": "assistant", "content": "Hello."}
    messages = anthropic_body(
        said, {**USER, "content": " "}, said, said, calling("call_1", content="\n"), RESULT, said
    )["messages"]
    assert messages[0]["role"] == messages[-1]["role"] == "user"
    assert all(message["content"] for message in messages)
    assert not any(one["role"] == two["role"] == "assistant" for one, two in pairwise(messages))
    assert '"text": " "' not in json.dumps(messages)
    assert '"text": "\\n"' not in json.dumps(messages)
    assert anthropic_body(SYSTEM)["messages"] == [{"role": "user", "content": "(The conversation begins.)"}]


def test_parts_of_a_users_message_find_their_counterparts() -> None:
    parts = [
        {"type": "text", "text": "See"},
        {"type": "text", "text": " "},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ]
    assert anthropic_body({"role": "user", "content": parts})["messages"][0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
    ]


def test_tools_that_nobody_defined_are_defined_by_name() -> None:
    body = anthropic_body(USER, calling("call_1"), RESULT)
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert "tools" not in anthropic_body(USER)
    assert tools_for("openai.chat", tools_named_in([calling("a")]))[0]["function"]["name"] == "f"


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)
def test_each_request_extends_the_one_before_and_each_answer_is_recognised(dialect: Dialect) -> None:
    messages = [
        SYSTEM,
        USER,
        calling("call_1", content="Looking."),
        RESULT,
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": ""},
        calling("call_2", None),
        {**RESULT, "tool_call_id": "call_2"},
        {"role": "assistant", "content": "Bye."},
    ]
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    requests = [
        read(dialect, request_body(dialect.name, Turn("m", messages[:i], [OPENAI_TOOL]))) for i in turns
    ]
    for turn, (earlier, later) in zip(turns, pairwise(requests), strict=False):
        assert digests(later)[: len(digests(earlier))] == digests(earlier)
        content = answer_content(dialect.name, messages[turn], turn)
        whole = (
            {"content": content} if dialect is ANTHROPIC else {"choices": [{"index": 0, "message": content}]}
        )
        echoes = [piece.echo for piece in later.prompt.messages if piece.echo]
        assert dialect.answer(json.dumps(whole).encode()).echo == echoes[-1]


def test_ids_that_come_again_are_told_apart_with_their_results() -> None:
    again = [calling("call_1", "call_1"), {**RESULT, "content": "1"}, {**RESULT, "content": "2"}]
    messages = openai_body(USER, *again, *again)["messages"]
    ids = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert len(set(ids)) == 4
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == ids
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["1", "2", "1", "2"]


def test_an_empty_conversation_or_content_is_still_a_request() -> None:
    assert openai_body()["messages"] == [{"role": "user", "content": "(The conversation begins.)"}]
    assert openai_body({"role": "user", "content": []})["messages"] == [{"role": "user", "content": ""}]
