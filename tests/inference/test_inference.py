"""Constraints against problems whose answer has a closed form, and the ways they can go wrong."""

import math
import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import inference
from wlbook.inference import bootstrap, constraints, likelihood, responses

TRUTH = np.array([0.26, 0.80])
CORNERS = np.array([[0.16, 0.6], [0.16, 1.0], [0.36, 0.6], [0.36, 1.0]])


def toy(*, models: int = 24, maps: int = 400, bins: int = 6, seed: int = 0, spread: float = 1.0):
    """A vector linear in both parameters with white noise: slopes [2, bin], models, and their maps."""
    draw = np.random.default_rng(seed)
    slopes = draw.normal(size=(2, bins)) * [[40.0], [25.0]]
    inner = CORNERS[0] + draw.uniform(size=(models - 4, 2)) * (CORNERS[3] - CORNERS[0])
    parameters = np.concatenate([CORNERS, inner])
    vectors = (parameters @ slopes)[:, None] + spread * draw.normal(size=(models, maps, bins))
    return slopes, parameters, vectors


def closed_form_area(slopes: np.ndarray, level: float, n_fields: float = 1.0) -> float:
    return -2 * math.log(1 - level) * math.pi / math.sqrt(np.linalg.det(n_fields * slopes @ slopes.T))


# --- truth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["linear", "quadratic", "gaussian process"])
@pytest.mark.parametrize("covariance", ["varying", "fixed"])
def test_area_of_a_linear_gaussian_problem_is_the_closed_form(method, covariance):
    slopes, parameters, vectors = toy(maps=20_000, models=12)
    emulator = inference.Emulator(parameters, vectors, method=method)
    found = inference.posterior(emulator, TRUTH @ slopes, n_fields=4, covariance=covariance)
    for level in (0.68, 0.95):
        area = inference.credible_area(found, level=level)
        assert area == pytest.approx(closed_form_area(slopes, level, 4), rel=0.01)
    best = np.unravel_index(np.argmax(found.values), found.shape)
    np.testing.assert_allclose([found.omega_m[best[0]], found.sigma_8[best[1]]], TRUTH, atol=0.003)


@pytest.mark.parametrize("level", [0.3, 0.68, 0.95])
def test_area_on_a_grid_is_right_to_a_percent(level):
    grid = np.linspace(-5.0, 5.0, 64)
    density = np.exp(-0.5 * (grid[:, None] ** 2 + (grid / 0.8) ** 2))
    expected = -2 * math.log(1 - level) * math.pi * 0.8
    assert inference.credible_area(density, (grid, grid), level) == pytest.approx(expected, rel=0.01)
    height = inference.credible_level(density, level, (grid, grid))
    assert height == pytest.approx(1 - level, abs=0.02)


def test_posterior_integrates_to_one():
    slopes, parameters, vectors = toy()
    emulator = inference.Emulator(parameters, vectors)
    grid = {"omega_m": np.linspace(0.2, 0.32, 40), "sigma_8": np.linspace(0.7, 0.9, 50)}
    found = inference.posterior_grid(emulator, TRUTH @ slopes, n_fields=9, **grid)
    assert found.dims == ("omega_m", "sigma_8")
    assert float(found.integrate("omega_m").integrate("sigma_8")) == pytest.approx(1, rel=1e-3)


def test_hartlap_factor_undoes_the_bias_of_the_inverse():
    bins, maps = 20, 60
    chi_squares = []
    for seed in range(40):
        _, parameters, vectors = toy(models=4, maps=maps, bins=bins, seed=seed)
        emulator = inference.Emulator(parameters, vectors)
        point = np.array([CORNERS[0]])  # the linear emulator is at a model here: a single covariance counts
        offset = np.random.default_rng(1000 + seed).normal(size=(1, 50, bins))
        _, square = likelihood.log_likelihood(emulator, point, emulator.mean(point)[0] - offset[0])
        chi_squares.append(square.mean())
    # Without the factor (N - d - 2) / (N - 1) this would be 1.55 times the number of bins.
    assert np.mean(chi_squares) == pytest.approx(bins, rel=0.05)


