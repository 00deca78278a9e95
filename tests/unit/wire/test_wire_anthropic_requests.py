import json
from typing import Any

import pytest

from bursar.domain.prices import Terms
from bursar.domain.prompt import BlockKind, ContentClass, Mark, Place, Role, Section
from bursar.errors import BadRequest
from bursar.wire.dialect import Edits
from bursar.wire.memo import PieceMemo
from wire_bodies import ANTHROPIC, anthropic, blocks, digests, marks, read

EPHEMERAL = {"type": "ephemeral"}
TOOL = {"name": "look_up", "description": "Looks up.", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"id": 7}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"ok": true}'}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def test_the_top_level_fields_are_read() -> None:
    request = anthropic(
        [{"role": "user", "content": "Hi"}],
        stream=True,
        metadata={"user_id": "u-1"},
        speed="fast",
        inference_geo="us",
    )
    assert (request.model, request.stream, request.max_tokens) == ("claude-sonnet-4-6", True, 9)
    assert (request.user, request.wants_usage) == ("u-1", True)
    assert request.terms == Terms(tier="fast", geo="us")


def test_fields_keep_their_order_and_their_bytes() -> None:
    body = b'{ "x" : 1.50 , "model":"m",\n"messages":[ {"content":"Hi","role":"user"} ] ,"y":"\\u00e9"}'
    request = read(ANTHROPIC, body)
    assert dict(request.fields) == {
        "x": b"1.50",
        "model": b'"m"',
        "messages": b'[ {"content":"Hi","role":"user"} ]',
        "y": b'"\\u00e9"',
    }
    assert list(request.fields) == ["x", "model", "messages", "y"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"  ", "the body is empty"),
        (b"[]", "a JSON object was expected, found an array"),
        (b"nul", "not valid JSON"),
        (b'{"model":NaN}', "invalid character (byte 9)"),
        (b'{"model":"\xff"}', "not UTF-8 (byte 10)"),
        (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
        (b'{"messages":[]}', "model: this field is required"),
        (b'{"model":""}', "model: the name of a model is required"),
        (b'{"model":7}', "model: a string was expected, found a number"),
        (b'{"model":"m"}', "messages: this field is required"),
        (b'{"model":"m","messages":{}}', "messages: an array was expected, found an object"),
        (b'{"model":"m","messages":[]}', "messages: at least one message is required"),
        (b'{"model":"m","messages":["Hi"]}', "messages[0]: an object was expected, found a string"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_place(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(ANTHROPIC, body)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"system": 5}, "system"),
        ({"system": [{"type": "text"}]}, "system[0].text"),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"cache_control": "yes"}, "cache_control"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [user(text("Hi")), user("Hi")]}, "messages[1].content[0]"),
        ({"messages": [user({"text": "Hi"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "text", "text": 1})]}, "messages[0].content[0].text"),
        ({"messages": [user(text("Hi", cache_control=1))]}, "messages[0].content[0].cache_control"),
        ({"messages": [user({**CALL, "id": 1})]}, "messages[0].content[0].id"),
        ({"messages": [user({**RESULT, "content": [5]})]}, "messages[0].content[0].content[0]"),
        ({"messages": [user({"type": "image"})]}, "messages[0].content[0].source"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        anthropic(fields.pop("messages", [user(text("Hi"))]), **fields)
    assert caught.value.place == place


def test_what_we_do_not_know_passes() -> None:
    request = anthropic(
        [{"role": "narrator", "content": [{"type": "hologram", "depth": 3}]}], future={"a": [1]}
    )
    assert request.fields["future"] == b'{"a": [1]}'
    (block,) = blocks(request)
    assert (block.kind, block.markable) == (BlockKind.OTHER, False)


def test_a_string_equals_one_text_block_whatever_its_key_order_and_mark() -> None:
    forms = [
        "Hi",
        [{"type": "text", "text": "Hi"}],
        [{"text": "Hi", "type": "text"}],
        [{"text": "Hi", "type": "text", "cache_control": EPHEMERAL}],
        [{"text": "Hi", "type": "text", "cache_control": None}],
    ]
    assert len({digests(anthropic([{"role": "user", "content": form}]))[0] for form in forms}) == 1
    assert len({digests(anthropic([user(text("Q"))], system=form))[0] for form in forms}) == 1


def test_role_and_further_members_tell_blocks_apart() -> None:
    contents = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hi"},
        user(text("Hi", citations=[])),
        user(text("Hi ")),
    ]
    assert len({digests(anthropic([content]))[0] for content in contents}) == 4


