from hand_made import FIVE, row

from bursar.cachemodel.outcome import CacheOutcome, uncached
from bursar.cachemodel.provider import ProviderCache
from bursar.domain.usage import TokenClass, Usage
from cache_rules import ANTHROPIC


def test_a_model_without_rules_has_no_cache() -> None:
    cache = ProviderCache()
    outcome = cache.look(row(5000), {0: FIVE}, None, 0)
    cache.keep(row(5000), outcome, None, 0)
    assert (outcome, len(cache)) == (uncached(5000), 0)


def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    cache = ProviderCache(entries_max=80)
    for number in range(81):
        prefixes = row(2000, name=f"prompt{number}-")
        cache.keep(prefixes, cache.look(prefixes, {0: FIVE}, ANTHROPIC, number), ANTHROPIC, number)
        first = row(2000, name="prompt0-")
        cache.keep(first, cache.look(first, {0: FIVE}, ANTHROPIC, number), ANTHROPIC, number)
    assert len(cache) == 71
    assert cache.entry(b"prompt0-0", 81) is not None
    assert cache.entry(b"prompt1-0", 81) is None


def test_an_evicted_prompt_is_cold_and_others_are_not() -> None:
    cache = ProviderCache()
    mine, other = row(2000, 3000, name="mine"), row(2000, name="other")
    for prefixes, marks in ((mine, {0: FIVE, 1: FIVE}), (other, {0: FIVE})):
        cache.keep(prefixes, cache.look(prefixes, marks, ANTHROPIC, 0), ANTHROPIC, 0)
    assert cache.evict(mine) == 2
    assert cache.look(mine, {1: FIVE}, ANTHROPIC, 1).hit is None
    assert cache.look(other, {0: FIVE}, ANTHROPIC, 1).hit == 0


def test_a_forgotten_entry_uncovers_the_one_before_it() -> None:
    cache = ProviderCache()
    prefixes = row(2000, 3000)
    cache.keep(prefixes, cache.look(prefixes, {0: FIVE, 1: FIVE}, ANTHROPIC, 0), ANTHROPIC, 0)
    assert cache.forget(prefixes.chain[1])
    assert not cache.forget(prefixes.chain[1])
    assert cache.look(prefixes, {1: FIVE}, ANTHROPIC, 1).hit == 0


def test_a_cleared_cache_is_empty() -> None:
    cache = ProviderCache()
    cache.keep(row(2000), cache.look(row(2000), {0: FIVE}, ANTHROPIC, 0), ANTHROPIC, 0)
    cache.clear()
    assert len(cache) == 0


def test_an_entry_tells_how_long_it_lives() -> None:
    cache = ProviderCache()
    cache.keep(row(2000), cache.look(row(2000), {0: FIVE}, ANTHROPIC, 100), ANTHROPIC, 100)
    entry = cache.entry(b"0", 200)
    assert entry is not None
    assert (entry.expires_s, entry.ttl, entry.life_s) == (400, "5m", 300)


OUTCOME = CacheOutcome(
    6000, {TokenClass.CACHE_WRITE_1H: 3000, TokenClass.CACHE_WRITE_5M: 900}, 100, 3, ((3, "5m"),)
)


def test_an_outcome_is_scaled_to_the_providers_own_count() -> None:
    # 10,700 / 10,000 = 1.07 exactly, so that every class is 1.07 times itself.
    assert OUTCOME.scaled(10_700) == {
        TokenClass.CACHE_READ: 6420,
        TokenClass.CACHE_WRITE_1H: 3210,
        TokenClass.CACHE_WRITE_5M: 963,
        TokenClass.INPUT: 107,
    }


def test_scaling_leaves_no_token_out() -> None:
    assert sum(OUTCOME.scaled(9_999).values()) == 9_999


def test_an_uncounted_prompt_is_all_input() -> None:
    assert uncached(0).scaled(12) == {TokenClass.INPUT: 12}


def test_an_outcome_becomes_a_usage() -> None:
    assert OUTCOME.usage(10_000, 55, 7) == Usage(
        input=100, cache_read=6000, cache_write_5m=900, cache_write_1h=3000, output=55, reasoning=7
    )
