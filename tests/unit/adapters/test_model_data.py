from datetime import UTC, datetime

import pytest

from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.cachemodel.rules import CacheKind
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import Basis

RULES = load_cache_rules()
RATIOS = load_token_ratios()
NOW = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("model", "minimum_tokens", "assumed"),
    [
        ("claude-opus-5", 512, False),
        ("claude-fable-5", 512, False),
        ("claude-mythos-5", 512, False),
        ("claude-opus-4-8", 1024, False),
        ("claude-opus-4-7", 2048, False),
        ("claude-opus-4-6", 4096, False),
        ("claude-opus-4-5-20251101", 4096, False),
        ("claude-opus-4-20250514", 1024, False),
        ("claude-sonnet-5", 1024, False),
        ("claude-sonnet-4-6", 1024, False),
        ("claude-sonnet-4-5-20250929", 1024, False),
        ("claude-sonnet-4-20250514", 1024, False),
        ("claude-haiku-4-5", 4096, False),
        ("claude-3-5-haiku-20241022", 2048, False),
        ("claude-opus-5-5", 1024, True),
        ("claude-sonnet-5-5", 1024, True),
        ("claude-haiku-5-5", 1024, True),
        ("claude-fable-5-2", 1024, True),
        ("claude-not-seen-yet", 1024, True),
    ],
)
def test_claude_minima_are_those_of_the_sources(model: str, minimum_tokens: int, assumed: bool) -> None:
    rules = RULES.rules(model, NOW)
    assert rules is not None
    assert (rules.kind, rules.minimum_tokens, rules.minimum_assumed) == (
        CacheKind.ANTHROPIC,
        minimum_tokens,
        assumed,
    )


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("gpt-4o-2024-08-06", CacheKind.OPENAI_AUTOMATIC),
        ("gpt-4.1-mini", CacheKind.OPENAI_AUTOMATIC),
        ("gpt-5-nano", CacheKind.OPENAI_AUTOMATIC),
        ("gpt-5.5", CacheKind.OPENAI_AUTOMATIC),
        ("gpt-5.6-luna", CacheKind.OPENAI_MARKS),
        ("gpt-6-astra", CacheKind.OPENAI_MARKS),
        ("gpt-6.1-sol", CacheKind.OPENAI_MARKS),
        ("gpt-4", None),
        ("gpt-3.5-turbo", None),
        ("llama-4", None),
    ],
)
def test_other_models_cache_as_their_provider_says(model: str, kind: CacheKind | None) -> None:
    rules = RULES.rules(model, NOW)
    assert (rules and rules.kind) == kind


@pytest.mark.parametrize("model", ["claude-x", "gpt-5", "gpt-6"])
def test_every_time_to_live_has_a_write_class_and_the_default_is_one_of_them(model: str) -> None:
    rules = RULES.rules(model, NOW)
    assert rules is not None
    assert rules.ttls_s.keys() == rules.write_classes.keys()
    assert rules.default_ttl in rules.ttls_s
    assert rules.source
    assert rules.checked


@pytest.mark.parametrize(
    ("model", "era", "basis"),
    [
        ("claude-3-haiku-20240307", "claude-4.6", Basis.CALIBRATED),
        ("claude-opus-4-20250514", "claude-4.6", Basis.CALIBRATED),
        ("claude-opus-4-6", "claude-4.6", Basis.CALIBRATED),
        ("claude-sonnet-4-6", "claude-4.6", Basis.CALIBRATED),
        ("claude-haiku-4-5-20251001", "claude-4.6", Basis.CALIBRATED),
        ("claude-opus-4-7", "claude-4.7", Basis.CALIBRATED),
        ("claude-opus-5-5", "claude-4.7", Basis.CALIBRATED),
        ("claude-sonnet-5", "claude-4.7", Basis.CALIBRATED),
        ("claude-haiku-5-5", "claude-4.7", Basis.CALIBRATED),
        ("claude-fable-5-2", "claude-4.7", Basis.CALIBRATED),
        ("gpt-4o-mini", "openai-o200k", Basis.EXACT),
        ("gpt-6.1-terra", "openai-o200k", Basis.EXACT),
        ("o3-mini", "openai-o200k", Basis.EXACT),
        ("gpt-4", "openai-cl100k", Basis.CALIBRATED),
        ("gpt-4-0613", "openai-cl100k", Basis.CALIBRATED),
        ("gpt-3.5-turbo", "openai-cl100k", Basis.CALIBRATED),
        ("gemini-2.5-pro", "unknown", Basis.BOUND),
    ],
)
def test_each_model_is_counted_by_its_era(model: str, era: str, basis: Basis) -> None:
    ratios = RATIOS.ratios(model)
    assert (ratios.name, ratios.basis) == (era, basis)


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-sonnet-5", "gpt-5", "gpt-4", "other"])
def test_every_content_class_has_a_ratio(model: str) -> None:
    assert RATIOS.ratios(model).per_mille.keys() == set(ContentClass)


def test_the_ratios_are_those_measured() -> None:
    assert [RATIOS.ratios("claude-sonnet-4-6").per_mille[c] for c in ContentClass] == [
        1070, 1070, 1090, 1090, 1160, 1000, 1000,
    ]  # fmt: skip
    assert [RATIOS.ratios("claude-sonnet-5").per_mille[c] for c in ContentClass] == [
        1480, 1470, 1480, 1300, 1540, 1000, 1000,
    ]  # fmt: skip


def test_the_unknown_bound_is_above_every_known_ratio() -> None:
    unknown = RATIOS.ratios("other").per_mille
    for model in ("claude-sonnet-4-6", "claude-sonnet-5", "gpt-5", "gpt-4"):
        assert all(unknown[c] >= ratio for c, ratio in RATIOS.ratios(model).per_mille.items())
