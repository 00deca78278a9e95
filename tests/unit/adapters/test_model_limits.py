import json
from operator import attrgetter
from typing import Any

import pytest

from bursar.adapters.model_data import load_cache_rules
from bursar.adapters.model_limits import load_model_limits, load_windows
from bursar.adapters.price_data import load_price_book
from bursar.cachemodel.rules import CacheKind
from bursar.double.anthropic import settings
from bursar.double.models import ModelLimits
from bursar.double.openai import conversation
from bursar.double.refused import Refused
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo
from bursar.wire.output import EFFORTS, OutputLimits, limit_output

CHECKS = {"anthropic.messages": settings.check_settings, "openai.chat": conversation.check_settings}
NAME = attrgetter("model")
AT_S = 1_795_478_400.0  # 24 November 2026
MODELS = load_model_limits()
SERVED = [model for dialect in ("anthropic.messages", "openai.chat") for model in MODELS.served(dialect)]


@pytest.mark.parametrize("model", SERVED, ids=NAME)
def test_every_served_model_has_a_price_and_limits_that_fit(model: ModelLimits) -> None:
    price = load_price_book().price(model.model, AT_S)
    assert price is not None
    assert 0 < model.output_tokens_max <= model.context_tokens
    assert model.source
    assert model.checked is not None


@pytest.mark.parametrize("model", SERVED, ids=NAME)
def test_levels_of_effort_are_known_and_rise(model: ModelLimits) -> None:
    assert model.efforts is not None
    assert list(model.efforts) == [effort for effort in EFFORTS if effort in model.efforts]
    assert bool(model.efforts) or not model.reasons


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("model", SERVED, ids=NAME)
def test_what_output_limits_ask_of_a_model_is_taken(model: ModelLimits, effort: str) -> None:
    body: dict[str, Any] = {
        "model": model.model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if model.reasons:
        body["max_completion_tokens"] = body.pop("max_tokens")
    reading = DIALECTS[model.dialect].read(json.dumps(body).encode(), PieceMemo())
    limits = OutputLimits(max_tokens=50, effort=effort, stop=("END",))
    window = load_windows().find(model.dialect, model.model)
    fields = limit_output(reading.finish([1] * len(reading.texts)), limits, window)
    limited = {**body, **{name: json.loads(value) for name, value in fields.items()}}
    CHECKS[model.dialect](limited, model)


@pytest.mark.parametrize(
    ("dialect", "model", "fields", "reason"),
    [
        ("anthropic.messages", "claude-haiku-4-5", {"output_config": {"effort": "low"}}, "effort parameter"),
        ("anthropic.messages", "claude-opus-4-5", {"output_config": {"effort": "max"}}, "effort level 'max'"),
        ("openai.chat", "gpt-5", {"reasoning_effort": "none"}, "'none' is not supported"),
        ("openai.chat", "gpt-5.1", {"reasoning_effort": "minimal"}, "'minimal' is not supported"),
        ("openai.chat", "o3", {"stop": "END"}, "'stop' is not supported"),
    ],
)
def test_what_a_model_does_not_take_is_refused(
    dialect: str, model: str, fields: dict[str, object], reason: str
) -> None:
    limits = MODELS.find(dialect, model)
    assert limits is not None
    body: dict[str, Any] = {"model": model, "messages": [], **fields}
    body |= {"max_tokens": 100} if dialect == "anthropic.messages" else {}
    with pytest.raises(Refused) as refused:
        CHECKS[dialect](body, limits)
    assert reason in refused.value.refusal.message


@pytest.mark.parametrize("model", MODELS.served("openai.chat"), ids=NAME)
def test_breakpoints_are_taken_where_the_cache_has_them(model: ModelLimits) -> None:
    rules = load_cache_rules().rules(model.model, AT_S)
    assert model.breakpoints == (rules is not None and rules.kind is CacheKind.OPENAI_MARKS)


@pytest.mark.parametrize(
    ("dialect", "model", "limits"),
    [
        ("anthropic.messages", "claude-3-5-haiku-20241022", "claude-3-5-haiku"),
        ("anthropic.messages", "claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic.messages", "claude-sonnet-4-9", None),
        ("anthropic.messages", "gpt-4o", None),
        ("openai.chat", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai.chat", "openai/gpt-4o", None),
        ("openai.responses", "gpt-4o", None),
    ],
)
def test_a_model_is_found_by_its_id_and_its_releases(dialect: str, model: str, limits: str | None) -> None:
    found = MODELS.find(dialect, model)
    assert (found and found.model) == limits