def test_a_thin_diagonal_region_is_resolved():
    draw = np.random.default_rng(1)
    _, parameters, _ = toy(models=12)
    slopes = np.array([[300.0, 10.0], [200.0, -10.0]])  # one combination 25 times better known than the other
    vectors = (parameters @ slopes)[:, None] + draw.normal(size=(12, 20_000, 2))
    found = inference.posterior(inference.Emulator(parameters, vectors), TRUTH @ slopes, points=24, n_fields=9)
    assert inference.credible_area(found) == pytest.approx(closed_form_area(slopes, 0.68, 9), rel=0.03)


def test_truth_lies_inside_the_68_percent_region_68_percent_of_the_time():
    slopes, parameters, vectors = toy(bins=12, maps=60)
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    grid = {"omega_m": np.linspace(0.24, 0.28, 40), "sigma_8": np.linspace(0.77, 0.83, 40)}
    draw, inside = np.random.default_rng(5), 0
    trials = 200
    for _ in range(trials):
        data = TRUTH @ slopes + draw.normal(size=(12,)) / 3
        found = inference.posterior_grid(emulator, data, n_fields=9, **grid)
        at_truth = float(found.interp(omega_m=TRUTH[0], sigma_8=TRUTH[1]))
        inside += at_truth >= inference.credible_level(found, 0.68)
    assert abs(inside / trials - 0.68) < 3 * math.sqrt(0.68 * 0.32 / trials)


def test_a_covariance_that_knows_the_cosmology_adds_information():
    draw = np.random.default_rng(0)
    _, parameters, _ = toy(models=40)
    # Mean independent of sigma_8, scatter proportional to it: only the determinant can see sigma_8.
    mean = 30 * parameters[:, :1, None] * np.ones((1, 1, 8))
    vectors = mean + parameters[:, 1, None, None] * draw.normal(size=(40, 500, 8))
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    data = 30 * TRUTH[0] * np.ones(8) + 0.8 * draw.normal(size=8)
    grid = {"omega_m": np.linspace(0.17, 0.35, 40), "sigma_8": np.linspace(0.62, 0.98, 40)}
    flat, peaked = (
        inference.posterior_grid(emulator, data, covariance=kind, **grid).sum("omega_m").values
        for kind in ("fixed", "varying")
    )
    assert flat.max() < 1.2 * flat.min()
    assert peaked.max() > 1.5 * peaked.min()


@pytest.mark.parametrize("method", ["linear", "quadratic"])
def test_emulator_returns_what_it_was_given_at_the_models(method):
    slopes, parameters, vectors = toy(maps=40)
    emulator = inference.Emulator(
        parameters, vectors - vectors.mean(axis=1, keepdims=True) + (parameters @ slopes)[:, None], method=method
    )
    np.testing.assert_allclose(emulator.mean(parameters), parameters @ slopes, rtol=1e-6)
    np.testing.assert_allclose(emulator.mean(TRUTH[None])[0], TRUTH @ slopes, rtol=1e-6)
    if method == "linear":
        np.testing.assert_allclose(emulator.covariance(parameters), emulator.covariances, atol=1e-9)
    assert (np.linalg.eigvalsh(emulator.covariance(parameters)) > 0).all()


def test_leave_one_out_error_is_the_noise_of_the_means_where_the_truth_is_linear():
    _, parameters, vectors = toy(maps=100, models=40)
    errors = inference.Emulator(parameters, vectors, method="quadratic").leave_one_out()
    assert isinstance(errors, xr.DataArray) and errors.dims == ("model", "bin")
    assert 0.8 < float(np.sqrt((errors**2).mean())) * math.sqrt(100) < 1.6
    linear = inference.Emulator(parameters, vectors).leave_one_out()
    assert linear[:4].isnull().all() and linear[4:].notnull().mean() > 0.8


