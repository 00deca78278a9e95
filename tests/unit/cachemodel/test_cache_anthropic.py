from dataclasses import replace

import pytest
from hand_made import FIVE, HOUR, Row, row

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.provider import ProviderCache
from bursar.domain.prompt import Mark
from bursar.domain.usage import TokenClass
from cache_rules import ANTHROPIC

W5 = TokenClass.CACHE_WRITE_5M
W1H = TokenClass.CACHE_WRITE_1H
WIDE = tuple(range(2000, 2100))


def call(cache: ProviderCache, prefixes: Row, marks: dict[int, Mark], now_s: float) -> CacheOutcome:
    """Send a prompt and let its response begin at once."""
    outcome = cache.look(prefixes, marks, ANTHROPIC, now_s)
    cache.keep(prefixes, outcome, ANTHROPIC, now_s)
    return outcome


def test_without_marks_nothing_is_cached() -> None:
    outcome = call(ProviderCache(), row(5000, 6000), {}, 0)
    assert outcome == CacheOutcome(0, {}, 6000, None, ())


def test_a_first_call_writes_up_to_its_last_mark() -> None:
    outcome = call(ProviderCache(), row(2000, 3000, 3500), {0: FIVE, 1: FIVE}, 0)
    assert outcome == CacheOutcome(0, {W5: 3000}, 500, None, ((0, "5m"), (1, "5m")))


def test_a_second_call_reads_what_the_first_one_wrote() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000), {1: FIVE}, 0)
    outcome = call(cache, row(2000, 3000, 3100, 3300), {1: FIVE, 2: FIVE}, 10)
    assert outcome == CacheOutcome(3000, {W5: 100}, 200, 1, ((1, "5m"), (2, "5m")))


def test_parallel_first_calls_all_pay() -> None:
    cache = ProviderCache()
    prefixes = row(2000, 3000)
    first = cache.look(prefixes, {1: FIVE}, ANTHROPIC, 0)
    second = cache.look(prefixes, {1: FIVE}, ANTHROPIC, 0.1)
    cache.keep(prefixes, first, ANTHROPIC, 1)
    assert second.writes == {W5: 3000}
    assert cache.look(prefixes, {1: FIVE}, ANTHROPIC, 1.1).read_tokens == 3000


def test_entries_exist_only_where_marks_stood() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000, 4000), {2: FIVE}, 0)
    assert call(cache, row(2000, 3000), {1: FIVE}, 1).read_tokens == 0


@pytest.mark.parametrize(("mark", "read"), [(10, 2010), (30, 2010), (31, 0)])
def test_a_mark_looks_back_twenty_blocks(mark: int, read: int) -> None:
    cache = ProviderCache()
    call(cache, row(*WIDE[:11]), {10: FIVE}, 0)
    assert call(cache, row(*WIDE), {mark: FIVE}, 1).read_tokens == read


def test_the_longest_hit_over_all_marks_is_read() -> None:
    cache = ProviderCache()
    call(cache, row(*WIDE), {0: FIVE, 40: FIVE}, 0)
    # The last mark finds nothing within reach; the one at 45 finds 40, the first one finds itself.
    outcome = call(cache, row(*WIDE), {0: FIVE, 45: FIVE, 90: FIVE}, 1)
    assert (outcome.hit, outcome.read_tokens, outcome.writes) == (40, 2040, {W5: 2090 - 2040})


@pytest.mark.parametrize(("gap_s", "read"), [(299.9, 3000), (300, 0)])
def test_an_unused_entry_dies_after_five_minutes(gap_s: float, read: int) -> None:
    cache = ProviderCache()
    call(cache, row(3000), {0: FIVE}, 50)
    assert cache.look(row(3000), {0: FIVE}, ANTHROPIC, 50 + gap_s).read_tokens == read


def test_a_hit_renews_an_entry_for_free() -> None:
    cache = ProviderCache()
    call(cache, row(3000), {0: FIVE}, 0)
    for now_s in (200, 400, 600):
        assert call(cache, row(3000), {0: FIVE}, now_s) == CacheOutcome(3000, {}, 0, 0, ((0, "5m"),))


def test_looking_alone_renews_nothing() -> None:
    cache = ProviderCache()
    call(cache, row(3000), {0: FIVE}, 0)
    cache.look(row(3000), {0: FIVE}, ANTHROPIC, 200)
    assert cache.look(row(3000), {0: FIVE}, ANTHROPIC, 400).read_tokens == 0


def test_an_hour_entry_lives_for_an_hour() -> None:
    cache = ProviderCache()
    assert call(cache, row(3000), {0: HOUR}, 0).writes == {W1H: 3000}
    assert call(cache, row(3000), {0: HOUR}, 3599).read_tokens == 3000
    assert call(cache, row(3000), {0: HOUR}, 3599 + 3600).read_tokens == 0


