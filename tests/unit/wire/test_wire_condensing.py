"""History condensed in each dialect's own JSON."""

import json
from typing import Any

import pytest

from bursar.wire.condensing.cuts import cut_points
from bursar.wire.condensing.forms import FORMS
from bursar.wire.condensing.masking import mask_results
from bursar.wire.condensing.rendering import shorten, text_for_summary
from bursar.wire.condensing.spoken import split
from bursar.wire.condensing.summaries import replace_by_summary
from bursar.wire.dialect import Dialect
from history_conversations import Call, Step, Turn, messages_of, request_of
from wire_bodies import ANTHROPIC, OPENAI

ANTHROPIC_FORM, OPENAI_FORM = FORMS[ANTHROPIC.name], FORMS[OPENAI.name]
LONG = "row\n" * 300
TURNS = [
    Turn("Find me a flight.", (Step("Looking.", (Call("find_flights", {"to": "FRA"}, LONG),)), Step("Two."))),
    Turn("Book the first.", (Step("", (Call("book", {}, "ok"), Call("receipt", {}, LONG))), Step("Booked."))),
    Turn("Thanks. Now a hotel."),
]


def raw(messages: list[Any]) -> list[bytes]:
    return [json.dumps(message).encode() for message in messages]


def cuts_of(dialect: Dialect, turns: list[Turn]) -> tuple[int, ...]:
    return cut_points(request_of(dialect, messages_of(dialect, turns)).prompt.messages)


def anthropic(turns: list[Turn]) -> list[bytes]:
    return raw(messages_of(ANTHROPIC, turns))


def openai(turns: list[Turn]) -> list[bytes]:
    return raw(messages_of(OPENAI, turns)[1:])


def masked(messages: list[bytes], **options: Any) -> list[Any]:
    form = ANTHROPIC_FORM if options.pop("anthropic", True) else OPENAI_FORM
    return [json.loads(m) for m in mask_results(form, messages, range(len(messages)), **options)]


# Where history may be cut


def test_history_is_cut_before_a_users_message_and_after_results() -> None:
    # 0 user, 1 call, 2 result, 3 answer, 4 user, 5 calls, 6 results, 7 answer, 8 user
    assert cuts_of(ANTHROPIC, TURNS) == (3, 4, 7, 8)
    # The same with a message for each result: 5 calls, 6 result, 7 result, 8 answer, 9 user
    assert cuts_of(OPENAI, TURNS) == (3, 4, 8, 9)


@pytest.mark.parametrize(
    ("thinks", "cuts"),
    [
        ((False, False, False), (3, 5)),
        ((True, False, False), ()),
        ((True, True, True), (3, 5)),
        ((True, False, True), (5,)),
        ((False, False, True), (3, 5)),
    ],
)
def test_an_answer_that_thought_is_cut_only_where_it_goes_on_thinking(
    thinks: tuple[bool, ...], cuts: tuple[int, ...]
) -> None:
    steps = [Step("", (Call("f", {}, "r"),), thinks=thought) for thought in thinks]
    assert cuts_of(ANTHROPIC, [Turn("Go.", tuple(steps))]) == cuts


def test_thinking_of_an_earlier_answer_does_not_matter() -> None:
    first = Turn("Go.", (Step("", (Call("f", {}, "r"),), thinks=True), Step("Done.")))
    second = Turn("On.", (Step("", (Call("f", {}, "r"),)), Step("Done.")))
    assert cuts_of(ANTHROPIC, [first, second]) == (4, 7)


def test_a_call_that_nobody_answered_is_not_parted_from_what_follows() -> None:
    messages = messages_of(OPENAI, [Turn("Go.", (Step("", (Call("f", {}, "r"),)),)), Turn("Well?")])
    assert cut_points(request_of(OPENAI, messages).prompt.messages) == (3,)
    del messages[3]
    assert cut_points(request_of(OPENAI, messages).prompt.messages) == ()


def test_the_elements_of_an_array_are_found_by_their_ends() -> None:
    request = request_of(OPENAI, messages_of(OPENAI, TURNS))
    array, ends = request.fields["messages"], request.piece_ends["messages"]
    assert split(array, ends, 1, 3) == [
        json.dumps(m, separators=(",", ":")).encode() for m in messages_of(OPENAI, TURNS)[1:3]
    ]