def test_bootstrap_error_of_an_area_is_its_scatter_between_surveys():
    areas = []
    for seed in range(30):
        slopes, parameters, vectors = toy(models=6, maps=60, seed=0)
        noise = np.random.default_rng(100 + seed).normal(size=vectors.shape)
        fresh = (parameters @ slopes)[:, None] + noise
        found = inference.posterior(inference.Emulator(parameters, fresh), TRUTH @ slopes, n_fields=4, points=32)
        areas.append(inference.credible_area(found))
    drawn = inference.resample(
        parameters,
        {"first": fresh[..., :3], "second": fresh[..., 3:]},
        {"first": np.tile(TRUTH @ slopes[:, :3], (4, 1)), "second": np.tile(TRUTH @ slopes[:, 3:], (4, 1))},
        rows={"one": ["first"], "both": ["first", "second"]},
        repeats=30,
        points=32,
        seed=1,
        n_fields=4,
    )
    logs = drawn["log_area"]
    assert logs.dims == ("draw", "row") and logs.shape == (31, 2)
    assert logs[0].sel(row="both") == pytest.approx(np.log(areas[-1]), abs=0.01)
    assert 0.5 < bootstrap.relative_error(logs.sel(row="both").values) / np.std(np.log(areas)) < 2.0
    assert (logs.sel(row="both") < logs.sel(row="one")).all()


# --- properties -----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-6, 1e6), fields=st.floats(1, 100))
def test_units_of_a_statistic_do_not_matter(scale, fields):
    slopes, parameters, vectors = toy(models=8, maps=50)
    grid = {"omega_m": np.linspace(0.2, 0.32, 12), "sigma_8": np.linspace(0.7, 0.9, 12)}
    plain, scaled = (
        inference.posterior_grid(
            inference.Emulator(parameters, s * vectors), s * (TRUTH @ slopes), n_fields=fields, **grid
        )
        for s in (1.0, scale)
    )
    np.testing.assert_allclose(scaled.values, plain.values, rtol=1e-5, atol=1e-9 * plain.values.max())


def test_statistics_used_together_are_one_long_vector():
    _, parameters, vectors = toy()
    named = inference.Emulator(parameters, {"peaks": vectors[..., :2], "Minkowski": vectors[..., 2:]})
    assert named.labels == ["peaks[0]", "peaks[1]", "Minkowski[0]", "Minkowski[1]", "Minkowski[2]", "Minkowski[3]"]
    np.testing.assert_allclose(named.mean(TRUTH[None]), inference.Emulator(parameters, vectors).mean(TRUTH[None]))


# --- error paths ----------------------------------------------------------------------------------------------------


def broken(case: str):
    _, parameters, vectors = toy(models=8, maps=30)
    named = {"peaks": vectors[..., :4].copy(), "Minkowski": vectors[..., 4:].copy()}
    if case == "few maps":
        named = {name: values[:, :8] for name, values in named.items()}
    elif case == "constant":
        named["peaks"][5, :, 3] = 7.0
    elif case == "singular":
        named["Minkowski"][2, :, 1] = 3 * named["peaks"][2, :, 0] + 1
    elif case == "nan":
        named["peaks"][1, 4, 2] = np.nan
    elif case == "line":
        parameters = np.linspace([0.2, 0.7], [0.3, 0.9], 8)
    elif case == "flat":
        parameters = np.column_stack([np.linspace(0.2, 0.3, 8), np.full(8, 0.8)])
    elif case == "few models":
        parameters, named = parameters[:2], {name: values[:2] for name, values in named.items()}
    elif case == "lengths":
        parameters = parameters[:7]
    return parameters, named


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("few maps", r"^8 maps a model for a vector of 6 bins: must be more than 8 maps, or fewer bins$"),
        ("constant", r"^vectors: peaks\[3\] is 7 in every map of model 5: drop this bin or widen it$"),
        ("singular", r"^vectors: the covariance of model 2 is singular, .*peaks\[0\].* repeat each other: drop one$"),
        ("nan", r"^vectors: peaks\[2\] of model 1, map 4 is not finite$"),
        ("line", r"^parameters: the models lie on one line"),
        ("flat", r"^parameters: the models lie on one line"),
        ("few models", r'^2 models: method = "linear" needs 3 or more$'),
        ("lengths", r"^parameters of 7 models, vectors of 8: must be as many$"),
    ],
)
def test_maps_that_cannot_make_an_emulator_are_named(case, message):
    with pytest.raises(ValueError, match=message):
        inference.Emulator(*broken(case))


