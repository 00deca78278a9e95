import pytest

from batch_cases import sizing
from bursar.policy.batch.sizing import SizeLimits, Sizing


def test_calls_grow_while_all_is_well_and_shrink_when_it_is_not() -> None:
    sizes = sizing()
    seen = [sizes.size]
    for _ in range(12):
        sizes.learn(sizes.size, 0, 10 * sizes.size, is_cut=False)
        seen.append(sizes.size)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (10, 50)
    sizes.learn(50, 6, 500, is_cut=False)
    assert sizes.size == 25


def test_a_tenth_of_faulty_items_is_not_yet_too_many() -> None:
    sizes = sizing()
    sizes.learn(10, 1, 100, is_cut=False)
    assert sizes.size == 10


def test_a_size_that_was_asked_for_stays() -> None:
    sizes = sizing(fixed=7)
    for faulty in (0, 0, 0, 7):
        sizes.learn(7, faulty, 70, is_cut=False)
        assert sizes.size == 7


def test_a_call_never_asks_for_more_answers_than_its_output_limit_holds() -> None:
    sizes = sizing(output_tokens_max=1_000)
    assert sizes.size == 3
    assert sizes.tokens_max(50) == 1_000
    sizes.learn(3, 1, None, is_cut=True)
    assert sizes.size == 1


@pytest.mark.parametrize("output_tokens", [None, 10, 10_000, 10_000_000])
def test_a_call_has_one_item_at_least_whatever_was_learned(output_tokens: int | None) -> None:
    sizes = Sizing(SizeLimits(None, 100, 1))
    sizes.learn(1, 1, output_tokens, is_cut=output_tokens is None)
    assert sizes.size == 1
    assert 0 < sizes.tokens_max(1) <= 100


def test_room_is_left_for_a_model_that_reasons_first() -> None:
    plain, reasoning = sizing(), Sizing(SizeLimits(None, 64_000, 100_000, reasoning_tokens=8_000))
    assert reasoning.tokens_max(4) == plain.tokens_max(4) + 8_000
