import pytest

from bursar.adapters.model_data import load_cache_rules
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.price_data import load_price_book
from bursar.cachemodel.rules import CacheKind

AT_S = 1_795_478_400.0  # 24 November 2026
MODELS = load_model_limits()
SERVED = [model for dialect in ("anthropic.messages", "openai.chat") for model in MODELS.served(dialect)]


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.model)
def test_every_served_model_has_a_price_and_limits_that_fit(model) -> None:
    price = load_price_book().price(model.model, AT_S)
    assert price is not None
    assert 0 < model.output_tokens_max <= model.context_tokens
    assert model.source
    assert model.checked is not None


@pytest.mark.parametrize("model", MODELS.served("openai.chat"), ids=lambda model: model.model)
def test_breakpoints_are_taken_where_the_cache_has_them(model) -> None:
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
