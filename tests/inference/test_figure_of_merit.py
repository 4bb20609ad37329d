"""What is left of the information: ratios of merits with their errors, and the price of getting them."""

import re

import numpy as np
import pytest

from wlbook import degradation, experiments
from wlbook.inference import figure_of_merit
from wlbook.network import trainer
from wlbook.runner.store import Store
from wlbook.simulation import cosmology

MODELS = np.array([cosmology.FIDUCIAL + np.array([x, y]) for x in (-0.1, 0.0, 0.1) for y in (-0.15, 0.0, 0.15)])


def gaussian(scatter: float, seed: int = 0) -> np.ndarray:
    """Vectors that are the parameters themselves with Gaussian noise: the posterior is known."""
    noise = np.random.default_rng(seed).standard_normal((len(MODELS), 64, 2))
    noise = (noise - noise.mean(1, keepdims=True)) / noise.std(1, keepdims=True)
    return MODELS[:, None] + scatter * noise


def test_merits_are_those_of_a_gaussian():
    scatter = 0.01
    found = figure_of_merit.measured(MODELS, {("a", "none", 0): gaussian(scatter)}, n_fields=1.0, repeats=2, seed=1)
    area, precision = np.exp(found["a", "none", 0]["logs"][0])
    assert 1 / area == pytest.approx(-2 * np.log(1 - 0.68) * np.pi * scatter**2, rel=0.08)
    omega_m, sigma_8 = cosmology.FIDUCIAL
    slopes = np.sqrt(omega_m / 0.3) * np.array([0.5 * sigma_8 / omega_m, 1.0])
    assert 1 / precision == pytest.approx(scatter * np.hypot(*slopes), rel=0.08)


def test_half_the_scatter_is_four_times_the_merit_and_errors_cover_it():
    vectors = {("retrained", "none", n): gaussian(0.01, n) for n in range(2)}
    vectors |= {("retrained", "better", 0): gaussian(0.005, 5), ("twin", "none", 0): gaussian(0.01, 6)}
    found = figure_of_merit.measured(MODELS, vectors, n_fields=1.0, repeats=4, seed=2)
    left = figure_of_merit.relative(found, "retrained")
    np.testing.assert_allclose(left["none"].value, 1.0)
    np.testing.assert_allclose(left["none"].error, 0.0)
    np.testing.assert_allclose(left["better"].value, [4, 2], rtol=0.1)
    assert (left["better"].error > 0).all() and not left["better"].limited
    twin = figure_of_merit.relative(found, "twin")["none"]
    assert (figure_of_merit.tension(twin, left["none"]) < 3).all()
    value, error = figure_of_merit.ratio(left["better"], left["none"])
    assert value == pytest.approx(left["better"].value[0]) and error == pytest.approx(left["better"].error[0])


def test_a_region_that_the_design_cuts_is_marked():
    vectors = {("retrained", "none", n): gaussian(0.2, n) for n in range(2)}
    found = figure_of_merit.measured(MODELS, vectors, n_fields=1.0, repeats=2, seed=2)
    assert figure_of_merit.relative(found, "retrained")["none"].limited


def test_the_same_number_told_twice_is_not_two_pieces_of_news():
    one = gaussian(0.02)[..., :1]
    twice = np.concatenate([one, 3 * one + 1e-9 * gaussian(1.0, 3)[..., :1]], axis=-1)
    found = figure_of_merit.measured(MODELS, {("a", "none", 0): twice}, n_fields=1.0, repeats=2, seed=2)
    alone = figure_of_merit.measured(MODELS, {("a", "none", 0): one}, n_fields=1.0, repeats=2, seed=2)
    np.testing.assert_allclose(found["a", "none", 0]["logs"][0], alone["a", "none", 0]["logs"][0], atol=0.1)


def test_seed_scatter_is_the_standard_deviation_and_students_factor():
    logs = {("a", "x", n): {"logs": np.full((3, 2), value)} for n, value in enumerate([1.0, 2.0, 3.0])}
    scatter, few = figure_of_merit.seed_scatter(logs)
    np.testing.assert_allclose(scatter, 1.0)
    assert few == pytest.approx(1.32, abs=0.01)  # two degrees of freedom


def test_the_derivative_of_a_logarithm_is_one():
    cuts = [100.0, 200.0, 500.0]
    middle, change = figure_of_merit.slope(cuts, np.log(cuts).tolist())
    np.testing.assert_allclose(change, 1.0)
    np.testing.assert_allclose(middle, np.sqrt([100 * 200, 200 * 500]))


def test_structures_become_nonlinear_where_the_linear_variance_is_one():
    redshift = 0.43
    k = figure_of_merit.nonlinear_ell(redshift) / float(cosmology.distance(figure_of_merit.FIDUCIAL, redshift))
    growth = float(cosmology.growth(figure_of_merit.FIDUCIAL, 1 / (1 + redshift))[0])
    power = growth**2 * float(cosmology.linear_power(figure_of_merit.FIDUCIAL, np.array([k]))[0])
    assert k**3 * power / (2 * np.pi**2) == pytest.approx(1.0, abs=0.02)
    assert 0.2 < k < 0.7


