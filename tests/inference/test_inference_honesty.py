"""Guessed covariances, coverage, sampling, learnt likelihoods and the Gaussian null, where answers are known."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from test_inference import TRUTH, closed_form_area, toy

from wlbook import inference
from wlbook.inference import bootstrap, coverage, likelihood, sampling


class Guess(inference.Emulator):
    """An emulator whose mean is exact and whose covariance is estimated from `maps` vectors of unit covariance."""

    def __init__(self, slopes, maps, draw):
        self.slopes, self.maps, self.labels = slopes, maps, list(range(slopes.shape[1]))
        values = draw.normal(size=(maps, slopes.shape[1]))
        self.estimate = np.cov(values, rowvar=False)

    def mean(self, points):
        return np.asarray(points) @ self.slopes

    def covariance_weights(self, points):
        return np.ones((len(points), 1))

    def scaled_covariance(self, points):
        shape = (len(points), len(self.labels))
        return np.ones(shape), np.broadcast_to(self.estimate, (*shape, shape[1]))


BINS, MAPS, WIDE = 10, 30, np.linspace(-6, 6, 41)


@pytest.fixture(scope="module")
def guesses():
    """By form: area over the true one, and how often the 68 % region holds the truth, at N = d + 20."""
    draw, found = np.random.default_rng(0), {form: [] for form in ("plug-in", "hartlap", "student", "matched")}
    slopes = np.zeros((2, BINS))
    slopes[0, 0] = slopes[1, 1] = 1.0
    points = np.stack(np.meshgrid(WIDE, WIDE, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.concatenate([points, [[0.0, 0.0]]])
    for _ in range(300):
        guess, data = Guess(slopes, MAPS, draw), draw.normal(size=(1, BINS))
        for form, kept in found.items():
            log_density = likelihood.log_likelihood(guess, points, data, likelihood=form)[0][:, 0]
            density = np.exp(log_density - log_density.max())
            grid = density[:-1].reshape(WIDE.size, WIDE.size)
            height = inference.credible_level(grid, 0.68, (WIDE, WIDE))
            area = (grid >= height).sum() * (WIDE[1] - WIDE[0]) ** 2 / (-2 * math.log(0.32) * math.pi)
            kept.append((area, density[-1] >= height))
    return {form: np.mean(kept, axis=0) for form, kept in found.items()}


def test_plug_in_inverse_is_over_confident_at_twenty_maps_more_than_bins(guesses):
    # Areas as published: the plug-in inverse is too large by (N - 1) / (N - d - 2); Hartlap's factor undoes that.
    # The best fit scatters as if there were 1 + B (d - p) times the variance (Dodelson & Schneider 2013), so that a
    # Gaussian region of the right size still holds the truth too rarely; the matched form holds it as often as it says.
    few = (MAPS - BINS - 2) / (MAPS - 1)
    b = (MAPS - BINS - 2) / ((MAPS - BINS - 1) * (MAPS - BINS - 4))
    scatter = 1 + b * (BINS - 2)
    area, held = (dict(zip(guesses, values, strict=True)) for values in np.array(list(guesses.values())).T)
    assert area["hartlap"] / area["plug-in"] == pytest.approx(1 / few, rel=0.03)
    error = math.sqrt(0.68 * 0.32 / 300)
    assert abs(held["plug-in"] - (1 - 0.32 ** (few / scatter))) < 4 * error
    assert held["plug-in"] < 0.68 - 5 * error
    assert held["plug-in"] < held["hartlap"] < 0.68
    assert abs(held["hartlap"] - (1 - 0.32 ** (1 / scatter))) < 4 * error
    assert abs(held["matched"] - 0.68) < 3 * error


def test_student_form_is_exact_where_every_bin_is_a_parameter():
    # d = p: then the t distribution is the whole answer (Sellentin & Heavens 2016), and Hartlap's Gaussian is not.
    draw, maps, grid = np.random.default_rng(1), 8, np.linspace(-25, 25, 161)
    points = np.concatenate([np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2), [[0.0, 0.0]]])
    held = {"plug-in": 0, "student": 0}
    for _ in range(300):
        guess, data = Guess(np.eye(2), maps, draw), draw.normal(size=(1, 2))
        for form in held:
            log_density = likelihood.log_likelihood(guess, points, data, likelihood=form)[0][:, 0]
            density = np.exp(log_density - log_density.max())
            held[form] += density[density > density[-1]].sum() / density.sum() < 0.68
    error = math.sqrt(0.68 * 0.32 / 300)
    assert abs(held["student"] / 300 - 0.68) < 3 * error
    assert held["plug-in"] / 300 < 0.68 - 4 * error


@pytest.mark.parametrize("form", ["student", "matched"])
def test_forms_agree_where_the_covariance_is_well_known(form):
    slopes, parameters, vectors = toy(maps=5000, models=12)
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    found = inference.posterior(emulator, TRUTH @ slopes, n_fields=4, likelihood=form)
    assert inference.credible_area(found) == pytest.approx(closed_form_area(slopes, 0.68, 4), rel=0.02)


@pytest.fixture(scope="module")
def plain():
    slopes, parameters, vectors = toy(maps=2000, models=12)
    return slopes, parameters, vectors, inference.Emulator(parameters, vectors, method="quadratic")


def test_coverage_is_nominal_and_is_not_when_the_covariance_is_wrong(plain):
    slopes, parameters, vectors, emulator = plain
    draw = np.random.default_rng(5)
    data = TRUTH @ slopes + draw.normal(size=(400, 6)) / 3
    error = math.sqrt(0.68 * 0.32 / 400)
    found = coverage.denser(emulator, data, n_fields=9)
    assert abs((found < 0.68).mean() - 0.68) < 3 * error
    assert abs((found < 0.95).mean() - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 400)
    narrow = inference.Emulator(
        parameters, vectors.mean(axis=1, keepdims=True) + (vectors - vectors.mean(axis=1, keepdims=True)) / 2,
        method="quadratic",
    )  # fmt: skip
    wrong = coverage.denser(narrow, data, n_fields=9)
    assert (wrong < 0.68).mean() < 0.68 - 5 * error
    drawn = coverage.ideal(emulator, 400, n_fields=9, seed=1)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), np.eye(6) / 9, atol=0.03)


def test_mock_surveys_take_one_map_from_each_box():
    found = coverage.surveys(np.arange(6.0)[:, None], np.array([7, 7, 8, 8, 9, 9]))
    assert found[:, 0].tolist() == [2.0, 3.0]
    more = coverage.surveys(np.arange(5.0)[:, None], np.array([7, 7, 8, 8, 8]))  # as many as every box has maps for
    assert more[:, 0].tolist() == [1.0, 2.0]


def test_error_of_the_mean_widens_a_posterior_by_what_it_is():
    slopes, parameters, vectors = toy(maps=50, models=10)
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    ignored, added = (
        inference.credible_area(inference.posterior(emulator, TRUTH @ slopes, n_fields=9, emulator_error=choice))
        for choice in ("ignore", "add")
    )
    share = 9 * np.mean(np.diagonal(emulator.error(TRUTH[None])[0]))
    assert added / ignored == pytest.approx(1 + share, rel=0.15)
    with pytest.raises(ValueError, match=r'^emulator_error = \'yes\': must be one of "ignore", "add"$'):
        inference.posterior(emulator, TRUTH @ slopes, emulator_error="yes")


def test_processes_follow_a_curve_that_a_quadratic_misses_and_know_their_error():
    draw = np.random.default_rng(3)
    _, parameters, _ = toy(models=40)
    unit = (parameters - [0.16, 0.6]) / [0.2, 0.4]
    curve = np.stack([np.sin(5 * unit[:, 0]), np.cos(4 * unit[:, 1]) * unit[:, 0], unit[:, 1]], axis=1)
    vectors = 10 * curve[:, None] + draw.normal(size=(40, 100, 3))
    errors = {}
    for method in ("quadratic", "gaussian process"):
        emulator = inference.Emulator(parameters, vectors, method=method)
        errors[method] = np.sqrt(np.square(emulator.leave_one_out().values[4:]).mean())
    assert errors["gaussian process"] < 0.5 * errors["quadratic"]
    inner = 0.2 + 0.6 * draw.uniform(size=(200, 2))
    truth = 10 * np.stack([np.sin(5 * inner[:, 0]), np.cos(4 * inner[:, 1]) * inner[:, 0], inner[:, 1]], axis=1)
    at = [0.16, 0.6] + inner * [0.2, 0.4]
    sigma = np.sqrt(np.diagonal(emulator.error(at), axis1=1, axis2=2))
    pull = (emulator.mean(at) - truth) / sigma
    assert 0.4 < np.sqrt(np.square(pull).mean()) < 1.6


def test_two_numbers_know_as_much_as_the_vector(plain):
    slopes, parameters, vectors, emulator = plain
    weights = inference.score_weights(emulator)
    short = inference.Emulator(parameters, inference.compress(vectors, weights), method="quadratic")
    data = inference.compress(TRUTH @ slopes, weights)
    area = inference.credible_area(inference.posterior(short, data, n_fields=9))
    assert area == pytest.approx(closed_form_area(slopes, 0.68, 9), rel=0.02)


def test_sampler_agrees_with_the_closed_form(plain):
    slopes, _, _, emulator = plain
    data = TRUTH @ slopes
    drawn = inference.sample(emulator, data, n_fields=9, draws=1000, seed=1)
    assert drawn.attrs["r_hat"] < 1.02 and drawn.attrs["n_eff"] > 300
    values = np.stack([drawn[name].values.ravel() for name in ("omega_m", "sigma_8")])
    found = math.sqrt(np.linalg.det(np.cov(values)))
    assert found == pytest.approx(np.linalg.det(9 * slopes @ slopes.T) ** -0.5, rel=0.1)
    np.testing.assert_allclose(values.mean(axis=1), TRUTH, atol=0.1 * values.std(axis=1).max())


def test_sampler_draws_four_parameters_of_a_gaussian():
    root = np.random.default_rng(0).normal(size=(4, 4)) / 2
    precision = root @ root.T + 0.5 * np.eye(4)
    matrix = jnp.asarray(precision, jnp.float32)
    found, quality = sampling.run(lambda at: -0.5 * at @ matrix @ at, np.zeros(4), draws=3000, seed=2)
    assert quality["r_hat"] < 1.02
    np.testing.assert_allclose(np.cov(found.reshape(-1, 4).T), np.linalg.inv(precision), atol=0.15)


def test_nuisance_parameter_widens_as_if_it_were_in_the_covariance(plain):
    slopes, _, _, emulator = plain
    moved = slopes[1] + 0.3 * slopes[0]
    drawn = inference.sample(
        emulator, TRUTH @ slopes, n_fields=9, slopes={"bias": moved}, widths={"bias": 0.02}, draws=2000, seed=3
    )
    values = np.stack([drawn[name].values.ravel() for name in ("omega_m", "sigma_8")])
    wide = np.eye(6) / 9 + 0.02**2 * np.outer(moved, moved)
    expected = np.linalg.inv(slopes @ np.linalg.solve(wide, slopes.T))
    assert expected[1, 1] > 5 * np.linalg.inv(9 * slopes @ slopes.T)[1, 1]
    np.testing.assert_allclose(np.diagonal(np.cov(values)), np.diagonal(expected), rtol=0.15)


def test_regions_agree_with_getdist():
    from getdist.densities import Density2D

    grid = np.linspace(-4.0, 4.0, 81)
    density = np.exp(-0.5 * (grid[:, None] ** 2 - grid[:, None] * grid + grid**2 + 0.1 * grid[:, None] ** 3))
    for level in (0.68, 0.95):
        (theirs,) = Density2D(grid, grid, density.T).getContourLevels([level])
        assert inference.credible_level(density, level, (grid, grid)) == pytest.approx(theirs, rel=0.03)


def fields(maps: int = 8, **options):
    draw = np.random.default_rng(0)
    parameters = np.repeat(np.stack([0.2 + 0.12 * draw.random(9), 0.6 + 0.4 * draw.random(9)], axis=1), maps, axis=0)
    kappa = (
        draw.normal(size=(len(parameters), 1, 32, 32))
        * (0.1 * parameters[:, 1] * parameters[:, 0])[:, None, None, None]
    )
    return inference.GaussianFields(kappa, parameters, side=3.5, **options)


def test_gaussian_fields_have_the_spectra_they_are_drawn_from():
    null = fields()
    drawn = null.draw((0.26, 0.8), 400, seed=1)
    many = null.counts > 20
    spectrum = null.spectra(np.array([[0.26, 0.8]]))[0, many, 0, 0]
    np.testing.assert_allclose(null.power(drawn)[many, 0, 0], spectrum, rtol=0.06)
    assert abs(drawn.mean(axis=(-2, -1))).max() < 1e-6
    assert null.counts.sum() == 32 * 32 - 1


def test_gaussian_fields_observe_the_sky_they_are_told():
    null = fields(fiducial=(0.3, 0.9))
    _, sky = null.universes(np.array([[0.25, 0.7]]), 100, seed=1)
    many = null.counts > 20
    np.testing.assert_allclose(null.power(sky)[many], null.spectra(np.array([[0.3, 0.9]]))[0, many], rtol=0.06)
    assert (null.spectra(np.array([[0.26, 0.8]]))[0, many] < 0.7 * null.power(sky)[many]).all()


def test_a_bin_of_maps_that_repeats_another_is_refused():
    kappa = np.random.default_rng(0).normal(size=(9, 1, 16, 16))
    parameters = np.stack([np.linspace(0.2, 0.3, 9), np.linspace(0.6, 1, 9) ** 2], axis=1)
    message = r"^kappa: bins of the maps repeat each other, or have no power: drop one$"
    with pytest.raises(ValueError, match=message):
        inference.GaussianFields(np.concatenate([kappa, 2 * kappa], axis=1), parameters, side=3.5)


def test_ideal_surveys_and_their_coverage_are_of_the_observed_sky():
    slopes, parameters, vectors = toy(models=12, maps=2000)
    emulator = inference.Emulator(parameters, vectors, method="quadratic", fiducial=(0.3, 0.9))
    ideal = coverage.ideal(emulator, 400, n_fields=9, seed=1)
    np.testing.assert_allclose(ideal.mean(axis=0), [0.3, 0.9] @ slopes, atol=0.1)
    held = coverage.denser(emulator, ideal, n_fields=9) < 0.68
    assert abs(held.mean() - 0.68) < 3 * math.sqrt(0.68 * 0.32 / 400)


def test_exact_posterior_of_gaussian_fields_is_the_fisher_ellipse():
    draw = np.random.default_rng(0)
    tilt = np.hypot(np.fft.fftfreq(32, 1 / 32)[:, None], np.arange(17))
    tilt[0, 0] = 1
    parameters = np.repeat(np.stack([0.2 + 0.12 * draw.random(9), 0.6 + 0.4 * draw.random(9)], axis=1), 8, axis=0)
    modes = np.fft.rfft2(draw.normal(size=(72, 1, 32, 32))) * parameters[:, 1, None, None, None]
    kappa = np.fft.irfft2(modes * tilt ** (-4 * parameters[:, 0, None, None, None]), s=(32, 32))
    null = inference.GaussianFields(kappa, parameters, side=3.5)
    power = null.spectra(np.array([[0.26, 0.8]]), 0.1)[0]
    matrix = null.fisher((0.26, 0.8), noise=0.1, n_fields=20)
    spread = np.sqrt(np.diagonal(np.linalg.inv(matrix)))
    grid = {"omega_m": 0.26 + spread[0] * np.linspace(-5, 5, 80), "sigma_8": 0.8 + spread[1] * np.linspace(-5, 5, 80)}
    found = null.posterior(power, noise=0.1, n_fields=20, **grid)
    assert inference.credible_area(found) == pytest.approx(inference.ellipse_area(matrix), rel=0.03)


def test_derivatives_need_common_seeds_and_then_hardly_scatter():
    draw = np.random.default_rng(0)
    shared, seeds = draw.normal(size=(50, 3)), np.arange(50)
    slope, error = inference.paired_slope(shared + 0.2, shared - 0.2, 0.1, seeds=(seeds, seeds))
    np.testing.assert_allclose(slope, 2.0)
    assert error.max() < 1e-9
    with pytest.raises(ValueError, match=r"^seeds: the maps ahead and behind must come from the same seeds"):
        inference.paired_slope(shared, shared, 0.1, seeds=(seeds, seeds + 1))


def test_error_of_seeds_is_their_scatter_widened_for_how_few_there_are():
    assert all(math.isnan(number) for number in bootstrap.seed_scatter([np.array([0.1])]))
    assert bootstrap.seed_scatter([np.array([0.1]), np.array([0.0, 0.1])]) == pytest.approx(
        (0.1 / 2**0.5, 1.837), rel=1e-3
    )
    many = np.random.default_rng(0).normal(size=(400, 2)) * [0.2, 0.3]
    scatter, student = bootstrap.seed_scatter([many[:200], 7 + many[200:]])
    np.testing.assert_allclose(scatter, [0.2, 0.3], rtol=0.1)
    assert student == pytest.approx(1.0, abs=0.01)


def test_samplers_and_forms_refuse_what_they_cannot_do(plain):
    slopes, parameters, vectors, emulator = plain
    data = TRUTH @ slopes
    linear = inference.Emulator(parameters, vectors)
    for ask, message in [
        (lambda: inference.sample(linear, data, seed=1), r'^method = "linear": has corners'),
        (lambda: inference.sample(emulator, data, slopes={"m": data}, seed=1), r"^slopes of \['m'\], widths of \[\]"),
        (lambda: inference.sample(emulator, data, draws=1, seed=1), r"^draws = 1: must be >= 4$"),
        (lambda: sampling.run(lambda at: -jnp.inf * at[0], np.ones(2), seed=1), r"^start = .*: the density is zero"),
        (lambda: inference.posterior(emulator, data, likelihood="t"), r"^likelihood = 't': must be one of \"plug-in\""),
    ]:
        with pytest.raises(ValueError, match=message):
            ask()


def test_boxes_drawn_anew_widen_the_bootstrap():
    slopes, parameters, vectors = toy(maps=60, models=20)
    vectors = vectors + 0.5 * np.random.default_rng(4).normal(size=(20, 1, 6))  # each box has a structure of its own
    data = TRUTH @ slopes + np.random.default_rng(5).normal(size=(60, 6))
    asked = {"rows": {"one": ["v"]}, "repeats": 12, "method": "quadratic", "seed": 1, "n_fields": 9}
    keep, drawn = (
        inference.resample(parameters, {"v": vectors}, {"v": data}, boxes=choice, **asked)["log_area"].std().item()
        for choice in ("keep", "draw")
    )
    assert drawn > 1.3 * keep
    with pytest.raises(ValueError, match=r'^boxes = \'all\': must be one of "keep", "draw"$'):
        inference.resample(parameters, {"v": vectors}, {"v": data}, boxes="all", **asked)


def test_a_search_that_begins_around_another_posterior_ends_at_the_same():
    slopes, parameters, vectors = toy(maps=300)
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    far = inference.posterior(emulator, np.array([0.31, 0.9]) @ slopes, n_fields=30)
    near = inference.posterior(emulator, np.array([0.2605, 0.8]) @ slopes, n_fields=9)
    wanted = inference.credible_area(inference.posterior(emulator, TRUTH @ slopes, n_fields=9))
    for like in (far, near):
        found = inference.posterior(emulator, TRUTH @ slopes, n_fields=9, like=like)
        assert inference.credible_area(found) == pytest.approx(wanted, rel=0.01)


def test_error_of_s_8_is_that_of_a_narrow_gaussian():
    axes = {"omega_m": np.linspace(0.28, 0.32, 81), "sigma_8": np.linspace(0.76, 0.84, 81)}
    far = (axes["omega_m"][:, None] - 0.3) / 0.004, (axes["sigma_8"] - 0.8) / 0.01
    found = xr.DataArray(np.exp(-0.5 * (far[0] ** 2 + far[1] ** 2)), dims=tuple(axes), coords=axes)
    assert inference.s_8_error(found) == pytest.approx(math.hypot(0.01, 0.5 * 0.8 / 0.3 * 0.004), rel=0.01)
