from msgspec.structs import replace

from bursar.domain.ledger import CostBasis
from ledger_entries import entry, unpriced


def test_an_attempt_costs_the_sum_of_its_lines() -> None:
    assert entry().attempts[0].cost_nusd == 300_000 + 150_000


def test_an_attempt_of_unknown_basis_has_no_cost_whatever_its_lines_say() -> None:
    assert replace(entry().attempts[0], basis=CostBasis.UNKNOWN).cost_nusd is None


def test_an_attempt_without_lines_cost_nothing_if_that_was_measured() -> None:
    assert replace(entry().attempts[0], lines=()).cost_nusd == 0


def test_saved_is_baseline_less_cost() -> None:
    assert entry().saved_nusd == 600_000 - 450_000


def test_saved_is_unknown_where_cost_or_baseline_is() -> None:
    assert unpriced("a", baseline_nusd=600_000).saved_nusd is None
    assert entry(baseline_nusd=None).saved_nusd is None
