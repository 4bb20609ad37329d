"""Statistics side by side, on vectors whose answers are known."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from wlbook import inference
from wlbook.degradation import filters
from wlbook.figures import statistics
from wlbook.inference import responses
from wlbook.simulation.cosmology import FIDUCIAL


def design() -> np.ndarray:
    omega_m, sigma_8 = np.meshgrid(np.linspace(0.2, 0.32, 4), np.linspace(0.6, 1.0, 5))
    return np.stack([omega_m.ravel(), sigma_8.ravel()], axis=1)


def linear_vectors(maps: int = 400) -> dict[str, np.ndarray]:
    """Two bins with slopes 10 and 0 in sigma_8, 0 and 5 in Omega_m, and independent scatter of 1 and 2."""
    parameters, rng = design(), np.random.default_rng(1)
    mean = np.stack([10 * parameters[:, 1], 5 * parameters[:, 0]], axis=1)
    return {"two": mean[:, None] + np.array([1.0, 2.0]) * rng.normal(size=(len(parameters), maps, 2))}


def test_responses_are_slopes_over_scatter():
    found = responses.responses(design(), linear_vectors())["two"]
    np.testing.assert_allclose(found["sigma_8"], [10 * 0.08, 0.0], atol=0.03)
    np.testing.assert_allclose(found["Omega_m"], [0.0, 5 * 0.026 / 2], atol=0.03)


def test_responses_are_those_of_the_observed_sky():
    parameters = design()
    noise = np.random.default_rng(1).normal(size=(len(parameters), 400, 2))
    vectors = {"two": 10 * parameters[:, None] ** 2 + noise - noise.mean(axis=1, keepdims=True)}
    found = responses.responses(parameters, vectors, (0.3, 0.9))["two"]
    np.testing.assert_allclose(found["Omega_m"], [10 * 2 * 0.3 * 0.03, 0], atol=0.02)
    np.testing.assert_allclose(found["sigma_8"], [0, 10 * 2 * 0.9 * 0.09], atol=0.1)
    error = responses.fisher_error(parameters, vectors, (0.3, 0.9))
    assert error == pytest.approx(1 / (10 * 2 * 0.9), rel=0.05)


def test_smallest_change_is_scatter_over_slope():
    assert responses.fisher_error(design(), linear_vectors()) == pytest.approx(0.1, rel=0.03)
    few = responses.fisher_error(design(), linear_vectors(12))
    assert few == pytest.approx(0.1, rel=0.15)  # debiased: few maps look no better


def test_bins_that_are_empty_in_a_model_are_left_out():
    vectors = linear_vectors()
    empty = {"two": np.concatenate([vectors["two"], np.zeros_like(vectors["two"][..., :1])], axis=-1)}
    assert responses.fisher_error(design(), empty) == responses.fisher_error(design(), vectors)
    assert np.isnan(responses.responses(design(), empty)["two"]["sigma_8"]).tolist() == [False, False, True]


def test_models_come_with_the_rows_of_their_maps_whatever_the_order():
    numbers = np.array([2, -2, 0, 2, 0])
    maps = xr.Dataset({"model": ("map", numbers), "omega_m": ("map", 0.1 * numbers), "sigma_8": ("map", 1.0 + numbers)})
    parameters, rows = inference.by_model(maps)
    assert rows.tolist() == [[2, 4], [0, 3]]  # the second universe of paper A is no model of the design
    np.testing.assert_allclose(parameters, [[0.0, 1.0], [0.2, 3.0]])
    with pytest.raises(ValueError, match=r"^maps: 1 to 2 of a model, must be as many for each$"):
        inference.by_model(maps.isel(map=[0, 2, 4]))


def test_correlation_takes_each_models_own_mean_away():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(5, 2000, 1))
    vectors = {"a": shared + 100 * np.arange(5)[:, None, None], "b": 1e-13 * (shared + rng.normal(size=shared.shape))}
    np.testing.assert_allclose(responses.correlation(vectors), [[1, 0.5**0.5], [0.5**0.5, 1]], atol=0.02)


def test_changes_are_in_standard_deviations_however_small_the_numbers():
    before = {"tiny": np.array([[1e-14], [3e-14]]), "constant": np.ones((2, 1))}
    after = {"tiny": np.array([[4e-14], [4e-14]]), "constant": np.ones((2, 1))}
    found = responses.changes(before, after)
    np.testing.assert_allclose(found["tiny"], [2.0])
    assert found["constant"].tolist() == [0.0]
    of_one = responses.changes({"tiny": before["tiny"][:1]}, {"tiny": after["tiny"][:1]})
    assert np.isnan(of_one["tiny"]).all()  # a single map has no scatter


def test_figures_draw_any_number_of_statistics():
    curves = {f"statistic {i}": {"a": np.arange(3.0), "b": np.full(3, np.nan)} for i in range(7)}
    statistics.small_panels(curves, ylabel="y")
    vectors = {"power spectrum": np.zeros((4, 2)), "peaks": np.ones((4, 3))}
    statistics.correlation_matrix(np.eye(5), vectors)
    statistics.bins_side_by_side({"a": {name: v[0] for name, v in vectors.items()}}, ylabel="y")
    rows = {"noise": {1.0: {"peaks": 0.1}, np.inf: {"peaks": 0.2}}}
    statistics.against_settings(rows | {"smoothing": rows["noise"]}, ylabel="y")
    plt.close("all")


def test_waves_between_two_scales_are_what_the_filters_keep():
    x = np.arange(32) * 2 * np.pi / 32
    waves = np.cos(2 * x) + np.cos(5 * x) + np.cos(8 * x)  # below, inside and above
    image = np.broadcast_to(waves, (32, 32)).astype(np.float32)
    kept = filters.band_pass(jnp.asarray(image)[None], 360 / 3.5 * 3, 360 / 3.5 * 6, side=3.5)[0]
    np.testing.assert_allclose(kept, np.broadcast_to(np.cos(5 * x), (32, 32)), atol=1e-5)
    assert FIDUCIAL == (0.26, 0.80)
