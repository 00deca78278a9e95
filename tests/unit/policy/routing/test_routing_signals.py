import pytest

from bursar.policy.routing.signals import (
    PastOutcomes,
    Signals,
    read_signals,
    read_text_signals,
    score_signals,
)
from bursar.policy.routing.texts import read_text
from bursar.wire.asked import read_last_user_text
from bursar.wire.dialect import Request
from wire_bodies import anthropic, openai

GREETING = "Hello, what are your opening hours?"
CODE = "```\ndef add(a, b):\n    return a + b\n```\nWhy does this fail?"
WORD_PROBLEM = "A shop sells 12 apples at 3 dollars and 5 pears at 2. It has 40 left. How many were there?"


def signals_of(text: str) -> Signals:
    return read_text_signals(read_text(text))


def signals_of_call(request: Request, prompt_tokens: int, turn: int) -> Signals:
    text = read_text(read_last_user_text(request))
    return read_signals(request, text, prompt_tokens=prompt_tokens, turn=turn)


def test_a_greeting_looks_easy():
    assert score_signals(signals_of(GREETING)) < 0.1


@pytest.mark.parametrize("text", [CODE, WORD_PROBLEM, "Solve x^2 + 3*x = 10", "word " * 4_000])
def test_what_is_long_or_technical_looks_harder(text: str):
    assert score_signals(signals_of(text)) > 0.2


def test_code_is_recognised_and_prose_is_not():
    assert signals_of(CODE).code == 1
    assert signals_of(GREETING).code == 0


def test_arithmetic_is_recognised_by_numbers_or_by_signs():
    assert signals_of(WORD_PROBLEM).maths > 0.8
    assert signals_of("Solve x^2 + 3*x = 10").maths == 1
    assert signals_of(GREETING).maths == 0


def test_another_script_is_seen():
    assert signals_of("東京の天気はどうですか").foreign == 1
    assert signals_of(GREETING).foreign == 0


@pytest.mark.parametrize("name", Signals.__struct_fields__)
def test_each_sign_makes_a_call_look_harder(name: str):
    assert score_signals(Signals(**{name: 1.0})) > score_signals(Signals(**{name: 0.5})) > 0.05


def test_all_signs_together_stay_below_one():
    assert score_signals(Signals(*[1.0] * len(Signals.__struct_fields__))) < 1


def test_an_agent_s_past_outweighs_the_signs_in_time():
    easy, hard = Signals(), Signals(code=1.0, maths=1.0, length=1.0)
    assert score_signals(easy, PastOutcomes(1_000, 900)) > 0.85
    assert score_signals(hard, PastOutcomes(1_000, 10)) < 0.05
    # A single failure says little.
    assert score_signals(easy, PastOutcomes(1, 1)) < 0.1


TOOLS = [
    {"name": f"tool_{number}", "description": "…", "input_schema": {"type": "object"}} for number in range(12)
]


def test_signs_of_a_request_are_read():
    request = anthropic([{"role": "user", "content": CODE}], tools=TOOLS)
    signals = signals_of_call(request, prompt_tokens=64_000, turn=6)
    assert (signals.code, signals.tools, signals.turn) == (1.0, 0.5, 0.25)
    assert signals.context == 1.0
    assert signals.form == 0.0


def test_a_form_is_a_sign():
    request = openai([{"role": "user", "content": "hi"}], response_format={"type": "json_object"})
    assert signals_of_call(request, prompt_tokens=10, turn=0) == Signals(form=1.0)