def test_blocks_say_what_they_are() -> None:
    request = anthropic(
        [
            user(text("Look up 7.")),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"}, CALL],
            },
            user(RESULT, text("")),
        ],
        system="Be brief.",
        tools=[TOOL],
    )
    assert [(block.kind, block.content_class, block.markable) for block in blocks(request)] == [
        (BlockKind.TOOL, ContentClass.JSON, True),
        (BlockKind.TEXT, ContentClass.POLICY, True),
        (BlockKind.TEXT, ContentClass.CHAT, True),
        (BlockKind.THINKING, ContentClass.ASSISTANT, False),
        (BlockKind.TOOL_CALL, ContentClass.JSON, True),
        (BlockKind.TOOL_RESULT, ContentClass.JSON, True),
        (BlockKind.TEXT, ContentClass.CHAT, False),
    ]
    assert [piece.role for piece in request.prompt.messages] == [Role.USER, Role.ASSISTANT, Role.USER]


def test_tokens_cover_the_text_of_each_block() -> None:
    request = anthropic([user(text("1234"), CALL, {**RESULT, "content": [text("12"), text("345")]})])
    # A call counts its name, a space and its arguments.
    assert [block.base_tokens for block in blocks(request)] == [4, len('look_up {"id":7}'), 5]


def test_nested_blocks_belong_to_their_tool_result() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    plain = anthropic([user({**RESULT, "content": [text("12"), image]})])
    marked = anthropic([user({**RESULT, "content": [text("12", cache_control=EPHEMERAL), image]})])
    assert [block.base_tokens for block in blocks(plain)] == [1_602]
    assert digests(plain) == digests(marked)
    assert marks(marked) == {Place(Section.MESSAGES, 0, 0): Mark("5m")}


def test_a_tool_that_is_loaded_on_demand_is_no_part_of_the_prompt() -> None:
    (block,) = anthropic([user(text("Hi"))], tools=[{**TOOL, "defer_loading": True}]).prompt.tools[0].blocks
    assert (block.base_tokens, block.markable) == (0, False)


def test_marks_are_read_as_the_client_wrote_them() -> None:
    request = anthropic(
        [user(text("a", cache_control=EPHEMERAL), text("b", cache_control={"type": "ephemeral", "ttl": 60}))],
        system=[text("s", cache_control={"type": "ephemeral", "ttl": "1h"})],
        tools=[{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "2w"}}],
        cache_control=EPHEMERAL,
    )
    assert marks(request) == {
        Place(Section.TOOLS, 0, 0): Mark("2w"),
        Place(Section.SYSTEM, 0, 0): Mark("1h"),
        Place(Section.MESSAGES, 0, 0): Mark("5m"),
        Place(Section.MESSAGES, 0, 1): Mark("5m"),
    }
    assert request.prompt.auto_mark == Mark("5m")


@pytest.mark.parametrize(
    ("fields", "section"),
    [
        ({"speed": "fast"}, "system"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "system"),
        ({"tool_choice": {"type": "any"}}, "messages"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, "messages"),
        ({"tool_choice": {"type": "auto"}}, ""),
        ({"temperature": 0.5, "stop_sequences": ["x"]}, ""),
    ],
)
def test_settings_tell_the_sections_apart_that_they_invalidate(fields: dict[str, Any], section: str) -> None:
    prompt = anthropic([user(text("Hi"))], **fields).prompt
    assert prompt.tools_salt == b""
    assert bool(prompt.system_salt) == (section == "system")
    assert bool(prompt.messages_salt) == (section == "messages")


def test_images_and_citations_tell_sections_apart() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    document = {"type": "document", "source": {"type": "text", "data": "d"}, "citations": {"enabled": True}}
    quoted = text('a picture of type "image", said {"type":"image"}')
    assert anthropic([user({**RESULT, "content": [image]})]).prompt.messages_salt
    assert not anthropic([user(quoted)]).prompt.messages_salt
    assert anthropic([user(document)]).prompt.system_salt
    assert not anthropic([user({**document, "citations": {"enabled": False}})]).prompt.system_salt