def test_bins_that_repeat_each_other_in_every_model_are_named():
    parameters, named = broken("singular")
    inference.Emulator(parameters, named, method="quadratic")  # the other models know better than model 2
    named["Minkowski"][:, :, 1] = 3 * named["peaks"][:, :, 0] + 1
    with pytest.raises(ValueError, match=r"^vectors: the covariance of the vectors is singular, .*peaks\[0\]"):
        inference.Emulator(parameters, named, method="quadratic")


def counts_of_all(models: np.ndarray) -> np.ndarray:
    """400 objects of each of 60 maps in six bins: the first five of them say what is in the last."""
    draw, edges = np.random.default_rng(1), [-1e9, -1, -0.4, 0, 0.4, 1, 1e9]
    return np.array(
        [[np.histogram(draw.normal(0, 0.4 + s, 400), edges)[0] for _ in range(60)] for s in models[:, 1]], np.float64
    )


@pytest.mark.parametrize("method", ["linear", "quadratic", "gaussian process"])
def test_bins_that_add_up_to_a_constant_in_every_map_are_named(method):
    _, parameters, vectors = toy(models=12, maps=60, bins=1)
    counts = counts_of_all(parameters)
    named = ", ".join(f"counts[{place}]" for place in range(5)) + " and counts[5]"
    message = rf"^vectors: the covariance of .* is singular, {re.escape(named)} repeat each other: drop one$"
    shifted = counts + 100 * np.arange(12)[:, None, None] * [1, 0, 0, 0, 0, 0]  # another constant for each model
    for dependent in (counts, (counts / 400).astype(np.float32), shifted):
        with pytest.raises(ValueError, match=message):
            inference.Emulator(parameters, {"other": vectors, "counts": dependent}, method=method)
    inference.Emulator(parameters, counts[..., :5], method=method)


@pytest.mark.parametrize("method", ["linear", "quadratic", "gaussian process"])
def test_bins_that_nearly_repeat_each_other_are_kept(method):
    _, parameters, vectors = toy(models=12, maps=4000, bins=2)
    near = vectors[..., :1] + 0.014 * np.random.default_rng(2).normal(size=(12, 4000, 1))
    emulator = inference.Emulator(parameters, np.concatenate([vectors, near], axis=-1), method=method)
    expected = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    np.testing.assert_allclose(emulator.covariance(TRUTH[None])[0], expected, atol=0.05)
    assert np.linalg.eigvalsh(emulator.covariance(TRUTH[None])[0])[0] == pytest.approx(0.014**2 / 2, rel=0.1)


def test_nothing_is_made_of_bins_that_add_up():
    _, parameters, _ = toy(models=12)
    counts = counts_of_all(parameters)
    by_name, sky = {"counts": counts}, {"counts": counts[0]}
    rows, options = {"all": ["counts"]}, {"method": "quadratic"}
    for refused in (
        lambda: responses.fisher_error(parameters, by_name),
        lambda: responses.responses(parameters, by_name),
        lambda: constraints.find(parameters, by_name, sky, rows, **options),
        lambda: inference.resample(parameters, by_name, sky, rows=rows, repeats=1, seed=1, **options),
    ):
        with pytest.raises(ValueError, match=r"is singular, counts\[0\], .* repeat each other: drop one$"):
            refused()