# Masking


def test_a_masked_result_says_which_tool_returned_how_much() -> None:
    messages = masked(anthropic(TURNS))
    assert messages[2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_0_0_0",
            "content": "[… result of find_flights no longer shown: 1,200 characters]",
        }
    ]
    short, long = messages[6]["content"]
    assert short["content"] == "ok"
    assert "result of receipt" in long["content"]


def test_a_masked_result_names_its_handle() -> None:
    [message] = masked(
        openai(TURNS)[:3], anthropic=False, handle=lambda text: f"GET /v1/bursar/results/{len(text)}"
    )[2:]
    assert message == {
        "role": "tool",
        "tool_call_id": "call_0_0_0",
        "content": "[… result of find_flights no longer shown: 1,200 characters; "
        "full result: GET /v1/bursar/results/1200]",
    }


def test_an_image_is_masked_with_its_text() -> None:
    turn = Turn("Go.", (Step("", (Call("look", {}, "a map", image=True),)),))
    [result] = masked(anthropic([turn]))[2]["content"]
    assert result["content"] == "[… result of look no longer shown: 5 characters, 1 image or file]"


def test_all_but_the_content_of_a_result_keeps_its_bytes() -> None:
    result = (
        '{ "type":"tool_result", "is_error" : true,"content":[{"type":"text","text":"' + "x" * 500 + '"}],'
        '"cache_control":{"type":"ephemeral","ttl":"1h"}, "tool_use_id":"t","later":1.50 }'
    )
    messages = [
        b'{"role":"user","content":"Go."}',
        b'{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}',
        ('{"role":"user","content":[' + result + ',{"type":"text","text":"caf\\u00e9"}]}').encode(),
    ]
    [*_, last] = mask_results(ANTHROPIC_FORM, messages, range(3))
    assert last.endswith(
        b'"cache_control":{"type":"ephemeral","ttl":"1h"},"tool_use_id":"t","later":1.50},'
        b'{"type":"text","text":"caf\\u00e9"}]}'
    )
    assert b'"is_error":true' in last
    assert b"xxx" not in last


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([{"type": "tool_reference", "tool_name": "f"}], id="it loads a tool"),
        pytest.param(
            [
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": LONG},
                    "citations": {"enabled": True},
                }
            ],
            id="it is cited",
        ),
        pytest.param([{"type": "novelty", "data": LONG}], id="it is of a kind that we do not know"),
        pytest.param("r" * 120, id="it is hardly longer than its placeholder"),
        pytest.param("", id="it is empty"),
        pytest.param([], id="it has no parts"),
    ],
)
def test_a_result_stays_where(content: Any) -> None:
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]},
    ]
    assert masked(raw(messages)) == messages


def test_a_placeholder_is_one_line_whatever_the_tools_name() -> None:
    turn = Turn("Go.", (Step("", (Call("a\nb" + "c" * 100, {}, LONG),)),))
    [result] = masked(anthropic([turn]))[2]["content"]
    assert result["content"].startswith(f"[… result of a b{'c' * 61} no longer")


def test_a_result_of_an_older_function_call_is_masked_under_its_name() -> None:
    messages = [
        {"role": "assistant", "content": None, "function_call": {"name": "find", "arguments": "{}"}},
        {"role": "function", "name": "find", "content": LONG},
    ]
    assert "result of find" in masked(raw(messages), anthropic=False)[1]["content"]


def test_only_what_is_asked_for_is_masked() -> None:
    messages = anthropic(TURNS)
    some = mask_results(ANTHROPIC_FORM, messages, range(3, len(messages)), kept={6})
    assert some == messages


# Summaries


def test_a_summary_joins_the_first_message_and_the_one_behind_it() -> None:
    [first, *rest] = replace_by_summary(ANTHROPIC_FORM, anthropic(TURNS), range(8), "A flight is booked.")
    assert rest == []
    texts = [block["text"] for block in json.loads(first)["content"]]
    assert texts == [
        "Find me a flight.",
        (
            "[Summary of 7 earlier messages of this conversation, in place of the messages themselves]\n"
            "A flight is booked.\n"
            "[End of the summary. The conversation goes on from here.]"
        ),
        "Thanks. Now a hotel.",
    ]


