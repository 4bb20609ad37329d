"""Masked pixels never count, and what is left is measured without bias."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest
from fields import EDGES, ELL_EDGES, SIDE, STATISTICS, gaussian_maps, red_power, some_maps, some_mask

from wlbook import statistics
from wlbook.common import random


def holes(kappa, value) -> np.ndarray:
    return np.where(some_mask(), kappa, np.float32(value))


@pytest.mark.parametrize("name", STATISTICS)
def test_masked_pixels_never_count_whatever_they_hold(name):
    kappa, mask = some_maps()[0], some_mask()
    expected = np.asarray(STATISTICS[name](holes(kappa, 0.0), mask=mask))
    assert np.isfinite(expected).all() and expected.any()
    for value in (np.nan, np.inf, -1e30):
        np.testing.assert_array_equal(STATISTICS[name](holes(kappa, value), mask=mask), expected)
    assert not np.array_equal(STATISTICS[name](kappa), expected)
    slope = jax.grad(lambda k: (STATISTICS[name](k, mask=mask) ** 2).sum())(holes(kappa, np.nan))
    assert np.isfinite(slope).all() and not slope[:, ~mask].any()


@pytest.mark.parametrize("name", STATISTICS)
def test_a_mask_that_observes_everything_changes_nothing(name):
    kappa = some_maps()[:2]
    np.testing.assert_array_equal(STATISTICS[name](kappa, mask=np.ones((64, 64), bool)), STATISTICS[name](kappa))


MEASURED = {
    "power spectrum": functools.partial(statistics.power_spectrum, side=SIDE, ell_edges=np.geomspace(200, 3000, 7)),
    "bispectrum": functools.partial(statistics.bispectrum, side=SIDE, ell_edges=[200.0, 600.0, 1200.0, 2000.0]),
    "peaks": functools.partial(statistics.peak_counts, edges=[-0.5, 0.5, 1.5, 2.5, 99.0]),
    "minima": functools.partial(statistics.minima_counts, edges=[-99.0, -1.5, -0.5, 0.5]),
    "Minkowski": functools.partial(statistics.minkowski_functionals, edges=np.linspace(-2.0, 2.0, 6)),
    "histogram": functools.partial(statistics.pixel_histogram, edges=np.linspace(-2.0, 2.0, 6)),
    "moments": statistics.moments,
    "starlet peaks": functools.partial(
        statistics.starlet_peaks, edges=[-0.5, 0.5, 1.5, 2.5, 99.0], scales=2, units=[0.5, 0.3, 0.8]
    ),
    "starlet l1": functools.partial(
        statistics.starlet_l1, edges=[-99.0, -1.0, 1.0, 99.0], scales=2, units=[0.5, 0.3, 0.8]
    ),
    "scattering": functools.partial(statistics.scattering_transform, scales=3),
}


@functools.cache
def lensing_like() -> np.ndarray:
    field = np.asarray(gaussian_maps(red_power, maps=200, pixels=64, seed=11))
    field = field / field.std()
    return field + 0.2 * (field**2 - 1)


@pytest.mark.parametrize("boundary", ["periodic", "drop"])
@pytest.mark.parametrize("name", MEASURED)
def test_masked_statistics_agree_on_average_with_those_of_whole_maps(name, boundary):
    edges = {} if name == "histogram" else {"boundary": boundary}
    whole = np.asarray(MEASURED[name](lensing_like())).reshape(200, -1)
    masked = np.asarray(MEASURED[name](lensing_like(), mask=some_mask(), **edges)).reshape(200, -1)
    if (boundary == "drop" and "peaks" in name) or (name == "minima" and edges == {"boundary": "drop"}):
        masked = masked * 64**2 / 62**2  # counts in the pixels that have neighbours
    difference = masked - whole
    error = difference.std(axis=0) / math.sqrt(200)
    np.testing.assert_array_less(np.abs(difference.mean(axis=0)), 4.5 * error + 1e-6)
    # And the error is small enough for that to mean something.
    size = np.abs(whole.mean(axis=0))
    assert np.median(error[size > 0] / size[size > 0]) < (0.2 if name == "bispectrum" else 0.05)


def test_masked_spectrum_is_the_transform_of_the_mean_product_at_each_distance():
    n, rng = 6, np.random.default_rng(2)
    kappa, mask = rng.normal(size=(1, n, n)).astype(np.float32), rng.random((n, n)) < 0.7
    d = np.where(mask, kappa[0] - kappa[0][mask].mean(), 0.0)
    correlation = np.zeros((n, n))
    for dy, dx in itertools.product(range(n), repeat=2):
        pairs = mask & np.roll(mask, (-dy, -dx), (0, 1))
        correlation[dy, dx] = (d * np.roll(d, (-dy, -dx), (0, 1)))[pairs].mean()
    power = np.fft.fft2(correlation).real * math.radians(SIDE) ** 2 / n**2
    wave = np.fft.fftfreq(n, 1 / n)
    chosen = (np.hypot(wave[:, None], wave) > 0.5) & (np.hypot(wave[:, None], wave) <= 1.2)
    weights = chosen * np.array([2, 1, 1, 1, 1, 1])  # the half plane counts l_x = 0 twice
    found = statistics.power_spectrum(kappa, side=SIDE, ell_edges=np.array([0.5, 1.2]) * 360 / SIDE, mask=mask)
    np.testing.assert_allclose(found[0, 0], (power * weights).sum() / weights.sum(), rtol=1e-4)


def test_masked_peaks_need_all_their_neighbours():
    kappa, mask = np.zeros((1, 16, 16), np.float32), np.ones((16, 16), bool)
    kappa[0, 4, 4] = kappa[0, 4, 10] = kappa[0, 10, 4] = 1.0
    mask[4, 4], mask[5, 11] = False, False  # one peak itself, one neighbour of another
    found = np.asarray(statistics.peak_counts(kappa, edges=[0.5, 2.0], mask=mask))
    assert found[0, 0] == pytest.approx(256 / (256 - 18))  # two holes, 9 pixels each that cannot be told


def test_masked_minkowski_functionals_use_whole_stencils_only():
    kappa, mask = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 32, 32)), np.ones((32, 32), bool)
    mask[10, 10] = False
    found = statistics.minkowski_functionals(np.where(mask, kappa, 1e6), edges=[-0.5, 31.5], boundary="drop", mask=mask)
    used = 28 * 28 - 13  # the hole, its 8 neighbours, and the 4 pixels two steps away
    # Of columns 16 to 29 nothing is lost.
    np.testing.assert_allclose(found[0, :, 0], [14 * 28 / used, 0.25 / 32, 0.0], atol=1e-7)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((32, 64), bool), r"^mask has shape \(32, 64\): must be the maps' \[y, x\], \(64, 64\)$"),
        (np.ones((6, 64, 64), bool), r"^mask has shape \(6, 64, 64\): must be the maps' \[y, x\]"),
        (np.ones((64, 64)), r"^dtype of mask = float64: must be boolean, True where a pixel is observed$"),
        (np.zeros((64, 64), bool), r"^mask: no pixel is observed, must be True somewhere$"),
    ],
)
def test_a_mask_that_does_not_fit_is_named(name, mask, message):
    with pytest.raises(ValueError, match=message):
        STATISTICS[name](some_maps(), mask=mask)


def test_a_mask_that_leaves_nothing_to_measure_is_named():
    kappa, mask = some_maps(), np.zeros((64, 64), bool)
    mask[::3, ::3] = True
    for name in ("peaks", "minima", "Minkowski", "moments"):
        with pytest.raises(
            ValueError, match=r"^mask: no observed pixel has all the neighbours that it needs observed$"
        ):
            STATISTICS[name](kappa, mask=mask)
    for name in ("starlet peaks", "starlet l1", "scattering"):
        with pytest.raises(ValueError, match=r"^scales = 3: too little of the map is observed for more than 0$"):
            STATISTICS[name](kappa, mask=mask)


def test_a_mask_must_be_known_when_a_function_is_traced():
    with pytest.raises(ValueError, match=r"^mask: must be known while JAX traces a function; pass it as a constant"):
        jax.jit(lambda k, m: statistics.peak_counts(k, edges=EDGES, mask=m))(some_maps(), some_mask())
    found = jax.jit(lambda k: statistics.peak_counts(k, edges=EDGES, mask=some_mask()))(some_maps())
    np.testing.assert_array_equal(found, statistics.peak_counts(some_maps(), edges=EDGES, mask=some_mask()))


def test_broken_pixels_count_only_where_they_are_observed():
    kappa = holes(some_maps(), np.nan)
    kappa[0, 0, 40, 30] = np.nan
    with pytest.raises(ValueError, match=r"^kappa: 1 of 49152 pixels are NaN or infinite: all must be finite$"):
        statistics.power_spectrum(kappa, side=SIDE, ell_edges=ELL_EDGES, mask=some_mask())


def test_masked_bispectrum_keeps_its_size():
    white = jax.random.normal(random.key(9), (600, 1, 32, 32))
    kappa, mask = np.asarray(white + 0.3 * (white**2 - 1)), some_mask(32)
    found = statistics.bispectrum(kappa, side=SIDE, ell_edges=[300.0, 700.0, 1050.0], sides=[(1, 1, 1)], mask=mask)
    expected = (6 * 0.3 + 8 * 0.3**3) * (math.radians(SIDE) / 32) ** 4  # its third cumulant, white
    error = float(np.std(found)) / math.sqrt(600)
    assert error < 0.04 * expected
    assert abs(float(np.mean(found)) - expected) < 4 * error


@pytest.mark.parametrize("boundary", ["periodic", "drop"])
def test_starlets_of_a_flat_map_are_flat_right_up_to_the_mask(boundary):
    mask = some_mask()
    found = np.asarray(statistics.starlet(np.full((1, 64, 64), 2.0), scales=3, boundary=boundary, mask=mask))[0]
    np.testing.assert_allclose(found[:3], 0.0, atol=1e-5)
    np.testing.assert_allclose(found[3][mask], 2.0, rtol=1e-5)