def test_with_mixed_times_to_live_each_stretch_has_its_own_price() -> None:
    cache = ProviderCache()
    call(cache, row(2000), {0: HOUR}, 0)
    # A = 2000 (the hit), B = 5000 (last 1 h mark), C = 9000 (last mark), 500 behind it.
    outcome = call(cache, row(2000, 3000, 5000, 9000, 9500), {0: HOUR, 1: HOUR, 2: HOUR, 3: FIVE}, 1)
    assert outcome == CacheOutcome(
        read_tokens=2000,
        writes={W1H: 5000 - 2000, W5: 9000 - 5000},
        input_tokens=500,
        hit=0,
        kept=((0, "1h"), (1, "1h"), (2, "1h"), (3, "5m")),
    )


def test_an_hour_mark_before_the_hit_is_not_billed() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000), {1: FIVE}, 0)
    assert call(cache, row(2000, 3000, 4000), {0: HOUR, 1: FIVE, 2: FIVE}, 1).writes == {W5: 1000}


def test_an_hour_mark_behind_a_short_one_bills_all_before_it_as_an_hour() -> None:
    assert call(ProviderCache(), row(2000, 3000), {0: FIVE, 1: HOUR}, 0).writes == {W1H: 3000}


@pytest.mark.parametrize(("tokens", "written"), [(1023, {}), (1024, {W5: 1024})])
def test_a_prefix_below_the_minimum_is_not_written(tokens: int, written: dict[TokenClass, int]) -> None:
    assert call(ProviderCache(), row(tokens, tokens + 500), {0: FIVE}, 0).writes == written


def test_an_entry_that_counts_below_the_minimum_is_not_read() -> None:
    cache = ProviderCache()
    call(cache, row(1024, 1500), {0: FIVE}, 0)
    # The same prefix, counted shorter since the ratio was corrected.
    assert cache.look(row(1000, 1400), {0: FIVE, 1: FIVE}, ANTHROPIC, 1).read_tokens == 0


def test_a_mark_before_the_hit_whose_entry_is_gone_makes_none() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000), {1: FIVE}, 0)
    call(cache, row(2000, 3000), {0: FIVE, 1: FIVE}, 1)
    assert cache.entry(b"0", 2) is None


def test_a_short_entry_that_is_later_marked_for_an_hour_stays_short() -> None:
    cache = ProviderCache()
    call(cache, row(3000), {0: FIVE}, 0)
    assert call(cache, row(3000), {0: HOUR}, 10).writes == {}
    assert cache.look(row(3000), {0: HOUR}, ANTHROPIC, 311).writes == {W1H: 3000}


def test_an_hour_entry_that_is_later_marked_short_keeps_its_hour() -> None:
    cache = ProviderCache()
    call(cache, row(3000), {0: HOUR}, 0)
    call(cache, row(3000), {0: FIVE}, 3000)
    assert cache.look(row(3000), {0: FIVE}, ANTHROPIC, 6500).read_tokens == 3000


def test_of_two_writes_side_by_side_the_longer_life_counts() -> None:
    cache = ProviderCache()
    hour = cache.look(row(3000), {0: HOUR}, ANTHROPIC, 0)
    short = cache.look(row(3000), {0: FIVE}, ANTHROPIC, 0)
    cache.keep(row(3000), hour, ANTHROPIC, 1)
    cache.keep(row(3000), short, ANTHROPIC, 2)
    assert cache.entry(b"0", 3) == (3602, "1h", 3600)


def test_responses_that_are_told_out_of_order_do_not_shorten_a_life() -> None:
    cache = ProviderCache()
    outcome = cache.look(row(3000), {0: FIVE}, ANTHROPIC, 0)
    cache.keep(row(3000), outcome, ANTHROPIC, 20)
    cache.keep(row(3000), outcome, ANTHROPIC, 10)
    assert cache.entry(b"0", 30) == (320, "5m", 300)


def test_entries_at_earlier_marks_are_renewed_with_the_hit() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000), {0: FIVE, 1: FIVE}, 0)
    call(cache, row(2000, 3000), {0: FIVE, 1: FIVE}, 200)
    assert cache.look(row(2000), {0: FIVE}, ANTHROPIC, 400).read_tokens == 2000


def test_an_entry_found_by_looking_back_is_renewed_only_if_it_is_read() -> None:
    cache = ProviderCache()
    call(cache, row(2000, 3000, 4000), {0: FIVE, 2: FIVE}, 0)
    outcome = call(cache, row(2000, 3000, 4000), {1: FIVE, 2: FIVE}, 200)
    assert outcome.kept == ((2, "5m"),)
    assert cache.entry(b"0", 301) is None


def test_of_too_many_marks_the_last_four_count() -> None:
    outcome = call(ProviderCache(), row(2000, 3000, 4000, 5000, 6000), dict.fromkeys(range(5), FIVE), 0)
    assert [index for index, _ in outcome.kept] == [1, 2, 3, 4]


def test_an_unknown_time_to_live_is_taken_for_the_default() -> None:
    assert call(ProviderCache(), row(3000), {0: Mark("2h")}, 0).writes == {W5: 3000}


def test_an_empty_prompt_costs_nothing() -> None:
    assert call(ProviderCache(), row(), {}, 0) == CacheOutcome(0, {}, 0, None, ())


def test_the_minimum_is_the_rules() -> None:
    rules = replace(ANTHROPIC, minimum_tokens=4096)
    assert ProviderCache().look(row(4000), {0: FIVE}, rules, 0).writes == {}
