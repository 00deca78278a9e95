import pytest

from bursar.domain.calibration import Calibration
from bursar.domain.tokens import Basis, Estimate

ROUGH = Estimate(1000, Basis.CALIBRATED)
EXACT = Estimate(1000, Basis.EXACT)


def taught(*reported: int, estimated: int = 1000) -> Calibration:
    calibration = Calibration()
    for tokens in reported:
        calibration.learn("up", "m", estimated_tokens=estimated, reported_tokens=tokens)
    return calibration


def test_where_nothing_was_learned_an_estimate_stays_as_it_is() -> None:
    assert Calibration().correct("up", "m", ROUGH) is ROUGH
    assert Calibration().factor_per_mille("up", "m") == 1000


def test_the_first_report_already_counts() -> None:
    assert taught(1070).correct("up", "m", Estimate(2000, Basis.BOUND)) == Estimate(2140, Basis.CALIBRATED)


def test_upstreams_and_models_are_told_apart() -> None:
    calibration = taught(1070)
    assert calibration.factor_per_mille("other", "m") == 1000
    assert calibration.factor_per_mille("up", "other") == 1000


def test_a_freak_does_not_move_the_factor() -> None:
    assert taught(*[1070] * 10, 3000, *[1070] * 3).factor_per_mille("up", "m") == 1070


def test_a_freak_at_the_start_is_soon_overruled() -> None:
    assert taught(3000, 1070, 1070).factor_per_mille("up", "m") == 1070


def test_a_lasting_change_is_taken_up() -> None:
    assert abs(taught(*[1000] * 50, *[1300] * 40).factor_per_mille("up", "m") - 1300) <= 3


@pytest.mark.parametrize(("reported", "factor"), [(10, 500), (90_000, 3000)])
def test_the_factor_keeps_within_its_bounds(reported: int, factor: int) -> None:
    assert taught(reported).factor_per_mille("up", "m") == factor


def test_an_exact_count_that_proves_right_stays_exact() -> None:
    assert taught(1000).correct("up", "m", EXACT) is EXACT


def test_an_exact_count_that_proves_wrong_becomes_calibrated() -> None:
    assert taught(1010).correct("up", "m", EXACT) == Estimate(1010, Basis.CALIBRATED)


@pytest.mark.parametrize(("estimated", "reported"), [(199, 400), (1000, 0)])
def test_short_prompts_and_empty_reports_teach_nothing(estimated: int, reported: int) -> None:
    assert taught(reported, estimated=estimated).correct("up", "m", ROUGH) is ROUGH


def test_the_pair_learned_about_least_recently_is_forgotten() -> None:
    calibration = Calibration(pairs_max=2)
    for model in ("a", "b", "a", "c"):
        calibration.learn("up", model, estimated_tokens=1000, reported_tokens=1200)
    assert [calibration.factor_per_mille("up", m) for m in ("a", "b", "c")] == [1200, 1000, 1200]