def test_what_was_not_measured_is_named():
    found = {("retrained", "none", n): {"logs": np.zeros((3, 2)), "limited": False} for n in range(2)}
    with pytest.raises(ValueError, match=re.escape("'tuned': must be among ('retrained', 'none')")):
        figure_of_merit.relative(found, "tuned")
    with pytest.raises(ValueError, match="must have two or more"):
        figure_of_merit.seed_scatter({("retrained", "none", 0): found["retrained", "none", 0]})


def test_trainings_in_the_store_are_not_counted_again(tmp_path):
    store = Store(tmp_path)
    works = [experiments.Work(degradation.ell_from_length, {"length": float(n), "redshift": 0.5}, 100) for n in (1, 2)]
    assert experiments.seconds(store, works[0]) is None
    assert experiments.training_cost(store, works, lambda: 0.5).startswith(
        "2 of 2 trainings to do: 200 steps of 500 ms, about 83 s"
    )
    store.make(works[0].function, **works[0].inputs)
    assert experiments.seconds(store, works[0]) == pytest.approx(0.01, abs=0.2)
    assert experiments.training_cost(store, works, lambda: 0.5).startswith("1 of 2 trainings to do: 100 steps")
    store.make(works[1].function, **works[1].inputs)
    assert experiments.training_cost(store, works, lambda: 1 / 0) == "All 2 trainings are in the store."


def test_a_measured_step_takes_time_and_uses_the_observation():
    seen = []

    def observe(kappa, key):
        seen.append(kappa.shape)
        return 2.0 * kappa

    took = trainer.step_seconds(lambda kappa: kappa.mean((1, 2)), observe, np.ones((4, 1, 8, 8)), batch=6)
    assert 0 < took < 5 and seen[0] == (6, 1, 8, 8)


@pytest.mark.parametrize(
    ("limited", "low", "high", "error", "at_most"),
    [
        ((False, False), 0.9, 1.1, 0.5 * np.hypot(0.1, 0.2), False),
        ((True, False), 0.0, 0.7, 0.5 * np.hypot(0.1, 0.2), True),  # at most 0.5 + 0.11 < 0.7
        ((True, False), 0.0, 0.6, np.inf, True),
        ((True, False), 0.4, 1.1, np.inf, True),  # it may lie below 0.4
        ((False, True), 0.0, 1.0, np.inf, False),
        ((True, True), 0.0, 1.0, np.inf, False),
    ],
)
def test_a_region_that_ends_at_the_design_bounds_a_ratio_from_above(limited, low, high, error, at_most):
    def left(value, relative, ends):
        merits = np.array([value, 1.0])
        return figure_of_merit.Remaining(merits, relative * merits, merits[None], ends)

    found = figure_of_merit.judged(left(1.0, 0.1, limited[0]), left(2.0, 0.2, limited[1]), low=low, high=high)
    assert found == (0.5, pytest.approx(error), at_most)


def left_of(value: float, *, limited: bool = False) -> figure_of_merit.Remaining:
    merits = np.array([value, 1.0])
    return figure_of_merit.Remaining(merits, 0.1 * merits, merits[None], limited)


def test_each_way_is_measured_against_its_own_reference():
    logs = {"retrained": {"none": 0.0, "cut": -1.0}, "amortised": {"none": 2.0, "cut": 1.5}}
    found = {
        (way, spec, n): {"logs": np.full((3, 2), value), "limited": False}
        for way, values in logs.items()
        for spec, value in values.items()
        for n in range(2)
    }
    left = figure_of_merit.by_way(found)
    assert list(left) == ["retrained", "amortised"]
    np.testing.assert_allclose(left["retrained"]["cut"].value, np.exp(-1.0))
    np.testing.assert_allclose(left["amortised"]["cut"].value, np.exp(-0.5))
    np.testing.assert_allclose(left["amortised"]["none"].value, 1.0)


def test_two_networks_are_compared_in_combined_errors():
    one, two = left_of(1.0), left_of(0.5)
    assert figure_of_merit.compared(one, two) == "1.00 and 0.50 (4.5 errors), 1.00 and 1.00 (0.0 errors)"


def test_claims_are_judged_as_far_as_they_were_tested():
    retrained = {"none": left_of(1.0), "low_pass:1000": left_of(0.8, limited=True), "sum_bins": left_of(0.9)}
    retrained["shuffle_pixels"] = left_of(0.6)
    left = {"retrained": retrained, "spectra twin": {"none": left_of(1.2)}}
    bands = dict.fromkeys(figure_of_merit.CLAIMS, (0.5, 2.0))
    found = figure_of_merit.judged_claims(left, bands, bins=1)
    assert set(found) == {"b2-scales", "b5-shuffled-pixels"}  # one bin cannot be summed
    assert found["b5-shuffled-pixels"].value == pytest.approx(0.5)  # against the spectra twin
    assert found["b5-shuffled-pixels"].remark == "" and np.isfinite(found["b5-shuffled-pixels"].error)
    assert found["b2-scales"].text == "at most 0.80 ± 0.11" and np.isinf(found["b2-scales"].error)
    assert found["b2-scales"].remark == "at most this; regions end at the design's edge; "
    assert "b4-sum-of-bins" in figure_of_merit.judged_claims(left, bands, bins=2)
