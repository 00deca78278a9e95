import pytest
from hand_made import AS_O200K, Row, block, piece, row

from bursar.cachemodel.openai import routing_scope
from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.layout import lay_out
from bursar.domain.prompt import Mark, Prompt
from bursar.domain.usage import TokenClass
from cache_rules import OPENAI_AUTOMATIC, OPENAI_MARKS

W30M = TokenClass.CACHE_WRITE_30M
W12H = TokenClass.CACHE_WRITE_12H
IMPLICIT = CacheOptions()
EXPLICIT = CacheOptions(implicit=False)
HALF_HOUR = Mark("30m")
TWELVE = Mark("12h")


def call(
    cache: ProviderCache,
    prefixes: Row,
    rules: CacheRules,
    now_s: float,
    marks: dict[int, Mark] | None = None,
    *,
    options: CacheOptions = IMPLICIT,
) -> CacheOutcome:
    """Send a prompt and let its response begin at once."""
    outcome = cache.look(prefixes, marks or {}, rules, now_s, options)
    cache.keep(prefixes, outcome, rules, now_s)
    return outcome


class TestAutomatic:
    def test_writes_are_free(self) -> None:
        outcome = call(ProviderCache(), row(2000, 3000), OPENAI_AUTOMATIC, 0)
        assert (outcome.read_tokens, outcome.writes, outcome.input_tokens) == (0, {}, 3000)

    def test_the_longest_known_prefix_is_read_in_steps_of_128(self) -> None:
        cache = ProviderCache()
        call(cache, row(1500, 2000), OPENAI_AUTOMATIC, 0)
        outcome = call(cache, row(1500, 2000, 2600), OPENAI_AUTOMATIC, 1)
        # 2000 = 15 x 128 + 80.
        assert (outcome.read_tokens, outcome.input_tokens, outcome.hit) == (1920, 680, 1)

    @pytest.mark.parametrize(("tokens", "read"), [(1023, 0), (1024, 1024), (1151, 1024), (1152, 1152)])
    def test_reads_begin_at_the_minimum(self, tokens: int, read: int) -> None:
        cache = ProviderCache()
        call(cache, row(tokens), OPENAI_AUTOMATIC, 0)
        assert call(cache, row(tokens), OPENAI_AUTOMATIC, 1).read_tokens == read

    def test_an_unused_prefix_dies_at_the_low_end_of_its_range(self) -> None:
        cache = ProviderCache()
        call(cache, row(2048), OPENAI_AUTOMATIC, 0)
        call(cache, row(2048), OPENAI_AUTOMATIC, 299)
        assert call(cache, row(2048), OPENAI_AUTOMATIC, 598).read_tokens == 2048
        assert call(cache, row(2048), OPENAI_AUTOMATIC, 898).read_tokens == 0

    def test_retention_of_a_day_is_taken_from_the_request(self) -> None:
        cache = ProviderCache()
        call(cache, row(2048), OPENAI_AUTOMATIC, 0, options=CacheOptions(ttl="24h"))
        assert call(cache, row(2048), OPENAI_AUTOMATIC, 86_399).read_tokens == 2048

    def test_a_divergent_prompt_reads_the_shared_part(self) -> None:
        cache = ProviderCache()
        call(cache, Row((b"s", b"a"), (2048, 4096)), OPENAI_AUTOMATIC, 0)
        outcome = call(cache, Row((b"s", b"b"), (2048, 5000)), OPENAI_AUTOMATIC, 1)
        assert (outcome.read_tokens, outcome.hit) == (2048, 0)


