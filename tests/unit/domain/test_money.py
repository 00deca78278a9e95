from decimal import Decimal

import pytest

from bursar.domain.money import divide_half_even, divide_up, nusd_from_usd, share_out, usd_text
from bursar.errors import BadAmount


@pytest.mark.parametrize(
    ("amount", "nusd"),
    [
        ("0.20", 200_000_000),
        ("3", 3_000_000_000),
        (3, 3_000_000_000),
        (Decimal("0.000000001"), 1),
        ("-1.5", -1_500_000_000),
        ("1e-9", 1),
        ("0", 0),
        ("1000000000000000", 10**24),
    ],
)
def test_an_amount_is_read_exactly(amount, nusd):
    assert nusd_from_usd(amount) == nusd


@pytest.mark.parametrize(
    "amount", ["", "two", "1,50", "$3", "NaN", "Infinity", "-inf", "1e16", "1e99999", None, [], {}]
)
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(BadAmount):
        nusd_from_usd(amount)


@pytest.mark.parametrize("amount", [0.2, 1.0, True])
def test_a_float_or_a_truth_value_is_refused_with_the_way_to_write_it(amount):
    with pytest.raises(BadAmount, match=r'write it as text, such as "0\.20"'):
        nusd_from_usd(amount)


@pytest.mark.parametrize("amount", ["0.0000000001", "0.1" + "0" * 40 + "1", "1e-400", "1e-9999999"])
def test_an_amount_finer_than_a_nanodollar_is_refused_however_many_digits_it_has(amount):
    with pytest.raises(BadAmount, match="finer than a nanodollar"):
        nusd_from_usd(amount)


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (1_234_567_890, "1.234567890"),
        (-2_000_000_000, "-2.000000000"),
    ],
)
def test_an_amount_is_written_with_nine_places(nusd, text):
    assert usd_text(nusd) == text


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (8, 3, 3), (6, 3, 2), (-7, 3, -2)],
)
def test_halves_go_to_the_even_neighbour(numerator, denominator, quotient):
    assert divide_half_even(numerator, denominator) == quotient


def test_what_is_reserved_rounds_up():
    assert [divide_up(n, 4) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (10, (1, 1, 1), (4, 3, 3)),
        (-10, (1, 1, 1), (-4, -3, -3)),
        (2, (0, 5, 5), (0, 1, 1)),
        (7, (0, 0), (0, 7)),
        (0, (3, 4), (0, 0)),
        (5, (), ()),
        (1, (1, 2), (0, 1)),
    ],
)
def test_a_total_is_shared_by_largest_remainder(total, weights, shares):
    assert share_out(total, weights) == shares
