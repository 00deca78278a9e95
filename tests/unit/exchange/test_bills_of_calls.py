"""A call's bill with what a technique asked for on its own account."""

import pytest

from bursar.domain.ledger import CostBasis, Technique
from bursar.domain.prices import CostLine, Terms
from bursar.domain.usage import Usage
from bursar.exchange.bills import Bill, nothing_billed, unknown_cost, with_own_attempt

TERMS = Terms()
CALL = Bill(
    Usage(input=100, cache_read=50, output=10),
    TERMS,
    (CostLine("input", 100, 500),),
    500,
    CostBasis.MEASURED,
    500,
    900,
    {Technique.HISTORY: 300, Technique.PREFIX_CACHE: 100},
)
OWN = Bill(Usage(input=7, output=3), TERMS, (CostLine("input", 7, 40),), 40, CostBasis.ESTIMATED, 60, 0)


def test_it_comes_off_the_techniques_share_and_everything_adds_up() -> None:
    total = with_own_attempt(CALL, OWN, Technique.HISTORY)
    assert total.usage == Usage(input=107, cache_read=50, output=13)
    assert (total.cost_nusd, total.most_nusd, total.baseline_nusd) == (540, 560, 900)
    assert total.shares == {Technique.HISTORY: 260, Technique.PREFIX_CACHE: 100}
    assert sum(total.shares.values()) == 900 - 540
    assert total.basis is CostBasis.ESTIMATED


def test_a_share_that_comes_to_nothing_is_left_out() -> None:
    call = Bill(None, TERMS, (), 0, CostBasis.MEASURED, 0, 40, {Technique.HISTORY: 40})
    assert with_own_attempt(call, OWN, Technique.HISTORY).shares == {}


@pytest.mark.parametrize(
    ("call", "own"), [(CALL, unknown_cost(None, TERMS)), (unknown_cost(None, TERMS), OWN)]
)
def test_what_is_unknown_of_one_is_unknown_of_both(call: Bill, own: Bill) -> None:
    total = with_own_attempt(call, own, Technique.HISTORY)
    assert (total.usage, total.cost_nusd, total.baseline_nusd, dict(total.shares)) == (None, None, None, {})
    assert total.basis is CostBasis.UNKNOWN


def test_what_was_refused_used_nothing() -> None:
    total = with_own_attempt(CALL, nothing_billed(TERMS), Technique.HISTORY)
    assert (total.usage, total.cost_nusd, total.shares) == (CALL.usage, 500, CALL.shares)
    assert with_own_attempt(nothing_billed(TERMS), nothing_billed(TERMS), Technique.HISTORY).usage is None