# --- the observed sky -----------------------------------------------------------------------------------------------


def test_the_fiducial_is_the_books_if_it_lies_in_the_design_or_the_middle_or_what_is_told():
    _, parameters, vectors = toy(models=12, maps=20)
    np.testing.assert_array_equal(inference.Emulator(parameters, vectors).fiducial, TRUTH)
    far = parameters + np.array([0.2, 0.1])
    np.testing.assert_allclose(inference.Emulator(far, vectors).fiducial, far.mean(axis=0))
    np.testing.assert_array_equal(inference.Emulator(far, vectors, fiducial=(0.4, 0.9)).fiducial, [0.4, 0.9])
    message = r"^fiducial: omega_m = 0.26, sigma_8 = 0.8: outside the design, whose models lie within 0.36 <= omega_m"
    with pytest.raises(ValueError, match=message):
        inference.Emulator(far, vectors, fiducial=(0.26, 0.8))


@pytest.mark.parametrize("method", ["quadratic", "gaussian process"])
def test_a_fixed_covariance_is_that_of_the_observed_sky(method):
    slopes, parameters, vectors = toy(models=24, maps=4000)
    centre = (parameters @ slopes)[:, None]
    vectors = centre + (parameters[:, 1] / 0.8)[:, None, None] * (vectors - centre)  # scatter as sigma_8
    emulator = inference.Emulator(parameters, vectors, method=method, fiducial=(0.3, 0.9))
    found = inference.posterior(emulator, TRUTH @ slopes, n_fields=9, covariance="fixed")
    assert inference.credible_area(found) == pytest.approx(
        (0.9 / 0.8) ** 2 * closed_form_area(slopes, 0.68, 9), rel=0.04
    )
    # The score's scatter is the Fisher matrix there, slopes C^-1 slopes^T.
    weights = inference.score_weights(emulator)
    np.testing.assert_allclose(slopes @ weights, slopes @ slopes.T / (0.9 / 0.8) ** 2, rtol=0.05)


def test_slopes_are_taken_at_the_observed_sky_and_to_one_side_at_the_rim():
    _, parameters, vectors = toy(models=12, maps=20, bins=2)
    bent = parameters**2  # slopes are twice the parameters
    exact = vectors - vectors.mean(axis=1, keepdims=True) + bent[:, None]
    for at in ((0.3, 0.9), (0.2, 0.7)):
        slopes = inference.Emulator(parameters, exact, method="quadratic", fiducial=at).slopes()
        np.testing.assert_allclose(slopes, np.diag(at) * 2, atol=1e-6)
    straight = vectors - vectors.mean(axis=1, keepdims=True) + parameters[:, None]
    rim = inference.Emulator(parameters, straight, method="quadratic", fiducial=(0.36, 0.8))
    np.testing.assert_allclose(rim.slopes(), np.eye(2), atol=1e-6)


def test_methods_and_choices_are_spelled_out():
    slopes, parameters, vectors = toy()
    with pytest.raises(
        ValueError, match=r"^method = 'cubic': must be one of .linear., .quadratic., .gaussian process.$"
    ):
        inference.Emulator(parameters, vectors, method="cubic")
    emulator, grid = inference.Emulator(parameters, vectors), {"omega_m": [0.2, 0.3], "sigma_8": [0.7, 0.9]}
    grid = {name: np.array(values) for name, values in grid.items()}
    for change, message in [
        ({"covariance": "some"}, r'^covariance = \'some\': must be one of "varying", "fixed"$'),
        ({"n_fields": 0}, r"^n_fields = 0: must be > 0$"),
        ({"omega_m": np.array([0.3, 0.2])}, r"^omega_m: a grid needs 2 or more finite values, increasing$"),
        ({"sigma_8": np.array([1.5, 1.9])}, r"^omega_m, sigma_8: no point of the grid lies inside the design$"),
    ]:
        with pytest.raises(ValueError, match=message):
            inference.posterior_grid(emulator, TRUTH @ slopes, **grid | change)
    with pytest.raises(ValueError, match=r"^data of shape \(5,\): must be \(6,\), as the emulator's vectors$"):
        inference.posterior_grid(emulator, np.zeros(5), **grid)
    with pytest.raises(ValueError, match=r"^data: vector\[1\] is not finite$"):
        inference.posterior_grid(emulator, np.array([1, np.inf, 1, 1, 1, 1]), **grid)