def test_a_summary_is_a_message_of_its_own_where_nothing_need_alternate() -> None:
    messages = openai(TURNS)
    first, summary, *rest = replace_by_summary(OPENAI_FORM, messages, range(9), "A flight is booked.")
    assert [first, *rest] == [messages[0], messages[9]]
    assert json.loads(summary)["role"] == "user"
    assert "Summary of 8 earlier messages" in json.loads(summary)["content"]


def test_a_cut_within_an_answer_leaves_the_rest_of_it() -> None:
    messages = anthropic(TURNS)
    first, *rest = replace_by_summary(ANTHROPIC_FORM, messages, range(7), "Booked.")
    assert json.loads(first)["role"] == "user"
    assert rest == messages[7:]


def test_what_is_kept_is_kept_with_what_belongs_to_it() -> None:
    messages = anthropic(TURNS)
    first, *rest = replace_by_summary(ANTHROPIC_FORM, messages, range(8), "Booked.", kept={2})
    assert first == messages[0]
    call, result = rest
    assert call == messages[1]
    kinds = [block["type"] for block in json.loads(result)["content"]]
    assert kinds == ["tool_result", "text", "text"]


def test_two_answers_that_meet_are_kept_apart() -> None:
    turns = [Turn("One?", (Step("One."),)), Turn("Two?", (Step("Two."),)), Turn("Three?")]
    messages = anthropic(turns)
    shorter = replace_by_summary(ANTHROPIC_FORM, messages, range(4), "", kept={1, 3})
    assert [json.loads(m)["role"] for m in shorter] == ["user", "assistant", "user", "assistant", "user"]
    assert "Messages left out" in shorter[2].decode()


def test_an_empty_summary_says_that_messages_are_missing() -> None:
    [_, notice, _] = replace_by_summary(OPENAI_FORM, openai(TURNS), range(9), " \n")
    assert json.loads(notice)["content"] == "[… 8 earlier messages of this conversation left out here]"


def test_system_messages_among_the_others_stay() -> None:
    messages = raw(
        [
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": "Hi."},
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Bye."},
        ]
    )
    shorter = replace_by_summary(OPENAI_FORM, messages, range(3), "Greetings.")
    assert [shorter[0], shorter[1], shorter[3]] == [messages[0], messages[2], messages[3]]


def test_where_all_messages_are_kept_there_is_no_summary() -> None:
    messages = openai(TURNS)
    assert replace_by_summary(OPENAI_FORM, messages, range(1), "None.") == messages


# The text to summarise


def test_the_text_says_who_said_what_and_what_tools_returned() -> None:
    text = text_for_summary(OPENAI_FORM, openai(TURNS), range(4, 9), chars_max=10_000, earlier="They met.")
    lines = text.split("\n\n")
    assert lines[:4] == [
        "Summary of what came before: They met.",
        "User: Book the first.",
        "Assistant called book: {}",
        "Assistant called receipt: {}",
    ]
    assert lines[4] == "Result of book: ok"
    assert lines[5].startswith("Result of receipt: row\nrow")
    assert "[… 1,200 characters in all …]" in lines[5]
    assert text.endswith("Assistant: Booked.")


def test_the_text_names_images_and_leaves_thinking_out() -> None:
    turn = Turn("Look.", (Step("", (Call("see", {"a": 1}, "it", image=True),), thinks=True),), image=True)
    text = text_for_summary(ANTHROPIC_FORM, anthropic([turn]), range(3), chars_max=1_000)
    assert text == (
        'User: Look.\n\nUser: [image]\n\nAssistant called see: {"a":1}\n\nResult of see: it [1 image or file]'
    )


@pytest.mark.parametrize(("chars_max", "shortened"), [(4, "aaaa"), (100, "a" * 100), (99, None)])
def test_a_long_text_is_cut_in_its_middle(chars_max: int, shortened: str | None) -> None:
    text = shorten("a" * 100, chars_max)
    assert len(text) == chars_max
    if shortened is None:
        assert text == "a" * 53 + " [… 100 characters in all …] " + "a" * 17
    else:
        assert text == shortened
