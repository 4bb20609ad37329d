"""Noise has the variance that counting galaxies gives; smoothing is the convolution it claims to be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import random, survey


def test_sigma_of_paper_a():
    # n_g = 30 arcmin^-2 in pixels of 210/512 arcmin, sigma_e = 0.4.
    assert survey.shape_noise_sigma(30.0, 210 / 512) == pytest.approx(0.126, abs=5e-4)


@settings(max_examples=20, deadline=None)
@given(n_gal=st.floats(0.1, 100), pixel=st.floats(0.1, 10), factor=st.integers(2, 8))
def test_averaging_pixels_is_the_same_as_larger_pixels(n_gal, pixel, factor):
    averaged = survey.shape_noise_sigma(n_gal, pixel) / factor
    assert survey.shape_noise_sigma(n_gal, factor * pixel) == pytest.approx(averaged)


def test_noise_is_white_with_the_right_variance_and_leaves_kappa_in_place():
    kappa = jnp.broadcast_to(jnp.linspace(-1, 1, 64, dtype=jnp.float32), (200, 1, 64, 64))
    noise = survey.add_shape_noise(kappa, n_gal=30.0, pixel=3.28, key=random.key(1)) - kappa
    sigma = survey.shape_noise_sigma(30.0, 3.28)
    assert float(noise.std()) == pytest.approx(sigma, rel=0.01)
    assert abs(float(noise.mean())) < 5 * sigma / noise.size**0.5
    neighbours = float((noise[..., 1:] * noise[..., :-1]).mean()) / sigma**2
    assert abs(neighbours) < 5 / noise.size**0.5


def test_a_key_is_a_noise_field():
    kappa = jnp.zeros((2, 1, 16, 16))
    draw = functools.partial(survey.add_shape_noise, kappa, n_gal=10.0, pixel=1.0)
    np.testing.assert_array_equal(draw(key=random.key(1)), draw(key=random.key(1)))
    assert not np.allclose(draw(key=random.key(1)), draw(key=random.key(2)))


def test_a_survey_without_ellipticities_is_noiseless():
    kappa = jnp.ones((1, 8, 8))
    np.testing.assert_array_equal(
        survey.add_shape_noise(kappa, n_gal=1.0, pixel=1.0, sigma_e=0.0, key=random.key(1)), kappa
    )


def test_smoothing_a_wave_damps_it_by_the_gaussian():
    pixel, sigma, waves, n = 2.0, 3.0, 5, 64
    wave = jnp.cos(2 * jnp.pi * waves * jnp.arange(n) / n) * jnp.ones((1, n, 1))
    ell = 2 * np.pi * waves / (n * pixel)  # [1/arcmin]
    np.testing.assert_allclose(survey.smooth(wave, sigma, pixel), wave * np.exp(-0.5 * (sigma * ell) ** 2), atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(sigma=st.floats(0, 20), more=st.floats(0, 20))
def test_smoothing_keeps_the_mean_and_adds_in_quadrature(sigma, more):
    kappa = jax.random.normal(random.key(4), (1, 32, 32))
    twice = survey.smooth(survey.smooth(kappa, sigma, 1.5), more, 1.5)
    once = survey.smooth(kappa, float(np.hypot(sigma, more)), 1.5)
    np.testing.assert_allclose(twice, once, atol=3e-6)
    assert float(once.mean()) == pytest.approx(float(kappa.mean()), abs=1e-6)


def test_observing_adds_noise_before_smoothing():
    kappa = jnp.zeros((50, 1, 64, 64))
    seen = survey.observe(kappa, pixel=1.0, n_gal=30.0, sigma_e=0.4, smoothing=2.0, key=random.key(5))
    # White noise smoothed with a Gaussian keeps 1 / (4 pi sigma^2) of its variance.
    expected = survey.shape_noise_sigma(30.0, 1.0) / (4 * np.pi * 2.0**2) ** 0.5
    assert float(seen.std()) == pytest.approx(expected, rel=0.03)


def test_observing_compiles():
    observe = functools.partial(survey.observe, pixel=1.0, n_gal=30.0, sigma_e=0.4, smoothing=2.0)
    kappa, key = jax.random.normal(random.key(6), (3, 2, 16, 16)), random.key(7)
    np.testing.assert_allclose(jax.jit(observe)(kappa, key=key), observe(kappa, key=key), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_gal": -1.0}, r"n_gal = -1\.0: must be > 0 \[arcmin\^-2\]"),
        ({"n_gal": float("nan")}, "n_gal = nan: must be > 0"),
        ({"pixel": 0.0}, r"pixel = 0\.0: must be > 0 \[arcmin\]"),
        ({"sigma_e": -0.1}, r"sigma_e = -0\.1: must be >= 0"),
        ({"smoothing": -2.0}, r"smoothing = -2\.0: must be >= 0 \[arcmin\]"),
    ],
)
def test_a_bad_survey_is_refused(change, message):
    settings = {"pixel": 1.0, "n_gal": 30.0, "sigma_e": 0.4, "smoothing": 1.0} | change
    with pytest.raises(ValueError, match=message):
        survey.observe(jnp.zeros((1, 8, 8)), **settings, key=random.key(1))
