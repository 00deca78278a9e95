from dataclasses import replace
from datetime import UTC, date, datetime

from bursar.cachemodel.rules import CacheRuleBook
from cache_rules import ANTHROPIC

NOVEMBER = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


def test_the_rules_in_force_are_those_of_the_day_in_utc() -> None:
    old = replace(ANTHROPIC, minimum_tokens=4096)
    new = replace(ANTHROPIC, minimum_tokens=1024, starts=date(2026, 11, 24))
    book = CacheRuleBook([new, old])
    assert book.rules("claude-x", NOVEMBER) is new
    assert book.rules("claude-x", NOVEMBER - 0.001) is old


def test_before_its_first_day_a_model_has_no_rules() -> None:
    book = CacheRuleBook([replace(ANTHROPIC, starts=date(2026, 11, 24))])
    assert book.rules("claude-x", NOVEMBER - 1) is None


def test_a_model_of_its_own_outranks_its_family() -> None:
    own = replace(ANTHROPIC, model="claude-sonnet-4-6", minimum_tokens=2048)
    book = CacheRuleBook([ANTHROPIC, own])
    assert book.rules("claude-sonnet-4-6-20260217", NOVEMBER) is own
    assert book.rules("claude-sonnet-4-7", NOVEMBER) is ANTHROPIC


def test_an_unknown_model_has_no_rules() -> None:
    assert CacheRuleBook([ANTHROPIC]).rules("llama-4", NOVEMBER) is None


def test_a_time_to_live_that_nobody_knows_is_the_default() -> None:
    assert [ANTHROPIC.ttl(name) for name in ("1h", "2h", None)] == ["1h", "5m", "5m"]
