from typing import Any

import orjson
import pytest
from small_world import anthropic_call, claude, gpt, make_double, openai_call, play, words

from bursar.double.transcripts import TranscriptBook
from bursar.errors import BadRequest

CALL = {"id": "call_7", "type": "function", "function": {"name": "look", "arguments": '{"city":"Kyiv"}'}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "First"},
    {"role": "user", "content": "Look"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_7", "content": "found"},
    {"role": "assistant", "content": "Third"},
]


def book(*transcripts: dict[str, Any]) -> TranscriptBook:
    made = TranscriptBook()
    for transcript in transcripts or ({"conversation": "c", "messages": TALK},):
        made.add(transcript)
    return made


def turns(count: int) -> list[dict[str, str]]:
    pairs = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    return [*(pairs * count), {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_the_turn_is_the_number_of_answers_so_far(turn: int) -> None:
    for call in (
        anthropic_call(claude(messages=turns(turn), metadata={"user_id": "c"})),
        anthropic_call(claude(messages=turns(turn)), **{"x-bursar-conversation": "c"}),
        anthropic_call(claude(), **{"x-bursar-conversation": "c", "x-bursar-turn": str(turn)}),
    ):
        answer, _ = play(make_double(book()), call)
        block = answer["content"][0]
        assert block.get("text", block["type"]) == ["First", "tool_use", "Third"][turn]


def test_recorded_tool_calls_keep_their_ids_in_both_dialects() -> None:
    double = make_double(book())
    answer, _ = play(double, anthropic_call(claude(messages=turns(1), metadata={"user_id": "c"})))
    assert answer["content"] == [
        {"type": "tool_use", "id": "call_7", "name": "look", "input": {"city": "Kyiv"}}
    ]
    assert answer["stop_reason"] == "tool_use"
    answer, _ = play(double, openai_call(gpt(messages=turns(1), metadata={"conversation": "c"})))
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]}
    assert choice["finish_reason"] == "tool_calls"


def test_a_turn_beyond_the_transcript_is_invented() -> None:
    answer, row = play(make_double(book()), openai_call(gpt(messages=turns(3), user="c")))
    assert row.status == 200
    assert answer["choices"][0]["message"]["content"] not in {"First", "Third"}


def test_recorded_calls_answer_to_their_inputs() -> None:
    calls = [{"input": "a", "output": "A"}, {"input": "b", "output": "B"}, {"input": "a", "output": "later"}]
    double = make_double(book({"conversation": "r", "calls": calls}))
    said = []
    for text in ("b", "a", "a"):
        body = claude(messages=[{"role": "user", "content": text}], metadata={"user_id": "r"})
        said.append(play(double, anthropic_call(body))[0]["content"][0]["text"])
    assert said == ["B", "A", "A"]


@pytest.mark.parametrize(
    ("transcript", "place"),
    [
        ({}, "conversation"),
        ({"conversation": "c"}, "messages"),
        ({"conversation": "c", "messages": ["Hi"]}, "messages[0]"),
        ({"conversation": "c", "calls": [{"input": "a"}]}, "calls[0]"),
        ({"conversation": "c", "calls": [{"input": "a", "output": 1}]}, "calls[0]"),
    ],
)
def test_a_transcript_of_neither_form_is_refused_with_its_place(transcript: Any, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        TranscriptBook().add(transcript)
    assert caught.value.place == place


def test_a_transcript_may_call_only_the_tools_that_were_given() -> None:
    TranscriptBook({"look"}).add({"conversation": "c", "messages": TALK})
    with pytest.raises(BadRequest, match="look"):
        TranscriptBook({"find"}).add({"conversation": "c", "messages": TALK})


def test_arguments_that_are_no_object_become_one() -> None:
    broken = {**CALL, "function": {"name": "look", "arguments": "{city"}}
    double = make_double(
        book({"conversation": "c", "messages": [{"role": "assistant", "tool_calls": [broken]}]})
    )
    answer, _ = play(double, anthropic_call(claude(metadata={"user_id": "c"})))
    assert isinstance(answer["content"][0]["input"], dict)


def test_invented_answers_depend_on_prompt_and_seed_alone() -> None:
    def said(seed: int, text: str, **headers: str) -> str:
        body = claude(messages=[{"role": "user", "content": text}])
        return play(make_double(seed=seed), anthropic_call(body, **headers))[0]["content"][0]["text"]

    first = said(0, "Hi")
    assert said(0, "Hi", **{"x-api-key": "another"}) == first
    assert len({first, said(1, "Hi"), said(0, "Ho")}) == 3


def test_a_cache_mark_changes_no_answer() -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    bodies = [claude(messages=[{"role": "user", "content": content}]) for content in ("Hi", [marked])]
    texts = [play(make_double(), anthropic_call(body))[0]["content"] for body in bodies]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("limit", [1, 5, 19])
def test_an_answer_beyond_the_limit_is_cut_to_it(limit: int) -> None:
    long = {"conversation": "c", "messages": [{"role": "assistant", "content": words(20)}]}
    answer, row = play(
        make_double(book(long)), anthropic_call(claude(max_tokens=limit, metadata={"user_id": "c"}))
    )
    assert (answer["stop_reason"], row.usage.output) == ("max_tokens", limit)
    answer, row = play(make_double(book(long)), openai_call(gpt(max_tokens=limit, user="c")))
    assert (answer["choices"][0]["finish_reason"], row.usage.output) == ("length", limit)


def test_prewarming_says_nothing_and_fills_the_cache() -> None:
    double = make_double()
    system = [{"type": "text", "text": words(200), "cache_control": {"type": "ephemeral"}}]
    answer, row = play(double, anthropic_call(claude(system=system, max_tokens=0)))
    assert (answer["content"], answer["stop_reason"], row.usage.output) == ([], "max_tokens", 0)
    _, row = play(double, anthropic_call(claude(system=system)))
    assert row.usage.cache_read == 200


def test_an_answer_ends_before_a_stop_sequence() -> None:
    recorded = {"conversation": "c", "messages": [{"role": "assistant", "content": "one STOP two"}]}
    body = claude(stop_sequences=["two", "STOP"], metadata={"user_id": "c"})
    answer, _ = play(make_double(book(recorded)), anthropic_call(body))
    assert answer["content"][0]["text"] == "one "
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "STOP")


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Kyiv"]},
        "days": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "boolean"}},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    },
    "required": ["city", "days", "tags", "note"],
}
EXAMPLE = {"city": "Kyiv", "days": 1, "tags": [True], "note": None}


def test_a_forced_tool_is_called_with_arguments_that_its_schema_allows() -> None:
    tool = {"name": "look", "input_schema": SCHEMA}
    body = claude(tools=[tool], tool_choice={"type": "tool", "name": "look"})
    answer, _ = play(make_double(), anthropic_call(body))
    assert answer["content"][0]["input"] == EXAMPLE
    function = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
    answer, _ = play(make_double(), openai_call(gpt(tools=[function], tool_choice="required")))
    call = answer["choices"][0]["message"]["tool_calls"][0]
    assert orjson.loads(call["function"]["arguments"]) == EXAMPLE


def test_a_structured_answer_matches_its_schema() -> None:
    body = claude(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    answer, _ = play(make_double(), anthropic_call(body))
    assert orjson.loads(answer["content"][0]["text"]) == EXAMPLE
    form = {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA}}
    answer, _ = play(make_double(), openai_call(gpt(response_format=form)))
    assert orjson.loads(answer["choices"][0]["message"]["content"]) == EXAMPLE