def test_an_echo_is_the_text_and_the_calls_of_an_assistant() -> None:
    whole, split, other = (
        anthropic([user(text("Q")), {"role": "assistant", "content": content}]).prompt.messages[1].echo
        for content in (
            [text("ab"), CALL],
            [{"type": "thinking", "thinking": "t", "signature": "s"}, text("a"), text("b"), CALL],
            [text("ab"), {**CALL, "id": "toolu_2"}],
        )
    )
    assert whole == split != other
    assert anthropic([user(text("Q"))]).prompt.messages[0].echo == b""


def test_remembered_pieces_are_not_counted_again() -> None:
    memo = PieceMemo()
    turns = [user(text("one")), {"role": "assistant", "content": "two"}]
    body = {"model": "m", "messages": turns, "system": "s"}
    first = read(ANTHROPIC, body, memo)
    longer = json.dumps({**body, "messages": [*turns, user(text("three"))]}).encode()
    reading = ANTHROPIC.read(longer, memo)
    assert reading.texts == ["three"]
    assert reading.finish([5]).prompt.messages[:2] == first.prompt.messages


def test_a_piece_that_comes_twice_in_a_body_is_counted_once() -> None:
    reading = ANTHROPIC.read(
        json.dumps({"model": "m", "messages": [user(text("a"))] * 3}).encode(), PieceMemo()
    )
    assert reading.texts == ["a"]
    assert len(reading.finish([1]).prompt.messages) == 3


def test_a_memo_that_forgets_before_the_count_is_done_loses_nothing() -> None:
    memo = PieceMemo(pieces_max=1)
    read(ANTHROPIC, {"model": "m", "messages": [user(text("a"))]}, memo)
    reading = ANTHROPIC.read(
        json.dumps({"model": "m", "messages": [user(text("a")), user(text("b"))]}).encode(), memo
    )
    for other in ("c", "d"):
        read(ANTHROPIC, {"model": "m", "messages": [user(text(other))]}, memo)
    assert [
        piece.blocks[0].base_tokens for piece in reading.finish([7] * len(reading.texts)).prompt.messages
    ] == [1, 7]


@pytest.mark.parametrize("depth", range(930, 1_000, 10))
def test_nesting_about_as_deep_as_can_be_is_read_or_refused(depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    call = b'{"type":"tool_use","id":"t","name":"f","input":' + nested + b"}"
    body = (
        b'{"model":"m","tool_choice":' + nested + b',"messages":[{"role":"user","content":[' + call + b"]}]}"
    )
    try:
        request = read(ANTHROPIC, body)
    except BadRequest as refusal:
        assert "deep" in str(refusal) or refusal.place  # noqa: PT017 - either outcome is right here
    else:
        assert ANTHROPIC.write(request, Edits()) == body


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "123456"}, len("Terms123456")),
        ({"type": "content", "content": [text("1")]}, len('Terms[{"type":"text","text":"1"}]')),
        ({"type": "base64", "media_type": "application/pdf", "data": "A" * 400_000}, len("Terms") + 6_001),
        ({"type": "url", "url": "https://example.org/a.pdf"}, len("Terms") + 2_000),
    ],
)
def test_documents_count_their_text_or_their_pages(source: dict[str, Any], tokens: int) -> None:
    (block,) = blocks(anthropic([user({"type": "document", "source": source, "title": "Terms"})]))
    assert (block.base_tokens, block.markable) == (tokens, True)


def test_numbers_beyond_any_range_pass_through() -> None:
    call = (
        b'{"type":"tool_use","id":"t","name":"f","input":{"a": 1e999, "b": 123456789012345678901234567890}}'
    )
    body = b'{"model":"m","messages":[{"role":"assistant","content":[' + call + b"]}]}"
    request = read(ANTHROPIC, body)
    assert ANTHROPIC.write(request, Edits()) == body
    assert digests(request) == digests(read(ANTHROPIC, body.replace(b"1e999, ", b"1e999,")))
