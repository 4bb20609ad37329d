"""Noise has the variance that counting galaxies gives; smoothing is the convolution it claims to be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook.common import random
from wlbook.simulation import survey
from wlbook.simulation.survey import Survey


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
    seen = survey.observe(kappa, Survey(smoothing=2.0), pixel=1.0, key=random.key(5))
    # White noise smoothed with a Gaussian keeps 1 / (4 pi sigma^2) of its variance.
    expected = survey.shape_noise_sigma(30.0, 1.0) / (4 * np.pi * 2.0**2) ** 0.5
    assert float(seen.std()) == pytest.approx(expected, rel=0.03)


def test_observing_compiles():
    observe = functools.partial(survey.observe, survey=Survey(smoothing=2.0), pixel=1.0)
    kappa, key = jax.random.normal(random.key(6), (3, 2, 16, 16)), random.key(7)
    np.testing.assert_allclose(jax.jit(observe)(kappa, key=key), observe(kappa, key=key), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_gal": -1.0}, r"n_gal = -1\.0: must be > 0 \[arcmin\^-2\]"),
        ({"n_gal": float("nan")}, "n_gal = nan: must be > 0"),
        ({"sigma_e": -0.1}, r"sigma_e = -0\.1: must be >= 0"),
        ({"smoothing": -2.0}, r"smoothing = -2\.0: must be >= 0 \[arcmin\]"),
    ],
)
def test_a_bad_survey_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Survey(**change)


def test_a_pixel_of_no_size_is_refused():
    with pytest.raises(ValueError, match=r"pixel = 0\.0: must be > 0 \[arcmin\]"):
        survey.observe(jnp.zeros((1, 8, 8)), Survey(), pixel=0.0, key=random.key(1))


def test_a_survey_is_the_same_however_its_numbers_were_written():
    assert Survey(30, 0, [1, 2]) == Survey(30.0, 0.0, (1.0, 2.0))
    assert hash(Survey(n_gal=[10, 20])) == hash(Survey(n_gal=(10.0, 20.0)))


def test_after_coarser_pixels_smoothing_is_as_long_on_the_sky():
    def coarser(kappa, *, key):
        return survey.coarsen(kappa, 2)

    white = jax.random.normal(random.key(3), (1, 64, 64))
    seen = survey.observe(white, Survey(sigma_e=0.0, smoothing=4.0), pixel=1.0, transform=coarser, key=random.key(1))
    np.testing.assert_allclose(seen, survey.smooth(survey.coarsen(white, 2), 4.0, 2.0), atol=1e-6)


def test_each_bin_may_have_its_own_noise_and_smoothing():
    kappa = jnp.zeros((100, 2, 32, 32))
    noise = survey.add_shape_noise(kappa, n_gal=[10.0, 40.0], pixel=1.0, key=random.key(2))
    assert float(noise[:, 0].std() / noise[:, 1].std()) == pytest.approx(2, rel=0.02)
    image = jax.random.normal(random.key(3), (2, 32, 32))
    both = survey.smooth(image, [2.0, 5.0], 1.0)
    for one, sigma in enumerate((2.0, 5.0)):
        np.testing.assert_allclose(both[one], survey.smooth(image[one][None], sigma, 1.0)[0], atol=1e-6)


def test_smoothing_in_a_mask_is_the_mean_of_what_is_seen():
    seen = survey.random_holes(64, pixel=1.0, share=0.2, radius=3.0, key=random.key(1))
    flat = jnp.where(seen, 0.7, jnp.nan)[None]  # what is masked may hold anything
    np.testing.assert_allclose(survey.smooth(flat, 4.0, 1.0, seen)[0], np.where(seen, 0.7, 0), atol=1e-5)
    image = jax.random.normal(random.key(2), (1, 64, 64))
    nothing_masked = survey.smooth(image, 4.0, 1.0, np.ones((64, 64), bool))
    np.testing.assert_allclose(nothing_masked, survey.smooth(image, 4.0, 1.0), atol=1e-6)
    y, x = np.argwhere(seen & (np.hypot(*(np.indices((64, 64)) - 32)) < 5))[0]
    rows, columns = (np.minimum(np.abs(np.arange(64) - c), 64 - np.abs(np.arange(64) - c)) for c in (y, x))
    weight = np.exp(-(rows[:, None] ** 2 + columns**2) / 2 / 4.0**2) * seen
    expected = (weight * np.asarray(image[0])).sum() / weight.sum()
    assert survey.smooth(image, 4.0, 1.0, seen)[0, y, x] == pytest.approx(expected, abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(share=st.floats(0.02, 0.6), radius=st.floats(2, 12))
def test_random_holes_cover_the_share_that_was_asked_for(share, radius):
    masks = [survey.random_holes(128, pixel=1.5, share=share, radius=radius, key=random.key(i)) for i in range(12)]
    holes = -np.log(1 - share) * 192**2 / np.pi / radius**2  # the fewer and larger, the more they scatter
    assert 1 - np.mean(masks) == pytest.approx(share, abs=0.02 + 1.5 * share / holes**0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: survey.smooth(jnp.zeros((2, 8, 8)), [1.0, 2.0, 3.0], 1.0),
            r"smoothing = \[1\.0, .*: must be one .* 2",
        ),
        (
            lambda: survey.smooth(jnp.zeros((1, 8, 8)), 1.0, 1.0, np.ones((4, 8), bool)),
            r"mask has shape \(4, 8\): must be the maps', \(8, 8\)",
        ),
    ],
)
def test_a_bad_mask_or_length_is_refused(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