def test_a_model_outside_the_design_is_refused():
    _, parameters, vectors = toy()
    emulator = inference.Emulator(parameters, vectors)
    message = r"^omega_m = 0.5, sigma_8 = 0.8: outside the design, .* 0.16 <= omega_m <= 0.36 and 0.6 <= sigma_8 <= 1$"
    for ask in (emulator.mean, emulator.covariance):
        with pytest.raises(ValueError, match=message):
            ask(np.array([[0.26, 0.8], [0.5, 0.8]]))


def test_a_posterior_that_leaves_the_grid_is_refused_by_axis_and_limit():
    slopes, parameters, vectors = toy()
    emulator = inference.Emulator(parameters, vectors)
    grid = {"omega_m": np.linspace(0.2, 0.262, 40), "sigma_8": np.linspace(0.7, 0.9, 40)}
    found = inference.posterior_grid(emulator, TRUTH @ slopes, n_fields=9, **grid)
    assert inference.boundary(found, 0.68) == "omega_m above 0.262"
    with pytest.raises(ValueError, match=r"^posterior: its 68% region leaves omega_m above 0.262: observe more fields"):
        inference.credible_area(found)
    assert inference.credible_area(found, truncated="allow") > 0
    wide = inference.posterior(emulator, 0.3 * CORNERS[0] @ slopes + 0.7 * CORNERS[1] @ slopes, n_fields=9)
    with pytest.raises(ValueError, match=r"^posterior: its 68% region leaves (omega_m below 0.16|the design at)"):
        inference.credible_area(wide)


def test_areas_are_not_read_off_a_grid_of_a_few_points():
    grid = np.linspace(-50.0, 50.0, 21)
    density = np.exp(-0.5 * (grid[:, None] ** 2 + grid**2))
    with pytest.raises(ValueError, match=r"^posterior: its 68% region holds fewer than 12 points"):
        inference.credible_area(density, (grid, grid))
    with pytest.raises(ValueError, match=r"^level = 68: must be 0 < level < 1$"):
        inference.credible_area(density, (grid, grid), 68)
    with pytest.raises(ValueError, match=r"^axes: \(omega_m, sigma_8\) are needed"):
        inference.credible_area(density)
    with pytest.raises(ValueError, match=r"^posterior of shape \(21, 21\), axes of \(20, 21\): must be equal$"):
        inference.credible_area(density, (grid[1:], grid))
    with pytest.raises(ValueError, match=r"^posterior: must be finite, nowhere negative"):
        inference.credible_level(density - 1, 0.68, (grid, grid))


def test_draws_with_too_few_different_maps_are_refused():
    _, parameters, vectors = toy(models=8, maps=14)
    with pytest.raises(
        ValueError, match=r"^14 maps a model for a vector of 6 bins: a draw repeats too many .* 15 maps"
    ):
        inference.resample(
            parameters, {"peaks": vectors}, {"peaks": vectors[0]}, rows={"one": ["peaks"]}, repeats=2, seed=1
        )


def test_rows_of_unknown_statistics_are_refused():
    _, parameters, vectors = toy(models=8, maps=30)
    with pytest.raises(ValueError, match=r'^rows\["all"\] = \[\'peaks\', \'voids\'\]: "voids" is not among'):
        inference.resample(
            parameters, {"peaks": vectors}, {"peaks": vectors[0]}, rows={"all": ["peaks", "voids"]}, repeats=2, seed=1
        )
