import pytest

from bursar.wire.asked import read_last_user_text, wants_form
from wire_bodies import anthropic, openai

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "42 rows"}


def test_the_newest_text_of_a_user_is_read():
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "well"},
        {"role": "user", "content": "second"},
    ]
    assert read_last_user_text(anthropic(messages)) == "second"
    assert read_last_user_text(openai([{"role": "system", "content": "be kind"}, *messages])) == "second"


def test_results_of_tools_are_passed_over():
    asked = {"role": "user", "content": "how many?"}
    at_anthropic = [
        asked,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [RESULT]},
    ]
    at_openai = [
        asked,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "42 rows"},
    ]
    assert read_last_user_text(anthropic(at_anthropic)) == "how many?"
    assert read_last_user_text(openai(at_openai)) == "how many?"


def test_texts_beside_a_result_and_in_parts_are_joined():
    parts = [RESULT, {"type": "text", "text": "and now"}, {"type": "text", "text": "this"}]
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": parts},
    ]
    assert read_last_user_text(anthropic(messages)) == "and now\nthis"


def test_without_a_user_there_is_no_text():
    assert read_last_user_text(openai([{"role": "system", "content": "be kind"}])) == ""


def test_a_huge_message_is_read_at_its_ends():
    text = "begin " + "x" * 400_000 + " end"
    read = read_last_user_text(anthropic([{"role": "user", "content": text}]))
    assert "begin" in read
    assert "end" in read
    assert len(read) <= 1 << 18


@pytest.mark.parametrize(
    "fields",
    [
        {"output_format": {"type": "json_schema", "schema": {}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    ],
)
def test_a_form_is_seen_at_anthropic(fields: dict[str, object]):
    assert wants_form(anthropic([{"role": "user", "content": "hi"}], **fields))


@pytest.mark.parametrize("kind", ["json_schema", "json_object"])
def test_a_form_is_seen_at_openai(kind: str):
    assert wants_form(openai([{"role": "user", "content": "hi"}], response_format={"type": kind}))


@pytest.mark.parametrize(
    "fields", [{}, {"output_config": {"effort": "low"}}, {"output_config": None}, {"output_format": None}]
)
def test_effort_is_no_form(fields: dict[str, object]):
    assert not wants_form(anthropic([{"role": "user", "content": "hi"}], **fields))


def test_plain_text_is_no_form():
    assert not wants_form(openai([{"role": "user", "content": "hi"}], response_format={"type": "text"}))
