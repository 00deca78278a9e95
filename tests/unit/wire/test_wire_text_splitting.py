"""A text block as two with the same text."""

import json
from typing import Any

import pytest

from bursar.domain.prompt import Place, Section
from bursar.wire.dialect import Edits, Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from bursar.wire.text_splitting import read_text_at, split_text_at
from wire_bodies import anthropic, openai

SYSTEM, MESSAGE = Place(Section.SYSTEM, 0, 0), Place(Section.MESSAGES, 0, 0)
TEXT = 'Über "alles" \\ steht\nviel \U0001f600 hier.'
MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def text_block(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **members}


def split(request: Request, place: Place, characters: int) -> Any:
    """Split a text behind so many characters; return the body, after a round through the dialect."""
    text = read_text_at(request, place)
    assert text is not None
    fields = split_text_at(request, place, len(text.decode()[:characters].encode()))
    dialect = DIALECTS[request.dialect]
    reading = dialect.reread_fields(request, fields, PieceMemo())
    again = reading.finish([len(each) for each in reading.texts])
    whole = dialect.read(dialect.write(again, Edits()), PieceMemo())
    assert whole.finish([len(each) for each in whole.texts]).prompt == again.prompt
    return json.loads(dialect.write(again, Edits()))


@pytest.mark.parametrize("characters", [1, 6, 24, 25, len(TEXT) - 1])
def test_a_message_given_as_a_string_becomes_two_blocks(characters: int) -> None:
    for request in (
        anthropic([{"role": "user", "content": TEXT, "extra": 1}]),
        openai([{"role": "user", "name": "Ann", "content": TEXT}]),
    ):
        (message,) = split(request, MESSAGE, characters)["messages"]
        assert message.pop("content") == [text_block(TEXT[:characters]), text_block(TEXT[characters:])]
        assert message in ({"role": "user", "extra": 1}, {"role": "user", "name": "Ann"})


def test_a_system_prompt_given_as_a_string_becomes_two_blocks() -> None:
    body = split(anthropic([{"role": "user", "content": "Hi"}], system=TEXT, temperature=0), SYSTEM, 7)
    assert body["system"] == [text_block(TEXT[:7]), text_block(TEXT[7:])]
    assert (body["messages"], body["temperature"]) == ([{"role": "user", "content": "Hi"}], 0)


def test_a_clients_mark_stays_with_the_second_half() -> None:
    first, marked = text_block("Rules."), text_block(TEXT, **MARK)
    place = Place(Section.SYSTEM, 1, 0)
    body = split(anthropic([{"role": "user", "content": "Hi"}], system=[first, marked]), place, 9)
    assert body["system"] == [first, text_block(TEXT[:9]), text_block(TEXT[9:], **MARK)]
    messages = [
        {"role": "system", "content": "Rules."},
        {
            "role": "user",
            "content": [text_block("One."), text_block(TEXT, **BREAKPOINT), text_block("Three.")],
        },
    ]
    body = split(openai(messages), Place(Section.MESSAGES, 0, 1), 9)
    assert body["messages"][1]["content"] == [
        text_block("One."),
        text_block(TEXT[:9]),
        text_block(TEXT[9:], **BREAKPOINT),
        text_block("Three."),
    ]


def test_openais_system_messages_are_split_as_others() -> None:
    messages = [{"role": "developer", "content": TEXT}, {"role": "user", "content": "Hi"}]
    body = split(openai(messages), SYSTEM, 5)
    assert body["messages"] == [
        {"role": "developer", "content": [text_block(TEXT[:5]), text_block(TEXT[5:])]},
        messages[1],
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": TEXT}},
        text_block(TEXT, citations=[]),
        {"type": "thinking", "thinking": TEXT, "signature": "s"},
        {"type": "tool_result", "tool_use_id": "t", "content": TEXT},
    ],
)
def test_what_is_more_than_text_has_no_text_to_split(block: dict[str, Any]) -> None:
    assert read_text_at(anthropic([{"role": "user", "content": [block]}]), MESSAGE) is None


def test_other_bytes_stay() -> None:
    body = (
        b'{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[ {"role": "user", "content": "one two"} , '
        b'{"role":"assistant","content":"\\u0041 "}, {"role":"user","content":"B"} ]}'
    )
    dialect = DIALECTS["anthropic.messages"]
    request = dialect.read(body, PieceMemo()).counted(lambda texts: [1] * len(texts))
    (messages,) = split_text_at(request, MESSAGE, 3).values()
    assert messages == (
        b'[ {"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":" two"}]} , '
        b'{"role":"assistant","content":"\\u0041 "}, {"role":"user","content":"B"} ]'
    )
