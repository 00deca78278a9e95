"""Limits on what a model writes."""

import json
from typing import Any

import pytest

from bursar.domain.windows import Window
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from bursar.wire.output import OutputLimits, limit_output

MESSAGES = [{"role": "user", "content": "Hello"}]


def limited(
    dialect: str, limits: OutputLimits, window: Window | None = None, **fields: Any
) -> dict[str, Any]:
    body = {"model": "m", "messages": MESSAGES, **fields}
    reading = DIALECTS[dialect].read(json.dumps(body).encode(), PieceMemo())
    request = reading.finish([1] * len(reading.texts))
    return {name: json.loads(value) for name, value in limit_output(request, limits, window).items()}


def anthropic(limits: OutputLimits, window: Window | None = None, **fields: Any) -> dict[str, Any]:
    return limited("anthropic.messages", limits, window, **{"max_tokens": 8000, **fields})


def openai(limits: OutputLimits, window: Window | None = None, **fields: Any) -> dict[str, Any]:
    return limited("openai.chat", limits, window, **fields)


def taking(*efforts: str, stops: bool = True) -> Window:
    return Window("m", "d", 100_000, 8_000, efforts=efforts, stops=stops)


def test_no_limits_change_nothing() -> None:
    assert OutputLimits().is_empty
    assert anthropic(OutputLimits()) == {}
    assert openai(OutputLimits()) == {}


@pytest.mark.parametrize(("limit", "expected"), [(2000, {"max_tokens": 2000}), (8000, {}), (9000, {})])
def test_the_length_is_lowered_and_never_raised(limit: int, expected: dict[str, int]) -> None:
    assert anthropic(OutputLimits(max_tokens=limit)) == expected
    assert openai(OutputLimits(max_tokens=limit), max_tokens=8000) == expected


def test_openais_newer_name_is_used_where_none_or_the_newer_one_is_stated() -> None:
    limits = OutputLimits(max_tokens=500)
    assert openai(limits) == {"max_completion_tokens": 500}
    assert openai(limits, max_completion_tokens=900) == {"max_completion_tokens": 500}
    assert openai(limits, max_completion_tokens=400) == {}


def test_a_thinking_budget_keeps_room_for_an_answer() -> None:
    thinking = {"type": "enabled", "budget_tokens": 6000}
    assert anthropic(OutputLimits(max_tokens=2000), thinking=thinking) == {"max_tokens": 7024}
    both = OutputLimits(max_tokens=2000, thinking_tokens=1500)
    assert anthropic(both, thinking=thinking) == {
        "max_tokens": 2524,
        "thinking": {"type": "enabled", "budget_tokens": 1500},
    }


def test_thinking_is_never_switched_on_and_never_lowered_beyond_what_the_provider_takes() -> None:
    limits = OutputLimits(thinking_tokens=100)
    assert anthropic(limits) == {}
    assert anthropic(limits, thinking={"type": "adaptive"}) == {}
    assert anthropic(limits, thinking={"type": "enabled", "budget_tokens": 2000}) == {
        "thinking": {"type": "enabled", "budget_tokens": 1024}
    }


@pytest.mark.parametrize(
    ("stated", "expected"), [(None, None), ("high", "medium"), ("low", None), ("odd", None)]
)
def test_effort_is_lowered_and_never_raised(stated: str | None, expected: str | None) -> None:
    limits = OutputLimits(effort="medium")
    config: dict[str, Any] = {"output_config": {"effort": stated, "format": {"type": "x"}}}
    changed = {"output_config": {"effort": expected, "format": {"type": "x"}}} if expected else {}
    assert anthropic(limits, **config) == changed
    assert openai(limits, reasoning_effort=stated) == ({"reasoning_effort": expected} if expected else {})


def test_effort_that_is_left_to_the_provider_is_limited_by_the_least_level_only() -> None:
    claude, gpt = taking("low", "medium", "high"), taking("minimal", "low", "medium")
    assert anthropic(OutputLimits(effort="low"), claude) == {"output_config": {"effort": "low"}}
    assert anthropic(OutputLimits(effort="max"), claude) == {}
    assert openai(OutputLimits(effort="minimal"), gpt) == {"reasoning_effort": "minimal"}
    assert openai(OutputLimits(effort="low"), gpt) == {}


def test_effort_below_all_that_a_model_has_becomes_its_least() -> None:
    none = OutputLimits(effort="none")
    assert anthropic(none, taking("low", "medium")) == {"output_config": {"effort": "low"}}
    assert openai(none, taking("minimal", "low")) == {"reasoning_effort": "minimal"}
    assert openai(none, taking("minimal", "low"), reasoning_effort="minimal") == {}
    # Of a model that nobody knows, what its API takes.
    assert anthropic(none, output_config={"effort": "high"}) == {"output_config": {"effort": "low"}}


def test_effort_becomes_a_level_that_the_model_has() -> None:
    stated = {"output_config": {"effort": "max"}}
    assert anthropic(OutputLimits(effort="xhigh"), taking("low", "high", "max"), **stated) == {
        "output_config": {"effort": "high"}
    }
    assert openai(OutputLimits(effort="minimal"), taking("none", "low", "high"), reasoning_effort="high") == {
        "reasoning_effort": "none"
    }


def test_a_model_that_takes_no_effort_or_that_nobody_knows_is_not_asked_for_any() -> None:
    for window in (taking(), None):
        assert anthropic(OutputLimits(effort="low"), window) == {}
        assert openai(OutputLimits(effort="none"), window) == {}


def test_a_model_that_refuses_stop_sequences_gets_none() -> None:
    assert openai(OutputLimits(stop=("END",)), taking("low", stops=False)) == {}
    assert openai(OutputLimits(stop=("END",)), taking("low")) == {"stop": ["END"]}


def test_stop_sequences_are_added_as_far_as_the_provider_takes_them() -> None:
    limits = OutputLimits(stop=("END", "STOP"))
    assert anthropic(limits, stop_sequences=["a", "END"]) == {"stop_sequences": ["a", "END", "STOP"]}
    assert openai(limits, stop="a") == {"stop": ["a", "END", "STOP"]}
    assert openai(limits, stop=["a", "b", "c"]) == {"stop": ["a", "b", "c", "END"]}
    assert openai(limits, stop=["a", "b", "c", "d"]) == {}
    assert openai(limits, stop=[1]) == {}


def test_garbage_is_left_to_the_provider() -> None:
    limits = OutputLimits(max_tokens=10, effort="low", thinking_tokens=2000, stop=("END",))
    assert anthropic(limits, thinking=7, output_config=[], stop_sequences=3) == {"max_tokens": 10}
