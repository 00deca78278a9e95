import json
from typing import Any

import msgspec
import pytest

from bursar.errors import BadRequest
from bursar.replay.transcripts import Asking, Conversation, read_conversation

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is my parcel?"},
    {
        "role": "assistant",
        "content": None,
        "at_s": 0,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "track", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "in transit"},
    {"role": "assistant", "content": "On its way.", "at_s": 7.5},
]


def read(**line: Any) -> Conversation:
    text = json.dumps({"conversation": "one", **line}).encode()
    return read_conversation(text, msgspec.json.decode(text, type=dict[str, msgspec.Raw]), "file:1")


def test_each_assistant_message_is_the_answer_to_what_came_before() -> None:
    exchanged = list(read(agent="desk", messages=TALK).exchanges())
    assert [(e.at_s, len(e.asked)) for e in exchanged] == [(0.0, 2), (7.5, 4)]
    assert exchanged[0].speech.calls[0].name == "track"
    assert exchanged[1].speech.text == "On its way."


def test_labels_are_the_lines_own_and_never_empty() -> None:
    assert read(agent="desk", task="", tenant=None, messages=TALK).labels == {
        "conversation": "one",
        "agent": "desk",
    }


def test_lone_calls_come_in_order_of_time_and_empty_ones_are_counted() -> None:
    calls = [
        {"at_s": 5, "input": "second", "output": "2"},
        {"at_s": 1, "input": " ", "output": "nothing was asked"},
        {"at_s": 2, "input": "first", "output": "1"},
    ]
    conversation = read(calls=calls)
    assert [e.speech.text for e in conversation.exchanges()] == ["1", "2"]
    assert conversation.empty_calls == 1


def test_lone_calls_without_all_times_keep_their_order() -> None:
    calls = [{"at_s": 5, "input": "a", "output": "1"}, {"input": "b", "output": "2"}]
    assert [e.speech.text for e in read(calls=calls).exchanges()] == ["1", "2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"messages": []}, "length >= 1"),
        (
            {"messages": [{"role": "assistant", "content": "Hi"}]},
            r"messages\[0\]: an assistant's message that",
        ),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "none of them is an assistant's"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "robot"),
        ({"messages": [{"role": "user", "content": 1}]}, r"\$.messages\[0\].content"),
        ({"messages": ["Hi"]}, r"\$.messages\[0\]"),
        ({"messages": TALK, "conversation": ""}, r"\$.conversation"),
        ({"messages": TALK, "conversation": 7}, r"\$.conversation"),
        ({"messages": [{"role": "user", "content": "Hi", "at_s": -1}]}, r"\$.messages\[0\].at_s"),
        ({"calls": []}, "length >= 1"),
        ({"calls": [{"input": "a"}]}, "output"),
    ],
)
def test_a_wrong_line_is_refused_with_its_reason(line: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        read(**line)


def test_the_model_decides_the_dialect() -> None:
    assert Asking("claude-sonnet-4-6").dialect == "anthropic.messages"
    assert Asking("gpt-4o").dialect == "openai.chat"


def test_bodies_extend_one_another_and_keep_the_same_tools() -> None:
    bodies = [json.loads(body) for _, body in Asking("claude-sonnet-4-6").bodies(read(messages=TALK))]
    assert bodies[0]["messages"] == bodies[1]["messages"][:1]
    # The tool is first called in the first answer, but must be there from the first call on.
    assert [tool["name"] for tool in bodies[0]["tools"]] == ["track"]
    assert bodies[0]["tools"] == bodies[1]["tools"]


def test_bodies_take_the_given_tools_limit_and_stream() -> None:
    given = {"type": "function", "function": {"name": "given", "parameters": {"type": "object"}}}
    asking = Asking("gpt-4o", (given,), max_tokens=99, stream=True)
    _, body = next(asking.bodies(read(messages=TALK)))
    request = json.loads(body)
    assert request["tools"] == [given]
    assert request["stream"] is True
    assert request["max_completion_tokens"] == 99
