from typing import Any

import pytest

from bursar.domain.prices import Terms
from bursar.domain.prompt import BlockKind, ContentClass, Role
from bursar.errors import BadRequest
from wire_bodies import OPENAI, blocks, digests, openai, read

CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 7}'}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "Hi"}


def test_the_top_level_fields_are_read() -> None:
    request = openai(
        [USER],
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=7,
        max_tokens=9,
        user="u-1",
        service_tier="fast",
    )
    assert (request.stream, request.wants_usage, request.max_tokens, request.user) == (True, True, 7, "u-1")
    assert request.terms == Terms(tier="priority")
    assert openai([USER], max_tokens=9, safety_identifier="s").max_tokens == 9
    assert openai([USER], safety_identifier="s").user == "s"


def test_null_is_as_good_as_absent() -> None:
    fields = (
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "user",
        "tools",
        "service_tier",
    )
    request = openai([USER], **dict.fromkeys(fields))
    assert (request.stream, request.max_tokens, request.user, request.terms) == (False, None, "", Terms())


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"stream": 1}, "stream"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"prompt_cache_options": 5}, "prompt_cache_options"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].image_url",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].id"),
        ({"messages": [USER, {"role": 5}]}, "messages[1].role"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        openai(fields.pop("messages", [USER]), **fields)
    assert caught.value.place == place


def test_system_messages_at_the_front_are_the_system_and_later_ones_are_not() -> None:
    request = openai(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": "b"},
            USER,
            {"role": "system", "content": "c"},
        ]
    )
    assert [piece.role for piece in request.prompt.system] == [Role.SYSTEM, Role.SYSTEM]
    assert [piece.role for piece in request.prompt.messages] == [Role.USER, Role.SYSTEM]
    assert request.prompt.system[0].blocks[0].content_class is ContentClass.POLICY


def test_blocks_say_what_they_are() -> None:
    request = openai(
        [
            {"role": "system", "content": "Be brief."},
            USER,
            {"role": "assistant", "content": "One moment.", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"ok": true}'},
            {"role": "assistant", "content": "", "refusal": "No."},
        ],
        tools=[TOOL],
    )
    assert [(block.kind, block.content_class, block.markable) for block in blocks(request)] == [
        (BlockKind.TOOL, ContentClass.JSON, False),
        (BlockKind.TEXT, ContentClass.POLICY, True),
        (BlockKind.TEXT, ContentClass.CHAT, True),
        (BlockKind.TEXT, ContentClass.ASSISTANT, True),
        (BlockKind.TOOL_CALL, ContentClass.JSON, False),
        (BlockKind.TOOL_CALL, ContentClass.JSON, False),
        (BlockKind.TOOL_RESULT, ContentClass.JSON, True),
        (BlockKind.OTHER, ContentClass.ASSISTANT, False),
    ]
    assert blocks(request)[4].base_tokens == len('look_up {"id": 7}')


def test_images_files_and_audio_are_estimated() -> None:
    url = {"url": "https://example.org/a.png"}
    parts = [
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {**url, "detail": "low"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "A" * 6_400, "format": "mp3"}},
    ]
    tokens = [block.base_tokens for block in blocks(openai([{"role": "user", "content": parts}]))]
    assert tokens == [765, 85, 2_000, 4]


def test_a_string_equals_one_text_part_and_a_mark_changes_nothing() -> None:
    part = {"type": "text", "text": "Hi"}
    forms = ["Hi", [part], [{**part, "prompt_cache_breakpoint": {"mode": "explicit"}}]]
    assert len({digests(openai([{"role": "user", "content": form}]))[0] for form in forms}) == 1
    results = [{"role": "tool", "tool_call_id": "c", "content": form} for form in forms]
    assert len({digests(openai([USER, result]))[1] for result in results}) == 1


def test_role_name_and_call_id_tell_messages_apart() -> None:
    messages = [
        USER,
        {**USER, "name": "Ann"},
        {**USER, "role": "assistant"},
        {"role": "tool", "tool_call_id": "a", "content": "Hi"},
        {"role": "tool", "tool_call_id": "b", "content": "Hi"},
    ]
    assert len({digests(openai([message]))[0] for message in messages}) == 5


def test_null_and_empty_content_beside_calls_are_the_same() -> None:
    null, empty = (
        openai([USER, {"role": "assistant", "content": c, "tool_calls": [CALL]}]) for c in (None, "")
    )
    assert digests(null) == digests(empty)
    assert null.prompt.messages[1].echo == empty.prompt.messages[1].echo


def test_a_message_without_any_content_is_still_a_piece() -> None:
    (block,) = blocks(openai([{"role": "assistant"}]))
    assert (block.kind, block.base_tokens, block.markable) == (BlockKind.TEXT, 0, False)


def test_an_output_schema_tells_system_prompts_apart() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    assert openai([USER], response_format=schema).prompt.system_salt
    assert not openai([USER], response_format={"type": "text"}).prompt.system_salt


def test_the_older_functions_are_tools() -> None:
    request = read(OPENAI, {"model": "m", "messages": [USER], "functions": [TOOL["function"]]})
    assert [block.kind for block in request.prompt.tools[0].blocks] == [BlockKind.TOOL]
