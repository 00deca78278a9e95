import orjson
import pytest

from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from bursar.wire.plain_calls import Ending, PlainAnswer, PlainRequest, read_plain_answer, write_plain_request

ASKED = PlainRequest("m", "Do it.", "This «one».", 500)


@pytest.mark.parametrize("dialect", ["anthropic.messages", "openai.chat"])
def test_a_request_is_one_of_its_dialect(dialect: str) -> None:
    reading = DIALECTS[dialect].read(write_plain_request(dialect, ASKED), PieceMemo())
    request = reading.finish([1] * len(reading.texts))
    assert (request.model, request.max_tokens, request.stream) == ("m", 500, False)
    assert sorted(reading.texts) == ["Do it.", "This «one»."]


def test_instructions_are_marked_only_where_that_is_asked_for() -> None:
    marked = PlainRequest("m", "Do it.", "x", 5, marked=True)
    assert orjson.loads(write_plain_request("anthropic.messages", marked))["system"] == [
        {"type": "text", "text": "Do it.", "cache_control": {"type": "ephemeral"}}
    ]
    assert b"cache_control" not in write_plain_request("anthropic.messages", ASKED)


@pytest.mark.parametrize(
    ("dialect", "body", "answer"),
    [
        (
            "anthropic.messages",
            {"content": [{"type": "thinking"}, {"type": "text", "text": "a"}], "stop_reason": "end_turn"},
            PlainAnswer("a", Ending.DONE),
        ),
        ("anthropic.messages", {"content": [], "stop_reason": "refusal"}, PlainAnswer("", Ending.REFUSED)),
        ("anthropic.messages", {"content": [], "stop_reason": "max_tokens"}, PlainAnswer("", Ending.LIMIT)),
        ("anthropic.messages", {"content": [], "stop_reason": "pause_turn"}, PlainAnswer("", Ending.OTHER)),
        ("anthropic.messages", {"error": {}}, None),
        (
            "openai.chat",
            {"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]},
            PlainAnswer("a", Ending.LIMIT),
        ),
        (
            "openai.chat",
            {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]},
            PlainAnswer("", Ending.REFUSED),
        ),
        ("openai.chat", {"choices": []}, None),
    ],
)
def test_an_answer_is_its_text_and_why_it_ended(dialect: str, body: object, answer: object) -> None:
    assert read_plain_answer(dialect, orjson.dumps(body)) == answer


def test_garbage_is_no_answer() -> None:
    assert read_plain_answer("openai.chat", b"\xff") is None