class TestAtMarks:
    def test_implicit_mode_writes_to_the_end_of_the_last_message(self) -> None:
        outcome = call(ProviderCache(), row(2000, 3000, message_ends=(1, 2)), OPENAI_MARKS, 0)
        assert outcome == CacheOutcome(0, {W30M: 3000}, 0, None, ((1, "30m"),))

    def test_explicit_mode_without_marks_does_not_cache(self) -> None:
        outcome = call(ProviderCache(), row(2000, message_ends=(1,)), OPENAI_MARKS, 0, options=EXPLICIT)
        assert outcome == CacheOutcome(0, {}, 2000, None, ())

    def test_a_later_turn_matches_where_the_earlier_one_ended(self) -> None:
        cache = ProviderCache()
        call(cache, row(2000, 3001, message_ends=(1, 2)), OPENAI_MARKS, 0)
        outcome = call(cache, row(2000, 3001, 3100, 3300, message_ends=(1, 2, 3, 4)), OPENAI_MARKS, 1)
        # Exact at a breakpoint: nothing is rounded.
        assert (outcome.read_tokens, outcome.writes) == (3001, {W30M: 299})

    def test_explicit_mode_matches_at_marks_only(self) -> None:
        cache = ProviderCache()
        call(cache, row(2000, 3000, message_ends=(1, 2)), OPENAI_MARKS, 0)
        later = row(2000, 3000, 4000, message_ends=(1, 2, 3))
        assert call(cache, later, OPENAI_MARKS, 1, {2: HALF_HOUR}, options=EXPLICIT).read_tokens == 0
        both = {1: HALF_HOUR, 2: HALF_HOUR}
        assert call(cache, later, OPENAI_MARKS, 2, both, options=EXPLICIT).read_tokens == 4000

    def test_there_is_no_fall_back_to_a_shorter_unmarked_prefix(self) -> None:
        cache = ProviderCache()
        call(cache, row(2000, 3000, 4000, message_ends=(3,)), OPENAI_MARKS, 0)
        assert call(cache, row(2000, 3000, 9000, name="", message_ends=(2,)), OPENAI_MARKS, 1).hit is None

    @pytest.mark.parametrize(("options", "kept"), [(IMPLICIT, [2, 3, 4, 5]), (EXPLICIT, [1, 2, 3, 4])])
    def test_the_latest_four_breakpoints_are_written(self, options: CacheOptions, kept: list[int]) -> None:
        marks = dict.fromkeys(range(5), HALF_HOUR)
        prefixes = row(2000, 3000, 4000, 5000, 6000, 7000, message_ends=(6,))
        outcome = call(ProviderCache(), prefixes, OPENAI_MARKS, 0, marks, options=options)
        assert [index for index, _ in outcome.kept] == kept

    def test_matching_considers_the_latest_eighty_marks(self) -> None:
        cache = ProviderCache()
        wide = row(*range(2000, 2100))
        call(cache, wide, OPENAI_MARKS, 0, {5: HALF_HOUR}, options=EXPLICIT)
        reach = dict.fromkeys(range(5, 85), HALF_HOUR)
        assert cache.look(wide, reach, OPENAI_MARKS, 1, EXPLICIT).hit == 5
        assert cache.look(wide, reach | {85: HALF_HOUR}, OPENAI_MARKS, 1, EXPLICIT).hit is None

    def test_entries_at_the_requests_own_breakpoints_are_renewed_with_the_hit(self) -> None:
        cache = ProviderCache()
        prefixes = row(2000, 3000, 4000, message_ends=(2, 3))
        call(cache, prefixes, OPENAI_MARKS, 0, {0: HALF_HOUR, 1: HALF_HOUR})
        outcome = call(cache, prefixes, OPENAI_MARKS, 1000, {0: HALF_HOUR})
        # Block 1 ends a message, but no breakpoint of this request stands there.
        assert outcome.kept == ((0, "30m"), (2, "30m"))

    def test_twelve_hours_have_their_own_price_and_life(self) -> None:
        cache = ProviderCache()
        outcome = call(cache, row(2000, 3000, message_ends=(2,)), OPENAI_MARKS, 0, {0: TWELVE})
        assert outcome.writes == {W12H: 2000, W30M: 1000}
        assert call(cache, row(2000), OPENAI_MARKS, 43_199, {0: TWELVE}, options=EXPLICIT).read_tokens == 2000

    def test_a_mark_without_a_time_to_live_takes_the_requests(self) -> None:
        outcome = call(
            ProviderCache(),
            row(2000),
            OPENAI_MARKS,
            0,
            {0: Mark("")},
            options=CacheOptions(implicit=False, ttl="12h"),
        )
        assert outcome.writes == {W12H: 2000}

    def test_below_the_minimum_nothing_is_written(self) -> None:
        assert call(ProviderCache(), row(1023, message_ends=(1,)), OPENAI_MARKS, 0).writes == {}

    def test_an_empty_prompt_costs_nothing(self) -> None:
        assert call(ProviderCache(), row(), OPENAI_MARKS, 0).total_tokens == 0


def test_prompts_with_different_cache_keys_never_meet() -> None:
    prompt = Prompt(tools=(), system=(), messages=(piece(block("hello", 5000)),))
    chains = {
        lay_out(prompt, scope=routing_scope(b"account", key), ratios=AS_O200K).chain for key in ("", "a", "b")
    }
    assert len(chains) == 3
