"""Nanodollars: the only unit of money inside.

An amount is an `int` of nusd (10⁻⁹ USD) and its name ends in `_nusd`. Cost lines round half-even once
per line, reservations round up, and a total that is shared out adds up again exactly.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation

from bursar.errors import BadAmount

NUSD_PER_USD = 1_000_000_000

# Without the trap, digits beyond the context's precision would be rounded away unseen.
_EXACT = Context(prec=60, traps=[Inexact])


def nusd_from_usd(amount: str | int | Decimal) -> int:
    """Read an amount of US dollars.

    Args:
        amount: Decimal digits such as `"0.20"`, a whole number, or a Decimal. A `float` is refused by
            its type: it cannot hold most amounts.

    Returns:
        The amount in nusd, exactly.

    Raises:
        BadAmount: It is no finite number, or finer than a nanodollar.
    """
    if isinstance(amount, float | bool):
        raise BadAmount(f'{amount!r} is no exact amount; write it as text, such as "0.20"')
    try:
        usd = Decimal(amount)
    except (InvalidOperation, TypeError, ValueError):
        raise BadAmount(f'{amount!r} is no amount of US dollars; write digits, such as "0.20"') from None
    if not usd.is_finite() or abs(usd) > Decimal(10) ** 15:
        raise BadAmount(f"{amount!r} is no amount of US dollars within ±10¹⁵")
    try:
        nusd = usd.scaleb(9, _EXACT)
    except Inexact:
        nusd = None
    if nusd is None or nusd != nusd.to_integral_value():
        raise BadAmount(f"{amount!r} is finer than a nanodollar (nine places)")
    return int(nusd)


def usd_text(nusd: int) -> str:
    """Write an amount as US dollars with nine places, as every interface of Bursar gives it."""
    sign = "-" if nusd < 0 else ""
    whole, rest = divmod(abs(nusd), NUSD_PER_USD)
    return f"{sign}{whole}.{rest:09d}"


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide integers, rounding half to even. The denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def divide_up(numerator: int, denominator: int) -> int:
    """Divide integers, rounding up: for what is reserved. The denominator is positive."""
    return -(-numerator // denominator)


def share_out(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share a total in proportion to weights, by largest remainder.

    Args:
        total: What is shared: tokens or nusd, negative or not.
        weights: Non-negative integers. Where all are zero, everything goes to the last.

    Returns:
        One share per weight. They add up to `total` exactly; ties go to the earlier weight.
    """
    if len(weights) < 2:
        return (total,) * len(weights)
    whole = sum(weights)
    if whole == 0:
        return (*(0 for _ in weights[:-1]), total)
    amount = left = abs(total)
    shares: list[int] = []
    remainders: list[int] = []
    for weight in weights:
        product = amount * weight
        share = product // whole
        shares.append(share)
        remainders.append(product - share * whole)
        left -= share
    if left == 1:
        shares[remainders.index(max(remainders))] += 1
    elif left:
        # The sort is stable, reversed too, so that ties stay in order.
        for index in sorted(range(len(shares)), key=remainders.__getitem__, reverse=True)[:left]:
            shares[index] += 1
    return tuple(shares) if total >= 0 else tuple([-share for share in shares])
