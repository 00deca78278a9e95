"""Reading and rewriting the texts of tool results."""

import json

import pytest

from bursar.wire.results import read_call_names, read_result_texts, write_result_texts

ANTHROPIC = "anthropic.messages"
OPENAI = "openai.chat"


def anthropic_message(*contents: object) -> bytes:
    blocks = [
        {"type": "tool_result", "tool_use_id": f"t{number}", "content": content, "is_error": False}
        for number, content in enumerate(contents)
    ]
    return json.dumps({"role": "user", "content": [*blocks, {"type": "text", "text": "Go on."}]}).encode()


def test_texts_come_in_order_with_the_ids_of_their_calls() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}}
    message = anthropic_message(
        "one", [{"type": "text", "text": "two"}, image, {"type": "text", "text": "3"}]
    )
    found = read_result_texts(ANTHROPIC, message)
    assert [(text.call_id, text.text) for text in found] == [("t0", "one"), ("t1", "two"), ("t1", "3")]


def test_openais_tool_messages_hold_one_result() -> None:
    message = b'{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"a"}]}'
    assert [(text.call_id, text.text) for text in read_result_texts(OPENAI, message)] == [("c1", "a")]
    assert read_result_texts(OPENAI, b'{"role":"user","content":"a"}') == []


@pytest.mark.parametrize("content", ["null", '""', "[]"])
def test_a_result_may_be_empty(content: str) -> None:
    message = b'{"role":"tool","tool_call_id":"c1","content":' + content.encode() + b"}"
    texts = [text.text for text in read_result_texts(OPENAI, message)]
    assert write_result_texts(OPENAI, message, texts) == message


def test_only_texts_change() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}}
    message = anthropic_message("one", [{"type": "text", "text": "two", "extra": 1}, image])
    written = json.loads(write_result_texts(ANTHROPIC, message, ["1", "ü \U0001f600"]))
    expected = json.loads(message)
    expected["content"][0]["content"] = "1"
    expected["content"][1]["content"][0]["text"] = "ü \U0001f600"
    assert written == expected


def test_equal_texts_leave_every_byte() -> None:
    message = b'{ "role": "user", "content": [ {"type":"tool_result","tool_use_id":"t","content":"x"} ] }'
    assert write_result_texts(ANTHROPIC, message, ["x"]) is message


@pytest.mark.parametrize("call_id", ["[[[]]]", "17", "null"])
def test_an_id_of_a_wrong_type_is_no_id(call_id: str) -> None:
    block = b'{"type":"tool_result","tool_use_id":' + call_id.encode() + b',"content":"x"}'
    message = b'{"role":"user","content":[' + block + b"]}"
    assert [text.call_id for text in read_result_texts(ANTHROPIC, message)] == [""]


def test_calls_are_named() -> None:
    anthropic = (
        b'{"role":"assistant","content":[{"type":"text","text":"hm"},'
        b'{"type":"tool_use","id":"t1","name":"find","input":{}}]}'
    )
    openai = (
        b'{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"find"}},'
        b'{"id":"c2","type":"custom","custom":{"name":"draw","input":""}}]}'
    )
    assert read_call_names(ANTHROPIC, anthropic) == {"t1": "find"}
    assert read_call_names(ANTHROPIC, b'{"role":"assistant","content":"hm"}') == {}
    assert read_call_names(OPENAI, openai) == {"c1": "find", "c2": "draw"}
    assert read_call_names(OPENAI, b'{"role":"assistant","content":"hm","tool_calls":null}') == {}
